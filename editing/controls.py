"""Control images: what steers structure, at the size and place where the model runs.

Edges and lines are found in the part that the model sees, at the size at which it runs, as sharp as it can follow.
Depth, normals and poses are found in the whole picture and cut out of the map: how near a thing is, or which person a
hand belongs to, cannot be told from a part, and the parts of one edit must agree.
"""

import math
from fractions import Fraction

import numpy as np
from PIL import Image

from editing.boxes import Box
from editing.colour import srgb_pixels
from editing.detecting import DETECTORS, Detect, detector_of
from editing.drawn_maps import canny, drawn_map
from editing.errors import EngineError, OperationError
from editing.guides import Control, ControlMode, Detector
from editing.rasters import Pixels, Raster
from editing.resampling import resize_pixels

__all__ = ["canny", "control_image", "control_map"]

MOST_PIXELS = 2048 * 2048
"""A larger picture is made smaller before anything is detected in it, and its map is enlarged again."""
_AT_ANY_SIZE = frozenset({Detector.CANNY, Detector.GREY})
"""What takes little memory, and would change with the size."""
_LANCZOS = 3
"""Pixels to either side that Pillow's Lanczos filter reads."""


def control_image(
    control: Control,
    *,
    size: tuple[int, int],
    own: Pixels | None = None,
    whole: Raster | None = None,
    box: Box | None = None,
    frame: tuple[int, int] | None = None,
    detect: Detect | None = None,
) -> Pixels:
    """Make the control image of one control.

    Args:
        control: What is asked for.
        size: Width and height at which the model runs, in pixels.
        own: The operation's own picture as the model sees it, uint8 (h, w, 3), sRGB; None for generate.
        whole: All of the operation's own picture, of the frame's size; None: what is in `own` stands for it.
        box: Part of the whole picture that the model sees, in pixels; None for all of it.
        frame: Width and height of the whole picture; a control picture of another size is laid over all of it.
        detect: Makes the maps that need weights.

    Returns:
        uint8 (h, w, 3) of that size.

    Raises:
        OperationError: `control_picture_missing`, if neither the control nor the operation has a picture;
            `detector_missing` or `detector_unsuitable`.
        EngineError: The detector cannot be loaded, or failed.
    """
    picture = control.picture
    if picture is None and own is None:
        raise OperationError("a control without a picture", code="control_picture_missing", field="controls")
    detector = detector_of(control) if control.mode is ControlMode.PREPROCESS else None
    if detector is not None and DETECTORS[detector].whole:
        source = picture or whole
        seen = own if source is None else srgb_pixels(source)
        assert seen is not None  # noqa: S101 - for the type checker: one of the two was found above
        part = box if source is not None else None
        return _cut_from_whole(control, detector, seen, size, part, frame, detect)
    if picture is not None:
        seen = _part(srgb_pixels(picture), box, frame, size)
    else:
        assert own is not None  # noqa: S101 - as above
        seen = resize_pixels(np.ascontiguousarray(own), size)
    if detector is None:
        return seen
    return control_map(seen, detector, low=control.low, high=control.high, detect=detect)


def control_map(pixels: Pixels, detector: Detector, *, low: int, high: int, detect: Detect | None = None) -> Pixels:
    """Make the map of a picture, of the picture's size.

    Args:
        pixels: uint8 (h, w, 3), 0..255, sRGB.
        detector: What makes it.
        low: Lower Canny threshold.
        high: Upper Canny threshold.
        detect: Makes the maps that need weights.

    Returns:
        uint8 (h, w, 3), of the same size.

    Raises:
        EngineError: The detector cannot be loaded, or failed; `weights_missing`, if it needs weights and there is
            nothing that could load them.
    """
    size = pixels.shape[1], pixels.shape[0]
    seen = np.ascontiguousarray(pixels)
    if detector not in _AT_ANY_SIZE:
        seen = resize_pixels(seen, _bounded(size))
    made = drawn_map(seen, detector, low=low, high=high)
    if made is None:
        if detect is None:
            raise EngineError(
                f"{detector.value} needs weights, and nothing here loads any",
                code="weights_missing",
                field="detector",
                value=detector.value,
            )
        made = detect(seen, detector, low=low, high=high)
    return resize_pixels(made, size)


def _cut_from_whole(
    control: Control,
    detector: Detector,
    whole: Pixels,
    size: tuple[int, int],
    box: Box | None,
    frame: tuple[int, int] | None,
    detect: Detect | None,
) -> Pixels:
    """Detect in the whole picture, at the scale at which the model sees its part, and cut out that part."""
    if box is None or frame is None:
        box = Box(left=0, top=0, right=size[0], bottom=size[1])
        frame = size
    at = _bounded((round(frame[0] * size[0] / box.width), round(frame[1] * size[1] / box.height)))
    seen = resize_pixels(np.ascontiguousarray(whole), at)
    made = control_map(seen, detector, low=control.low, high=control.high, detect=detect)
    return _part(made, box, frame, size)


def _bounded(size: tuple[int, int]) -> tuple[int, int]:
    """The size itself, or one of the same shape that is not too large."""
    shrink = math.sqrt(MOST_PIXELS / max(MOST_PIXELS, size[0] * size[1]))
    return (size[0], size[1]) if shrink == 1.0 else (max(1, int(size[0] * shrink)), max(1, int(size[1] * shrink)))


def _part(pixels: Pixels, box: Box | None, frame: tuple[int, int] | None, size: tuple[int, int]) -> Pixels:
    """Cut out of a picture what lies at a box of the frame over which it is laid, at the model's size.

    A picture coarser than the frame has a box's borders between its pixels: it is read there, not at the next whole
    pixel, which would shift everything by up to one of its own.
    """
    height, width = pixels.shape[:2]
    if box is None or frame is None:
        return resize_pixels(np.ascontiguousarray(pixels), size)
    across, down = Fraction(width, frame[0]), Fraction(height, frame[1])
    left, top, right, bottom = box.left * across, box.top * down, box.right * across, box.bottom * down
    if all(each.denominator == 1 for each in (left, top, right, bottom)):
        return resize_pixels(np.ascontiguousarray(pixels[int(top) : int(bottom), int(left) : int(right)]), size)
    # No more of a large picture than the filter reaches.
    reach = math.ceil(_LANCZOS * max(1.0, float(right - left) / size[0], float(bottom - top) / size[1]))
    x, y = max(0, math.floor(left) - reach), max(0, math.floor(top) - reach)
    near = np.ascontiguousarray(pixels[y : math.ceil(bottom) + reach, x : math.ceil(right) + reach])
    between = float(left - x), float(top - y), float(right - x), float(bottom - y)
    return np.asarray(Image.fromarray(near).resize(size, Image.Resampling.LANCZOS, box=between), dtype=np.uint8)
