"""Decoding: from the bytes of an upload to a raster or a mask.

Accepted: PNG, JPEG (and MPO, first frame), WebP, TIFF, BMP and GIF, one frame each. The header is held against the
limits before pixels are decoded. No warning and no error of Pillow's own gets out.
"""

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np

from editing.errors import MaskError, PictureError
from editing.opening import PictureLimits, open_picture, quiet_pillow
from editing.rasters import Mask, Raster
from editing.sniffing import is_lossy, sniff_media_type
from editing.unpacking import Unpacked, unpack

__all__ = [
    "MaskPolarity",
    "MaskReading",
    "PictureLimits",
    "decode_mask",
    "decode_picture",
    "read_mask",
    "sniff_media_type",
]

MASK_SNAP = 32
"""In a lossily compressed mask, values this near to 0 or 255 are taken for 0 or 255: ringing is not intent."""

DEFAULT_LIMITS = PictureLimits()


class MaskPolarity(StrEnum):
    """Which part of a mask file is edited."""

    AUTO = "auto"
    """`transparent` if the file has an alpha plane that is not constant (the OpenAI rule), else `white`."""
    WHITE = "white"
    BLACK = "black"
    TRANSPARENT = "transparent"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskReading:
    """A mask and how it was read.

    Attributes:
        mask: float32 (h, w), 1 repaint .. 0 keep.
        polarity: The polarity applied, never AUTO.
        notes: What decoding did, such as `lossy_snapped`.
    """

    mask: Mask
    polarity: MaskPolarity
    notes: tuple[str, ...]


def decode_picture(data: bytes, limits: PictureLimits = DEFAULT_LIMITS, *, field: str = "image") -> Raster:
    """Decode a picture.

    Args:
        data: A file.
        limits: How large it may be.
        field: Name of the request field, for the errors.

    Returns:
        Its raster: 8-bit RGB in its own profile, upright, with its alpha plane.

    Raises:
        PictureError: A `picture_*` code.
    """
    with quiet_pillow():
        unpacked = unpack(open_picture(data, limits, field=field), field=field)
    return Raster(pixels=unpacked.pixels, alpha=unpacked.alpha, icc_profile=unpacked.icc_profile, notes=unpacked.notes)


def decode_mask(
    data: bytes,
    *,
    size: tuple[int, int],
    limits: PictureLimits = DEFAULT_LIMITS,
    polarity: MaskPolarity = MaskPolarity.AUTO,
    field: str = "mask",
) -> Mask:
    """Decode a mask for a picture of a given size; see `read_mask`.

    Args:
        data: A file.
        size: Width and height of the picture, upright, in pixels.
        limits: How large the file may be.
        polarity: Which part is edited.
        field: Name of the request field, for the errors.

    Returns:
        float32 (h, w), 1 repaint .. 0 keep.

    Raises:
        MaskError: A `mask_*` code.
    """
    return read_mask(data, size=size, limits=limits, polarity=polarity, field=field).mask


def read_mask(
    data: bytes,
    *,
    size: tuple[int, int],
    limits: PictureLimits = DEFAULT_LIMITS,
    polarity: MaskPolarity = MaskPolarity.AUTO,
    field: str = "mask",
) -> MaskReading:
    """Decode a mask, and say how it was read.

    Args:
        data: A file; its own EXIF rotation applies.
        size: Width and height of the picture, upright, in pixels.
        limits: How large the file may be.
        polarity: Which part is edited.
        field: Name of the request field, for the errors.

    Returns:
        The mask, the polarity applied and notes.

    Raises:
        MaskError: `mask_size_mismatch`, `mask_no_alpha`, `mask_empty`, or the mask's own `mask_unreadable`,
            `mask_truncated`, `mask_too_large`, `mask_animated`, `mask_format_unsupported`.
    """
    try:
        with quiet_pillow():
            opened = open_picture(data, limits, field=field)
            _check_mask_size(opened.size, size, field)
            unpacked = unpack(opened, field=field)
    except PictureError as error:
        code = "mask_unreadable" if error.code == "picture_empty" else error.code.replace("picture_", "mask_", 1)
        raise MaskError(f"mask: {error}", code=code, field=error.field, value=error.value, limit=error.limit) from error
    applied = _resolve(polarity, unpacked, field)
    levels, notes = _levels(unpacked, applied), unpacked.notes
    if is_lossy(data):
        snapped = np.where(levels <= MASK_SNAP, 0, np.where(levels >= 255 - MASK_SNAP, 255, levels))
        levels, notes = snapped.astype(np.uint8), (*notes, "lossy_snapped")
    if not levels.any():
        raise MaskError(
            f"the mask marks nothing to edit (polarity {applied.value})",
            code="mask_empty",
            field=field,
            value=applied.value,
        )
    return MaskReading(mask=levels.astype(np.float32) / np.float32(255.0), polarity=applied, notes=notes)


def _check_mask_size(given: tuple[int, int], wanted: tuple[int, int], field: str) -> None:
    if given != wanted:
        raise MaskError(
            f"the mask must have the picture's size {wanted[0]}x{wanted[1]}, got {given[0]}x{given[1]}",
            code="mask_size_mismatch",
            field=field,
            value=f"{given[0]}x{given[1]}",
            limit=f"{wanted[0]}x{wanted[1]}",
        )


def _resolve(polarity: MaskPolarity, unpacked: Unpacked, field: str) -> MaskPolarity:
    if polarity is MaskPolarity.TRANSPARENT and unpacked.alpha is None:
        raise MaskError(
            "mask_polarity transparent needs a mask with an alpha plane, and this one has none",
            code="mask_no_alpha",
            field=field,
            value=polarity.value,
            limit=[MaskPolarity.WHITE.value, MaskPolarity.BLACK.value],
        )
    if polarity is not MaskPolarity.AUTO:
        return polarity
    varies = unpacked.alpha is not None and int(unpacked.alpha.min()) != int(unpacked.alpha.max())
    return MaskPolarity.TRANSPARENT if varies else MaskPolarity.WHITE


def _levels(unpacked: Unpacked, polarity: MaskPolarity) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Edit strength of every pixel, uint8 (h, w), 255 repaint .. 0 keep."""
    if polarity is MaskPolarity.TRANSPARENT and unpacked.alpha is not None:
        return np.asarray(255 - unpacked.alpha, dtype=np.uint8)
    luminance = np.asarray(cv2.cvtColor(np.ascontiguousarray(unpacked.pixels), cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    return np.asarray(255 - luminance, dtype=np.uint8) if polarity is MaskPolarity.BLACK else luminance
