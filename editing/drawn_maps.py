"""Drawn maps: control images that OpenCV alone can make, of no weights.

`canny`, `lineart_standard` and `grey` are what others make, bit for bit; `gradient` is ours, for soft edges where no
network is at hand; `tile`, `blur` and `low_quality` spoil a picture as the makers of such ControlNets did to train
them: the net then paints what the picture was before.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from editing.colour import lab
from editing.guides import Detector
from editing.rasters import Pixels

_Plane: TypeAlias = npt.NDArray[np.float32]

_LINE_BLUR = 6.0
_FAINT = 8.0
_SCALES = (1.0, 2.0, 4.0)
_EDGE_AT = 512
"""Side of the square at which the finest scale of `gradient` is one pixel."""
_WEAKEST = 2.0
_FULL = 18.0
"""Slopes of `gradient`, in units of Lab over one scale: none below the first; nine tenths of white at the second."""
_TILE_FACTOR = 4
_BLUR_PART = 128
"""`blur` spreads by the shorter side over this: 8 pixels at 1024, a kernel of about 50."""
_POOR_FACTORS = (2, 4)
_POOR_SIDE = 128
"""`low_quality` makes the shorter side about this long, unless that takes more or less than these factors."""
_POOR_NOISE = 8.0
_POOR_JPEG = 40
_POOR_SEED = 20240901


def canny(pixels: Pixels, low: int, high: int) -> Pixels:
    """Find edges exactly as controlnet-aux's CannyDetector does, at the picture's own size.

    ControlNets for edges were trained on this: OpenCV's Canny on the three colour channels.

    Args:
        pixels: uint8 (h, w, 3), 0..255, sRGB.
        low: Lower threshold.
        high: Upper threshold.

    Returns:
        uint8 (h, w, 3): 255 on an edge, 0 elsewhere.
    """
    return _three(cv2.Canny(np.ascontiguousarray(pixels), low, high))


def gradient(pixels: Pixels) -> Pixels:
    """Draw soft edges by the slope of colour that lasts over several scales, thinned to its ridges.

    At each scale the slope is the larger eigenvalue of the colour tensor (Di Zenzo, "A note on the gradient of a
    multi-image", 1986) in CIE Lab, so that colours of one lightness have edges too. Scales are joined by their
    geometric mean: what shows at one scale only, grain and fine texture, fades. A ridge is as bright as it is steep.

    Args:
        pixels: uint8 (h, w, 3), 0..255, sRGB.

    Returns:
        uint8 (h, w, 3), grey: soft lines, brighter where the edge is stronger, on black.
    """
    unit = max(1.0, float(np.sqrt(pixels.shape[0] * pixels.shape[1])) / _EDGE_AT)
    seen = lab(pixels)
    slopes = [_slope(seen, scale * unit) for scale in _SCALES]
    strength = np.cbrt(np.prod([each[0] for each in slopes], axis=0)).astype(np.float32)
    ridges = _thinned(strength, *slopes[1][1:])
    bright = 1.0 - np.power(10.0, -np.maximum(ridges - _WEAKEST, 0.0) / _FULL)
    soft = cv2.GaussianBlur(bright.astype(np.float32), (0, 0), unit)
    # a line one pixel wide keeps its brightness on its ridge
    lines = np.clip(soft * (unit * np.sqrt(2.0 * np.pi)), 0.0, 1.0)
    return _three((lines * 255.0 + 0.5).astype(np.uint8))


def _slope(seen: _Plane, sigma: float) -> tuple[_Plane, _Plane, _Plane]:
    """Steepness over one scale, and the direction (across, down) in which colour changes most."""
    smooth = cv2.GaussianBlur(seen, (0, 0), sigma)
    across = cv2.Scharr(smooth, cv2.CV_32F, 1, 0, scale=sigma / 32.0).astype(np.float64)
    down = cv2.Scharr(smooth, cv2.CV_32F, 0, 1, scale=sigma / 32.0).astype(np.float64)
    xx, yy, xy = (across**2).sum(2), (down**2).sum(2), (across * down).sum(2)
    spread = np.sqrt((xx - yy) ** 2 + 4.0 * xy**2)
    angle = 0.5 * np.arctan2(2.0 * xy, xx - yy)
    steep = np.sqrt(np.maximum((xx + yy + spread) / 2.0, 0.0))
    return steep.astype(np.float32), np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def _thinned(strength: _Plane, across: _Plane, down: _Plane) -> _Plane:
    """Keep what is no weaker than its two neighbours along the slope."""
    height, width = strength.shape
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    ridge = np.ones(strength.shape, dtype=bool)
    for side in (-1.0, 1.0):
        beside = cv2.remap(
            strength, columns + side * across, rows + side * down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        ridge &= strength >= beside
    return np.where(ridge, strength, 0.0).astype(np.float32)


def lineart_standard(pixels: Pixels) -> Pixels:
    """Draw what is darker than its surroundings, exactly as controlnet-aux's LineartStandardDetector does.

    Args:
        pixels: uint8 (h, w, 3), 0..255, sRGB.

    Returns:
        uint8 (h, w, 3), grey: white lines on black.
    """
    picture = pixels.astype(np.float32)
    darker = (cv2.GaussianBlur(picture, (0, 0), _LINE_BLUR) - picture).min(axis=2).clip(0.0, 255.0)
    lines = darker[darker > _FAINT]
    usual = max(16.0, float(np.median(lines))) if lines.size else 16.0
    return _three((darker / np.float32(usual) * 127).clip(0, 255).astype(np.uint8))


def tile(pixels: Pixels) -> Pixels:
    """Leave out the fine detail: down to a quarter of each side, and up again.

    Args:
        pixels: uint8 (h, w, 3), 0..255, sRGB.

    Returns:
        uint8 (h, w, 3).
    """
    return _enlarged(_reduced(pixels, _TILE_FACTOR), pixels)


def blur(pixels: Pixels) -> Pixels:
    """Blur by a Gaussian.

    Args:
        pixels: uint8 (h, w, 3), 0..255, sRGB.

    Returns:
        uint8 (h, w, 3).
    """
    spread = max(0.5, min(pixels.shape[:2]) / _BLUR_PART)
    return np.asarray(cv2.GaussianBlur(np.ascontiguousarray(pixels), (0, 0), spread), dtype=np.uint8)


def grey(pixels: Pixels) -> Pixels:
    """Take the colour out: luma by ITU-R BT.601, as OpenCV computes it.

    Args:
        pixels: uint8 (h, w, 3), 0..255, sRGB.

    Returns:
        uint8 (h, w, 3), the three channels equal.
    """
    return _three(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY))


def low_quality(pixels: Pixels) -> Pixels:
    """Spoil a picture: make it small, noisy (the same noise every time), compress it strongly, and enlarge it again.

    Args:
        pixels: uint8 (h, w, 3), 0..255, sRGB.

    Returns:
        uint8 (h, w, 3).
    """
    factor = int(np.clip(min(pixels.shape[:2]) // _POOR_SIDE, *_POOR_FACTORS))
    small = _reduced(pixels, factor).astype(np.float32)
    noise = np.random.default_rng(_POOR_SEED).normal(0.0, _POOR_NOISE, small.shape)
    noisy = np.clip(np.rint(small + noise), 0, 255).astype(np.uint8)
    _, packed = cv2.imencode(".jpg", noisy[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _POOR_JPEG])
    poor = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)
    return _enlarged(np.ascontiguousarray(poor[:, :, ::-1]), pixels)


def _reduced(pixels: Pixels, factor: int) -> Pixels:
    size = max(1, round(pixels.shape[1] / factor)), max(1, round(pixels.shape[0] / factor))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _enlarged(small: Pixels, like: Pixels) -> Pixels:
    size = like.shape[1], like.shape[0]
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def _three(plane: npt.NDArray[Any]) -> Pixels:
    return np.repeat(plane[:, :, None], 3, axis=2).astype(np.uint8)


_DRAWN: Final[Mapping[Detector, Callable[[Pixels], Pixels]]] = MappingProxyType(
    {
        Detector.GRADIENT: gradient,
        Detector.LINEART_STANDARD: lineart_standard,
        Detector.TILE: tile,
        Detector.BLUR: blur,
        Detector.GREY: grey,
        Detector.LOW_QUALITY: low_quality,
    }
)


def drawn_map(pixels: Pixels, detector: Detector, *, low: int, high: int) -> Pixels | None:
    """Make a control image, if no weights are needed for it.

    Args:
        pixels: uint8 (h, w, 3), 0..255, sRGB.
        detector: What makes it.
        low: Lower Canny threshold.
        high: Upper Canny threshold.

    Returns:
        uint8 (h, w, 3), of the same size; None for a detector that needs weights.
    """
    if detector is Detector.CANNY:
        return canny(pixels, low, high)
    draw = _DRAWN.get(detector)
    return None if draw is None else draw(pixels)
