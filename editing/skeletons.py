"""Skeletons: people as joints and limbs, drawn in the colours on which ControlNets for poses were trained.

Points, limbs and colours are those of OpenPose (Cao and others, 2017) with 18 points; sizes are those of ControlNet's
drawing on a picture whose shorter side is 512 pixels, and grow with it.
"""

import math
from collections.abc import Sequence
from typing import Final, TypeAlias

import cv2
import numpy as np

from editing.rasters import Pixels

Point: TypeAlias = tuple[float, float]
"""Place across and down, as shares of the picture's width and height."""
Skeleton: TypeAlias = Sequence[Point | None]
"""The 18 points of OpenPose in its order; None for one that is not seen."""

POINTS: Final = 18
_FROM_COCO: Final = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
"""Which of COCO's 17 points is each of OpenPose's 18; the neck is none of them."""
_SHOULDERS = (5, 6)
_NECK = 1
_LIMBS: Final = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10),
    (1, 11), (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
_LIMB_SHADE = 0.6
_RADIUS = 4
_RADIUS_AT = 512


COLOURS: Final = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0),
    (0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255),
    (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85),
)  # fmt: skip
"""Once round the colour circle: of the points, and, darkened, of the limbs; red, green, blue."""


def from_coco(points: Skeleton) -> list[Point | None]:
    """Put COCO's points into OpenPose's order; the neck is the middle of the shoulders.

    Args:
        points: COCO's 17 points in its order.

    Returns:
        OpenPose's 18.
    """
    mapped = [None if index is None else points[index] for index in _FROM_COCO]
    left, right = points[_SHOULDERS[0]], points[_SHOULDERS[1]]
    if left is not None and right is not None:
        mapped[_NECK] = ((left[0] + right[0]) / 2.0, (left[1] + right[1]) / 2.0)
    return mapped


def draw_skeletons(skeletons: Sequence[Skeleton], size: tuple[int, int]) -> Pixels:
    """Draw people on black: limbs first, then joints.

    Args:
        skeletons: The people, each 18 points; later ones lie over earlier ones.
        size: Width and height of the picture.

    Returns:
        uint8 (h, w, 3) of that size.
    """
    width, height = size
    canvas = np.zeros((height, width, 3), dtype=np.uint8)
    radius = max(1, round(_RADIUS * min(size) / _RADIUS_AT))
    for skeleton in skeletons:
        for (first, last), colour in zip(_LIMBS, COLOURS, strict=False):  # there is one colour more than limbs
            _draw_limb(canvas, skeleton[first], skeleton[last], radius, colour)
        for point, colour in zip(skeleton, COLOURS, strict=True):
            if point is not None:
                cv2.circle(canvas, (int(point[0] * width), int(point[1] * height)), radius, colour, thickness=-1)
    return canvas


def _draw_limb(
    canvas: Pixels, first: Point | None, last: Point | None, radius: int, colour: tuple[int, int, int]
) -> None:
    """A slim ellipse from joint to joint."""
    if first is None or last is None:
        return
    height, width = canvas.shape[:2]
    across = (first[0] - last[0]) * width
    down = (first[1] - last[1]) * height
    middle = int((first[0] + last[0]) / 2.0 * width), int((first[1] + last[1]) / 2.0 * height)
    axes = int(math.hypot(across, down) / 2.0), radius
    outline = cv2.ellipse2Poly(middle, axes, int(math.degrees(math.atan2(down, across))), 0, 360, 1)
    cv2.fillConvexPoly(canvas, np.asarray(outline), [int(part * _LIMB_SHADE) for part in colour])
