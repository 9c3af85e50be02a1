"""Unpacking: from an opened picture of any kind to 8-bit RGB, an alpha plane and a profile."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from editing.colour import can_convert, image_to_srgb
from editing.opening import PILLOW_ERRORS, OpenedPicture, truncated, unsupported_mode
from editing.rasters import Pixels, Plane

_PROFILE_SPACE = slice(16, 20)  # ICC.1:2010, 7.2.6: data colour space of the profile
_PNG_DEPTH = 24  # PNG: bit depth is the first byte after width and height in IHDR
_TIFF_BITS_PER_SAMPLE = 258


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """A picture's pixels, upright.

    Attributes:
        pixels: uint8 (h, w, 3), 0..255.
        alpha: uint8 (h, w), or None.
        icc_profile: Profile of the pixels; None means sRGB.
        notes: What was done, in order.
    """

    pixels: Pixels
    alpha: Plane | None
    icc_profile: bytes | None
    notes: tuple[str, ...]


def unpack(opened: OpenedPicture, *, field: str) -> Unpacked:
    """Decode a picture's pixels and bring them to 8-bit RGB; call within `quiet_pillow`.

    16 bits are rounded to 8; CMYK goes to sRGB through its profile (or the naive inverse without one); grey becomes
    RGB, through its profile if it has one; palettes are expanded, their transparency becoming alpha.

    Args:
        opened: The opened picture.
        field: Name of the request field, for the errors.

    Returns:
        Its pixels, after the EXIF rotation.

    Raises:
        PictureError: `picture_truncated` or `picture_format_unsupported`.
    """
    image, notes = opened.image, list(opened.notes)
    deep = _is_deep(opened)
    try:
        image.load()
        profile = image.info.get("icc_profile") or None
        flat = _reduced(opened) if deep else None
        still: Image.Image = Image.fromarray(flat) if flat is not None else image
        if deep or image.mode.startswith("I;16"):
            notes.append("sixteen_bit_reduced")
        if image.mode.startswith("I;16"):
            still = Image.fromarray(_eight_bits(np.asarray(image)))
        pixels, alpha, icc_profile = _to_rgb(still, profile, notes, opened, field)
    except PILLOW_ERRORS as error:
        raise truncated(field, opened.media_type, error) from error
    if opened.orientation != 1:
        notes.append(f"exif_rotated:{opened.orientation}")
        if opened.media_type != "image/tiff":  # its reader has rotated already
            pixels = upright(pixels, opened.orientation)
            alpha = None if alpha is None else upright(alpha, opened.orientation)
    return Unpacked(pixels=pixels, alpha=alpha, icc_profile=icc_profile, notes=tuple(notes))


def upright(values: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Undo an EXIF orientation.

    Args:
        values: uint8 (h, w) or (h, w, 3).
        orientation: EXIF tag 0x0112, 1..8.

    Returns:
        The same values as they shall be seen; (w, h, ...) for 5..8.
    """
    if orientation in (5, 6, 7, 8):
        values = np.swapaxes(values, 0, 1)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return np.ascontiguousarray(values)


def _to_rgb(
    image: Image.Image, profile: bytes | None, notes: list[str], opened: OpenedPicture, field: str
) -> tuple[Pixels, Plane | None, bytes | None]:
    """Bring an 8-bit picture of any mode to RGB, with its alpha and the profile its pixels now have."""
    image = _plain(image, notes)
    if image.mode in ("1", "L", "LA"):
        return _grey(image, profile, notes)
    if image.mode == "CMYK":
        notes.append("cmyk_converted")
        return _through(image, profile, notes), None, None
    if image.mode not in ("RGB", "RGBA"):
        raise unsupported_mode(field, opened.media_type, image.mode)
    values = np.asarray(image)
    alpha = np.ascontiguousarray(values[:, :, 3]) if image.mode == "RGBA" else None
    pixels, kept = _keep_profile(np.ascontiguousarray(values[:, :, :3]), profile, notes)
    return pixels, alpha, kept


