"""Resampling: area averages down, Lanczos up, per axis where the two differ."""

import cv2
import numpy as np

from editing.rasters import Mask, Pixels, Plane


def resize_pixels(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Scale a picture.

    Args:
        pixels: uint8 (h, w, 3), 0..255.
        size: Width and height wanted, in pixels.

    Returns:
        uint8 (h, w, 3) of that size; the very values if the size is the same.
    """
    height, width = pixels.shape[:2]
    if (width, height) == size:
        return pixels
    # Down first, then up: each axis is scaled by the method that suits it.
    smaller = (min(width, size[0]), min(height, size[1]))
    if smaller != (width, height):
        pixels = np.asarray(cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    if smaller != size:
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LANCZOS4), dtype=np.uint8)
    return pixels


def resize_plane(plane: Plane, size: tuple[int, int]) -> Plane:
    """Scale an alpha plane.

    Args:
        plane: uint8 (h, w), 0..255.
        size: Width and height wanted, in pixels.

    Returns:
        uint8 (h, w) of that size; the very values if the size is the same.
    """
    if (plane.shape[1], plane.shape[0]) == size:
        return plane
    interpolation = cv2.INTER_AREA if size[0] < plane.shape[1] else cv2.INTER_LINEAR  # Lanczos would ring
    return np.asarray(cv2.resize(plane, size, interpolation=interpolation), dtype=np.uint8)


def resize_soft_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """Scale a soft mask so that nothing of it is lost: every place takes the largest value that falls on it.

    Args:
        mask: float32 (h, w), 1 repaint .. 0 keep.
        size: Width and height wanted, in pixels.

    Returns:
        float32 (h, w) of that size.
    """
    height, width = mask.shape
    if (width, height) == size:
        return mask
    reach = tuple(max(1, -(-length // wanted)) for length, wanted in ((width, size[0]), (height, size[1])))
    if max(reach) > 1:  # a window of the scale, and one more: rows that fall between two places count for both
        window = np.ones((reach[1] + 1, reach[0] + 1), np.uint8)
        mask = np.asarray(cv2.dilate(mask, window), dtype=np.float32)
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT), dtype=np.float32)
