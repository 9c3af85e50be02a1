"""Depth and normals of a drawing, from its own geometry: what a 3D program would export of the same scene.

The ground is a plane that comes gently nearer from top to bottom; shapes stand on it as slabs with rounded rims, each
nearer than the one before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from editing.mini.drawing import Picture, Shape, draw_shapes

Heights = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relief:
    """How a drawing stands out; all heights in 0..1, 1 nearest.

    Attributes:
        far: Height of the ground at the top.
        near: Height of the ground at the bottom.
        first: Height of the first shape's rim; later shapes are nearer by `step`.
        step: Height from one shape to the next.
        bulge: How far a shape's middle stands out of its rim.
        rim: Share of a shape's radius over which it is rounded, 0..1; 1 is a dome.
    """

    far: float = 0.08
    near: float = 0.3
    first: float = 0.55
    step: float = 0.15
    bulge: float = 0.2
    rim: float = 0.6


USUAL = Relief()


def depth_map(size: tuple[int, int], shapes: Sequence[Shape], relief: Relief = USUAL) -> Picture:
    """Return a scene's depth as control images show it.

    Args:
        size: Width and height, pixels.
        shapes: What stands on the ground, in order.
        relief: How far it stands out.

    Returns:
        uint8 (h, w, 3), grey: white is near.
    """
    heights = np.clip(_heights(size, shapes, relief), 0, 1)
    return np.repeat(np.rint(255 * heights).astype(np.uint8)[..., None], 3, axis=2)


def normal_map(size: tuple[int, int], shapes: Sequence[Shape], relief: Relief = USUAL) -> Picture:
    """Return a scene's surface normals as control images show them.

    Args:
        size: Width and height, pixels.
        shapes: What stands on the ground, in order.
        relief: How far it stands out.

    Returns:
        uint8 (h, w, 3): blue faces the viewer, red the left, green the top, 0..255 for -1..1, as ControlNets for
            normals have it.
    """
    heights = _heights(size, shapes, relief) * (min(size) / 2)  # as many pixels high as a shape is wide
    smooth = cv2.GaussianBlur(heights, (0, 0), 1.0)
    across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8)
    facing = np.stack([across, down, np.ones_like(across)], axis=-1).astype(np.float64)
    normals = facing / np.linalg.norm(facing, axis=-1, keepdims=True)
    return np.asarray(np.rint((normals + 1) * 127.5), np.uint8)


def _heights(size: tuple[int, int], shapes: Sequence[Shape], relief: Relief) -> Heights:
    """Return the heights of a scene, float32 (h, w)."""
    width, height = size
    slope = np.linspace(relief.far, relief.near, height, dtype=np.float32)
    heights = np.repeat(slope[:, None], width, axis=1)
    for index, shape in enumerate(shapes):
        cover = coverage(size, [shape])
        inside = cv2.distanceTransform((cover > 0.5).astype(np.uint8), cv2.DIST_L2, 5)  # noqa: PLR2004 - mostly
        rise = np.clip(inside / max(1.0, relief.rim * shape.radius), 0, 1)
        slab = relief.first + index * relief.step + relief.bulge * np.sqrt(rise * (2 - rise))  # a quarter circle
        heights += cover * (slab - heights)
    return np.asarray(heights, np.float32)


def coverage(size: tuple[int, int], shapes: Sequence[Shape]) -> Heights:
    """Return how much of each pixel shapes cover, float32 (h, w), 0..1, for a width and height in pixels."""
    white = [replace(each, rgb=(255, 255, 255)) for each in shapes]
    drawn = draw_shapes(np.zeros((size[1], size[0], 3), np.uint8), white)[..., 0]
    return drawn.astype(np.float32) / np.float32(255)
