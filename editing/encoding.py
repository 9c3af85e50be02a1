"""Encoding: from a raster to the bytes of a file.

PNG and lossless WebP decode to the raster they were made from, value for value; JPEG and lossy WebP are its likeness.
"""

import io
from enum import StrEnum

import numpy as np
from PIL import Image

from editing.errors import PictureError
from editing.rasters import Raster

DEFAULT_QUALITY = 92
QUALITY = (1, 100)
_WEBP_SIDE = 16_383
_JPEG_SIDE = 65_500  # libjpeg's JPEG_MAX_DIMENSION


class OutputFormat(StrEnum):
    """Kinds of file that can be asked for."""

    PNG = "png"
    WEBP = "webp"
    """Lossless."""
    WEBP_LOSSY = "webp_lossy"
    JPEG = "jpeg"


def media_type(output_format: OutputFormat) -> str:
    """Name the media type of a format.

    Args:
        output_format: The format.

    Returns:
        Such as `image/png`.
    """
    return "image/webp" if output_format is OutputFormat.WEBP_LOSSY else f"image/{output_format.value}"


def is_lossless(output_format: OutputFormat) -> bool:
    """Tell whether a format gives back every pixel value.

    Args:
        output_format: The format.

    Returns:
        True for PNG and lossless WebP.
    """
    return output_format in (OutputFormat.PNG, OutputFormat.WEBP)


def encode_picture(raster: Raster, output_format: OutputFormat, quality: int | None = None) -> bytes:
    """Encode a raster, with its profile and, where the format has one, its alpha plane.

    Args:
        raster: What to encode.
        output_format: Kind of file.
        quality: 1..100 for the lossy formats, 92 if None; PNG and lossless WebP ignore it.

    Returns:
        The file. JPEG has no alpha: the picture is laid over white.

    Raises:
        PictureError: `quality_out_of_range`, or `picture_too_large` for what the format can hold.
    """
    grade = DEFAULT_QUALITY if quality is None else quality
    if not QUALITY[0] <= grade <= QUALITY[1]:
        raise PictureError(
            f"quality must lie in {QUALITY[0]}..{QUALITY[1]}, got {grade}",
            code="quality_out_of_range",
            field="quality",
            value=grade,
            limit=list(QUALITY),
        )
    check_side(raster.size, output_format)
    file = io.BytesIO()
    profile = raster.icc_profile or b""
    match output_format:
        case OutputFormat.PNG:
            _image(raster).save(file, "PNG", icc_profile=profile)
        case OutputFormat.WEBP:
            # exact: without it the encoder rewrites the colour of transparent pixels
            _image(raster).save(file, "WEBP", lossless=True, exact=True, quality=50, icc_profile=profile)
        case OutputFormat.WEBP_LOSSY:
            _image(raster).save(file, "WEBP", quality=grade, icc_profile=profile)
        case OutputFormat.JPEG:
            _over_white(raster).save(file, "JPEG", quality=grade, subsampling=0, icc_profile=profile)
    return file.getvalue()


def check_side(size: tuple[int, int], output_format: OutputFormat) -> None:
    """Check that a format can hold a picture of some size; asked before an edit, it saves painting it for nothing.

    Args:
        size: Width and height, in pixels.
        output_format: Kind of file.

    Raises:
        PictureError: `picture_too_large`.
    """
    sides = {OutputFormat.WEBP: _WEBP_SIDE, OutputFormat.WEBP_LOSSY: _WEBP_SIDE, OutputFormat.JPEG: _JPEG_SIDE}
    limit = sides.get(output_format)
    if limit is not None and max(size) > limit:
        raise PictureError(
            f"{output_format.value} holds sides up to {limit} pixels, got {size[0]}x{size[1]}",
            code="picture_too_large",
            field="output_format",
            value=max(size),
            limit=limit,
        )


def _image(raster: Raster) -> Image.Image:
    if raster.alpha is None:
        return Image.fromarray(raster.pixels)
    return Image.fromarray(np.dstack([raster.pixels, raster.alpha]))


def _over_white(raster: Raster) -> Image.Image:
    if raster.alpha is None:
        return Image.fromarray(raster.pixels)
    alpha = raster.alpha.astype(np.uint16)[:, :, None]
    laid = (raster.pixels.astype(np.uint16) * alpha + np.uint16(255) * (255 - alpha) + 127) // 255
    return Image.fromarray(laid.astype(np.uint8))
