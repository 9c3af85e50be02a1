"""Control images to practise with: one of each kind for a drawing, a little different every time.

The maps vary more than any one detector's do, so that what is learnt from them follows other detectors' maps too.
"""

from collections.abc import Callable
from types import MappingProxyType

import cv2
import numpy as np
import numpy.typing as npt

from editing import drawn_maps
from editing.guides import ControlKind
from editing.mini.drawing import Drawing, Picture
from editing.mini.geometry import Relief, depth_map, normal_map

Grey = npt.NDArray[np.floating]
_PLAIN = 0.6
"""Share of the maps that are made just as the service makes them of itself."""

Maker = Callable[[np.random.Generator, Drawing], Picture]


def control_map(rng: np.random.Generator, kind: ControlKind, drawing: Drawing) -> Picture:
    """Make a control image of a drawing.

    Args:
        rng: Source of what varies.
        kind: One of `KINDS`.
        drawing: What the image is of.

    Returns:
        uint8 (h, w, 3).
    """
    return MAKERS[kind](rng, drawing)


def _canny(_rng: np.random.Generator, drawing: Drawing) -> Picture:
    return drawn_maps.canny(drawing.pixels, 100, 200)


def _soft_edge(rng: np.random.Generator, drawing: Drawing) -> Picture:
    """Ridges of colour's slope, or the strongest channel's gradient, as smooth as learned detectors draw it."""
    if rng.random() < _PLAIN:
        return drawn_maps.gradient(drawing.pixels)
    seen = cv2.GaussianBlur(drawing.pixels.astype(np.float32), (0, 0), rng.uniform(0.6, 1.8))
    strength = np.hypot(cv2.Sobel(seen, cv2.CV_32F, 1, 0), cv2.Sobel(seen, cv2.CV_32F, 0, 1)).max(axis=-1)
    strength = strength / max(40.0, float(np.quantile(strength, rng.uniform(0.97, 0.999))))
    return _threefold(255 * np.clip(strength, 0, 1) ** rng.uniform(0.7, 1.4))


def _line_art(rng: np.random.Generator, drawing: Drawing) -> Picture:
    """White lines on black: what is darker than its surroundings, or outlines as an artist draws them."""
    if rng.random() < _PLAIN:
        return drawn_maps.lineart_standard(drawing.pixels)
    lines = cv2.dilate(drawn_maps.canny(drawing.pixels, 100, 200), np.ones((2, 2), np.uint8))
    return np.asarray(cv2.GaussianBlur(lines, (0, 0), rng.uniform(0.4, 0.9)), np.uint8)


def _depth(rng: np.random.Generator, drawing: Drawing) -> Picture:
    return depth_map(_size(drawing), drawing.shapes, _relief(rng))


def _normal(rng: np.random.Generator, drawing: Drawing) -> Picture:
    return normal_map(_size(drawing), drawing.shapes, _relief(rng))


def _tile(rng: np.random.Generator, drawing: Drawing) -> Picture:
    """What is left of the picture after it was small, or the picture itself."""
    return (
        drawn_maps.tile(drawing.pixels) if rng.random() < _PLAIN else _once_small(drawing.pixels, rng.choice([1, 2, 8]))
    )


def _blur(rng: np.random.Generator, drawing: Drawing) -> Picture:
    return np.asarray(cv2.GaussianBlur(drawing.pixels, (0, 0), rng.uniform(0.8, 8)), np.uint8)


def _grey(_rng: np.random.Generator, drawing: Drawing) -> Picture:
    return drawn_maps.grey(drawing.pixels)


def _low_quality(rng: np.random.Generator, drawing: Drawing) -> Picture:
    """Small once, noisy, and a bad JPEG."""
    if rng.random() < _PLAIN:
        return drawn_maps.low_quality(drawing.pixels)
    poor = _once_small(drawing.pixels, rng.uniform(1.5, 6)).astype(np.float32)
    poor += rng.normal(0, rng.uniform(2, 25), poor.shape)
    written = np.clip(np.rint(poor), 0, 255).astype(np.uint8)
    _, coded = cv2.imencode(".jpg", written, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(10, 60))])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


MAKERS: MappingProxyType[ControlKind, Maker] = MappingProxyType(
    {
        ControlKind.CANNY: _canny,
        ControlKind.SOFT_EDGE: _soft_edge,
        ControlKind.LINE_ART: _line_art,
        ControlKind.DEPTH: _depth,
        ControlKind.NORMAL: _normal,
        ControlKind.TILE: _tile,
        ControlKind.BLUR: _blur,
        ControlKind.GREY: _grey,
        ControlKind.LOW_QUALITY: _low_quality,
    }
)
KINDS = tuple(MAKERS)
"""All kinds but poses: nobody lives in a world of shapes."""


def _relief(rng: np.random.Generator) -> Relief:
    far = rng.uniform(0, 0.2)
    first = rng.uniform(0.45, 0.65)
    return Relief(
        far=far,
        near=far + rng.uniform(0.05, 0.25),
        first=first,
        step=rng.uniform(0, 0.2),
        bulge=rng.uniform(0.1, 0.3),
        rim=rng.uniform(0.4, 1.0),
    )


def _size(drawing: Drawing) -> tuple[int, int]:
    return drawing.pixels.shape[1], drawing.pixels.shape[0]


def _once_small(pixels: Picture, factor: float) -> Picture:
    height, width = pixels.shape[:2]
    small = cv2.resize(pixels, (round(width / factor), round(height / factor)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _threefold(grey: Grey) -> Picture:
    """Return grey values (h, w) as uint8 (h, w, 3)."""
    return np.repeat(np.clip(np.rint(grey), 0, 255).astype(np.uint8)[..., None], 3, axis=2)
