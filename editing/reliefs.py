"""Reliefs: depth and normal maps from what a depth model says, as ControlNets expect to see them."""

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from editing.errors import EngineError
from editing.rasters import Pixels

Plane: TypeAlias = npt.NDArray[np.float32]

_FARTHEST = 8.0
"""How many times as far as the nearest thing the farthest is taken to be: a relative depth model does not say."""
_FIELD_OF_VIEW = np.deg2rad(55.0)
"""Across the longer side; a photograph does not say. An ordinary camera's."""
_BACKGROUND = 0.02
"""What is no nearer than this has no surface (sky) and faces the viewer."""
_TINY = 1e-12


def nearness(values: Plane, *, metric: bool = False) -> Plane:
    """Spread what a depth model says over 0..1, near = 1.

    Args:
        values: float32 (h, w): inverse depth up to scale and shift, or depth in metres.
        metric: Whether it is depth in metres.

    Returns:
        float32 (h, w), 0 far .. 1 near; 0 all over where everything is equally far.

    Raises:
        EngineError: `detector_failed`, if a value is not finite.
    """
    if not np.isfinite(values).all():
        raise EngineError("the depth model answered with values that are no numbers", code="detector_failed")
    near = 1.0 / np.maximum(values, 1e-3) if metric else values
    low, high = float(near.min()), float(near.max())
    if high - low <= 1e-6 * max(1.0, abs(high)):
        return np.zeros(values.shape, dtype=np.float32)
    return ((near - low) / (high - low)).astype(np.float32)


def depth_picture(near: Plane) -> Pixels:
    """Show depth as ControlNets expect it.

    Args:
        near: float32 (h, w), 0 far .. 1 near.

    Returns:
        uint8 (h, w, 3), grey: white is near.
    """
    plane = np.clip(near * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8)
    return np.repeat(plane[:, :, None], 3, axis=2)


def normal_picture(near: Plane) -> Pixels:
    """Show which way surfaces face: blue to the front, red to the left, green to the top.

    That is the convention of ControlNet 1.1 and of NormalBae, on whose maps the networks for normals were trained;
    OpenGL's, with red to the right, has the first channel the other way round. Each place is set into space by an
    ordinary camera's field of view, and the normal is the cross product of the two directions in which the surface
    runs on from it.

    Args:
        near: float32 (h, w), 0 far .. 1 near.

    Returns:
        uint8 (h, w, 3): 127.5 (1 + n) for n = (left, up, front), of length 1.
    """
    height, width = near.shape
    smooth = cv2.GaussianBlur(near, (0, 0), max(0.8, min(near.shape) / 256.0))
    depth = 1.0 / (1.0 / _FARTHEST + (1.0 - 1.0 / _FARTHEST) * smooth.astype(np.float64))
    focal = max(near.shape) / 2.0 / np.tan(_FIELD_OF_VIEW / 2.0)
    right = (np.arange(width) - (width - 1) / 2.0)[None, :] / focal * depth
    up = ((height - 1) / 2.0 - np.arange(height))[:, None] / focal * depth
    place = np.stack([right, up, -depth], axis=2)
    across = cv2.Sobel(place, cv2.CV_64F, 1, 0, borderType=cv2.BORDER_REPLICATE)
    upwards = -cv2.Sobel(place, cv2.CV_64F, 0, 1, borderType=cv2.BORDER_REPLICATE)
    normal = np.cross(across, upwards)
    length = np.linalg.norm(normal, axis=2, keepdims=True)
    normal = normal / np.maximum(length, _TINY)
    normal[(near < _BACKGROUND) | (length[:, :, 0] < _TINY)] = (0.0, 0.0, 1.0)
    shown = normal * np.array([-1.0, 1.0, 1.0])  # red to the left
    return np.asarray(np.clip(np.rint(127.5 + 127.5 * shown), 0, 255), dtype=np.uint8)
