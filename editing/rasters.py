"""Rasters: decoded pictures as plain values.

Pixels are 8-bit RGB in the colour profile of their source, after its EXIF rotation. The profile and the alpha plane
travel with them, so that an edit can give both back unchanged.
"""

import hashlib
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from editing.errors import PictureError

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""uint8 (h, w, 3), 0..255."""
Plane: TypeAlias = npt.NDArray[np.uint8]
"""uint8 (h, w), 0..255."""
Mask: TypeAlias = npt.NDArray[np.float32]
"""float32 (h, w), 1 repaint .. 0 keep."""


def _frozen(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Raster:
    """A decoded picture; its arrays are read-only views.

    Attributes:
        pixels: uint8 (h, w, 3), 0..255, in the profile below, after EXIF rotation.
        alpha: uint8 (h, w), 0 transparent .. 255 opaque, or None if the source has no transparency.
        icc_profile: Bytes of the source's ICC profile; None means sRGB.
        notes: What decoding did, in order, such as `exif_rotated:6` or `cmyk_converted`.

    Raises:
        PictureError: `raster_malformed`, if an array has another dtype or shape, or no pixels.
    """

    pixels: Pixels
    alpha: Plane | None = None
    icc_profile: bytes | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if self.pixels.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:  # noqa: PLR2004 - RGB
            given = f"{self.pixels.dtype} {shape}"
            raise PictureError(
                f"a raster holds uint8 (h, w, 3) with at least one pixel, got {given}",
                code="raster_malformed",
                value=given,
                limit="uint8 (h, w, 3)",
            )
        object.__setattr__(self, "pixels", _frozen(self.pixels))
        if self.alpha is None:
            return
        if self.alpha.dtype != np.uint8 or self.alpha.shape != shape[:2]:
            given = f"{self.alpha.dtype} {self.alpha.shape}"
            raise PictureError(
                f"the alpha plane of a raster is uint8 {shape[:2]}, got {given}",
                code="raster_malformed",
                value=given,
                limit=f"uint8 {shape[:2]}",
            )
        object.__setattr__(self, "alpha", _frozen(self.alpha))

    @property
    def height(self) -> int:
        """Rows, in pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns, in pixels."""
        return int(self.pixels.shape[1])

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, in pixels."""
        return self.width, self.height

    @property
    def pixel_sha256(self) -> str:
        """Digest of the raster itself, the same for every lossless file that decodes to it.

        SHA-256, lower hex, of `RGB8` + width + height (unsigned 32-bit, big endian) + the pixels row by row; with an
        alpha plane, of `RGBA8` + the same + the interleaved pixels. The colour profile is not part of it, and a wholly
        opaque alpha plane counts as none: lossless WebP does not keep one.
        """
        opaque = self.alpha is None or bool((self.alpha == 255).all())  # noqa: PLR2004 - opaque
        interleaved = self.pixels if self.alpha is None or opaque else np.dstack([self.pixels, self.alpha])
        digest = hashlib.sha256(b"RGB8" if opaque else b"RGBA8")
        digest.update(self.width.to_bytes(4, "big") + self.height.to_bytes(4, "big"))
        digest.update(np.ascontiguousarray(interleaved).data)
        return digest.hexdigest()
