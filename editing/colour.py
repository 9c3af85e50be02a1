"""Colour management: between a source's own profile and sRGB, which is what the model sees.

LittleCMS does the arithmetic, through Pillow. Relative colorimetric with black point compensation both ways, so that a
colour that sRGB can show comes back as itself.
"""

import functools
import io
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from editing.rasters import Pixels, Raster

_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION


@functools.cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@functools.lru_cache(maxsize=8)
def _transform(icc_profile: bytes, mode: str, *, inwards: bool) -> ImageCms.ImageCmsTransform:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
    source, target = (profile, _srgb()) if inwards else (_srgb(), profile)
    modes = (mode, "RGB") if inwards else ("RGB", mode)
    return ImageCms.buildTransform(source, target, *modes, renderingIntent=_INTENT, flags=_FLAGS)


def _apply(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Pixels:
    return np.array(cast("Image.Image", ImageCms.applyTransform(image, transform)))


def can_convert(icc_profile: bytes, mode: str, *, inwards: bool) -> bool:
    """Tell whether a profile can be used.

    Args:
        icc_profile: Bytes of an ICC profile, possibly damaged.
        mode: Pillow mode of the pixels it describes: `RGB`, `L` or `CMYK`.
        inwards: True for towards sRGB, False for back.

    Returns:
        False if LittleCMS cannot build the conversion.
    """
    try:
        _transform(icc_profile, mode, inwards=inwards)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return False
    return True


def image_to_srgb(image: Image.Image, icc_profile: bytes) -> Pixels:
    """Convert a picture of any mode to sRGB through its profile.

    Args:
        image: A Pillow picture of mode `RGB`, `L` or `CMYK`.
        icc_profile: Its profile, for which `can_convert(..., inwards=True)` holds.

    Returns:
        uint8 (h, w, 3), 0..255, sRGB.
    """
    return _apply(image, _transform(icc_profile, image.mode, inwards=True))


def to_srgb(pixels: Pixels, icc_profile: bytes | None) -> Pixels:
    """Convert pixels from a raster's profile to sRGB.

    Args:
        pixels: uint8 (h, w, 3), 0..255.
        icc_profile: Their profile; None means that they are sRGB already.

    Returns:
        uint8 (h, w, 3), 0..255, sRGB.
    """
    if icc_profile is None:
        return pixels
    return _apply(Image.fromarray(pixels), _transform(icc_profile, "RGB", inwards=True))


def from_srgb(pixels: Pixels, icc_profile: bytes | None) -> Pixels:
    """Convert pixels from sRGB to a raster's profile.

    Args:
        pixels: uint8 (h, w, 3), 0..255, sRGB.
        icc_profile: The profile wanted; None means sRGB.

    Returns:
        uint8 (h, w, 3), 0..255.
    """
    if icc_profile is None:
        return pixels
    return _apply(Image.fromarray(pixels), _transform(icc_profile, "RGB", inwards=False))


def lab(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Convert sRGB to CIE Lab, in which distances are CIE76 dE.

    Args:
        pixels: uint8 (h, w, 3), 0..255, sRGB.

    Returns:
        float32 (h, w, 3), L in 0..100.
    """
    scaled = pixels.astype(np.float32) / 255
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB), dtype=np.float32)


def srgb_pixels(raster: Raster) -> Pixels:
    """Convert a whole raster to sRGB, for screening and for models.

    Args:
        raster: Any raster.

    Returns:
        uint8 (h, w, 3), 0..255, sRGB; transparency plays no part.
    """
    return to_srgb(raster.pixels, raster.icc_profile)