_PLAINER = {"PA": "RGBA", "P": "RGB", "RGBX": "RGB", "RGBa": "RGBA", "La": "LA", "YCbCr": "RGB"}


def _plain(image: Image.Image, notes: list[str]) -> Image.Image:
    """Expand palettes and turn a transparent colour (PNG tRNS, GIF) into an alpha plane."""
    if image.mode in ("P", "PA"):
        notes.append("palette_expanded")
    if "transparency" in image.info and image.mode in ("1", "L", "P", "RGB"):
        return image.convert("RGBA" if image.mode in ("P", "RGB") else "LA")
    return image.convert(_PLAINER[image.mode]) if image.mode in _PLAINER else image


def _grey(image: Image.Image, profile: bytes | None, notes: list[str]) -> tuple[Pixels, Plane | None, bytes | None]:
    notes.append("grey_expanded")
    alpha = np.array(image.getchannel("A")) if image.mode == "LA" else None
    plane = image.getchannel("L") if image.mode == "LA" else image.convert("L")
    return _through(plane, profile, notes), alpha, None


def _through(image: Image.Image, profile: bytes | None, notes: list[str]) -> Pixels:
    """Convert grey or CMYK to sRGB, through the profile where it is usable."""
    space = {"L": b"GRAY", "CMYK": b"CMYK"}[image.mode]
    if profile is not None:
        if profile[_PROFILE_SPACE] == space and can_convert(profile, image.mode, inwards=True):
            return image_to_srgb(image, profile)
        notes.append("profile_ignored")
    return np.array(image.convert("RGB"))


def _keep_profile(pixels: Pixels, profile: bytes | None, notes: list[str]) -> tuple[Pixels, bytes | None]:
    """Keep an RGB profile that converts both ways; convert by one that only leads to sRGB; ignore any other."""
    if profile is None:
        return pixels, None
    if profile[_PROFILE_SPACE] != b"RGB " or not can_convert(profile, "RGB", inwards=True):
        notes.append("profile_ignored")
        return pixels, None
    if can_convert(profile, "RGB", inwards=False):
        return pixels, profile
    notes.append("profile_converted")
    return image_to_srgb(Image.fromarray(np.ascontiguousarray(pixels)), profile), None


def _eight_bits(values: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _is_deep(opened: OpenedPicture) -> bool:
    """Tell whether a colour picture has 16 bits, of which Pillow would only keep the upper 8."""
    if opened.image.mode not in ("RGB", "RGBA", "LA", "L"):
        return False
    if opened.media_type == "image/png":
        return opened.data[_PNG_DEPTH] == 16  # noqa: PLR2004 - bits
    if opened.media_type == "image/tiff":
        bits = opened.image.tag_v2.get(_TIFF_BITS_PER_SAMPLE, (8,))  # type: ignore[attr-defined]
        return bool(max(bits) == 16)  # noqa: PLR2004 - bits
    return False


def _reduced(opened: OpenedPicture) -> npt.NDArray[np.uint8] | None:
    """Round a 16-bit colour picture to 8 bits with OpenCV.

    Pillow has read the file by now, so it is whole; where OpenCV does not see the same picture (its upper 8 bits must
    be Pillow's values exactly), Pillow's truncated values stand: None.
    """
    decoded = cv2.imdecode(np.frombuffer(opened.data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        return None
    values = np.asarray(decoded, dtype=np.uint16)
    if values.ndim == 3:  # noqa: PLR2004 - colour
        values = values[:, :, [2, 1, 0, 3][: values.shape[2]]]
    truncating = np.asarray(opened.image)
    if opened.image.mode == "LA" and values.ndim == 3 and values.shape[2] == 4:  # noqa: PLR2004 - RGBA
        values = values[:, :, [0, 3]]
    if values.shape != truncating.shape or not np.array_equal((values >> 8).astype(np.uint8), truncating):
        return None
    return _eight_bits(values)
