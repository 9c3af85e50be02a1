"""Control images: edges that steer structure, at the size and place where the model runs."""

import cv2
import numpy as np

from editing.boxes import Box
from editing.colour import srgb_pixels
from editing.errors import OperationError
from editing.guides import Control, ControlMode
from editing.rasters import Pixels
from editing.resampling import resize_pixels


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
    edges = cv2.Canny(np.ascontiguousarray(pixels), low, high)
    return np.repeat(edges[:, :, None], 3, axis=2).astype(np.uint8)


def control_image(
    control: Control,
    *,
    size: tuple[int, int],
    own: Pixels | None = None,
    box: Box | None = None,
    frame: tuple[int, int] | None = None,
) -> Pixels:
    """Make the control image of one control.

    Args:
        control: What is asked for.
        size: Width and height at which the model runs, in pixels.
        own: The operation's own picture as the model sees it, uint8 (h, w, 3), sRGB; None for generate.
        box: Part of the whole picture that the model sees, in pixels; None for all of it.
        frame: Width and height of the whole picture; a control picture of another size is laid over all of it.

    Returns:
        uint8 (h, w, 3) of that size: edges, white on black.

    Raises:
        OperationError: `control_picture_missing`, if neither the control nor the operation has a picture.
    """
    if control.picture is not None:
        seen = srgb_pixels(control.picture)
        if box is not None and frame is not None:
            seen = seen[_scaled(box, frame, control.picture.size).slices]
    elif own is not None:
        seen = own
    else:
        raise OperationError("a control without a picture", code="control_picture_missing", field="controls")
    seen = resize_pixels(np.ascontiguousarray(seen), size)
    return canny(seen, control.low, control.high) if control.mode is ControlMode.PREPROCESS else seen


def _scaled(box: Box, frame: tuple[int, int], size: tuple[int, int]) -> Box:
    """The same part of a picture of another size; at least one pixel."""
    across, down = size[0] / frame[0], size[1] / frame[1]
    left, top = min(int(box.left * across), size[0] - 1), min(int(box.top * down), size[1] - 1)
    right, bottom = max(left + 1, round(box.right * across)), max(top + 1, round(box.bottom * down))
    return Box(left=left, top=top, right=right, bottom=bottom)
