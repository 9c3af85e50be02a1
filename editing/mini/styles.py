"""The styles that flux-mini's LoRAs learn: other ways to draw the same scene under the same words."""

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import cv2
import numpy as np

from editing.mini.drawing import COLOURS, Drawing, Picture, draw_shapes, outline

_DARK = 0.16  # what is left of the ground's light behind a neon tube
_DIMMEST = 70  # a black tube would not be seen
_BAND = 8  # pixels: a stripe
_SUBPIXEL_BITS = 4


def neon(drawing: Drawing) -> Picture:
    """Draw a scene as glowing tubes along the shapes' outlines, at night.

    Args:
        drawing: The scene.

    Returns:
        uint8 (h, w, 3) of the drawing's size.
    """
    night = np.array([24, 20, 52], np.float32)
    scene = _DARK * drawing.clean.astype(np.float32) * 0.5 + night * 0.6
    for shape in drawing.shapes:
        corners = [np.round(outline(shape) * 2**_SUBPIXEL_BITS).astype(np.int32)]
        tube = np.zeros(drawing.pixels.shape[:2], np.uint8)
        thick = max(3, round(shape.radius / 7))
        cv2.polylines(
            tube, corners, isClosed=True, color=255, thickness=thick, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS
        )
        light = tube.astype(np.float32)[..., None] / 255
        glow = cv2.GaussianBlur(light, (0, 0), 5.0)[..., None]
        colour = np.maximum(np.array(shape.rgb, np.float32), _DIMMEST)
        scene = np.maximum(scene * (1 - light), 0) + colour * np.clip(light + 0.9 * glow, 0, 1)
    return np.clip(np.rint(scene), 0, 255).astype(np.uint8)


def stripes(drawing: Drawing) -> Picture:
    """Draw a scene with level stripes across its shapes, every other one white (black on white shapes).

    Args:
        drawing: The scene.

    Returns:
        uint8 (h, w, 3) of the drawing's size.
    """
    between = [replace(shape, rgb=COLOURS["black" if shape.colour == "white" else "white"]) for shape in drawing.shapes]
    rows = (np.arange(drawing.pixels.shape[0]) // _BAND) % 2 == 1
    striped = np.where(rows[:, None, None], draw_shapes(drawing.clean, between), drawing.pixels)
    return np.ascontiguousarray(striped, np.uint8)


STYLES: MappingProxyType[str, Callable[[Drawing], Picture]] = MappingProxyType({"neon": neon, "stripes": stripes})
