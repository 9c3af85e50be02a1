"""Colour match: take the model's colour shift out of an edit, measured where the picture is known.

A model gives back the kept pixels too, with the colour error of its VAE and of its guidance. That error is measured on
the kept ring round the mask, carried smoothly over the mask, and subtracted. It varies over the picture, so a single
offset (or gain) for all of it would trade one edge's seam for another's.
"""

import cv2
import numpy as np
import numpy.typing as npt

from editing.rasters import Mask, Pixels

LARGEST_SHIFT = 40.0
"""Levels (of 255) by which a colour is corrected at most: beyond that it is content, not a shift."""
WORKING_SIDE = 64
"""The shift is smooth: it is measured on a picture of this longer side."""
REACHES = (0.02, 0.06, 0.2, 0.6)
"""Radii, as shares of the working picture's longer side, at which the ring is averaged: near pixels first."""


def match_colour(painted: Pixels, original: Pixels, repainted: Mask) -> Pixels:
    """Correct a painted picture by its smooth error on the kept pixels.

    Args:
        painted: What the model gave back, uint8 (h, w, 3), 0..255, sRGB.
        original: What it was given, same shape.
        repainted: float32 (h, w): above 0 where the model painted anew, 0 where it should have kept.

    Returns:
        uint8 (h, w, 3). Unchanged if nothing was to be kept.
    """
    kept = (repainted <= 0.0).astype(np.float32)
    if not kept.any():
        return painted
    height, width = kept.shape
    scale = min(1.0, WORKING_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    error = (original.astype(np.float32) - painted.astype(np.float32)) * kept[:, :, None]
    small_error = _shrunk(error, size)
    small_kept = _shrunk(kept, size)
    shift = _spread(small_error, small_kept)
    shift = np.clip(shift, -LARGEST_SHIFT, LARGEST_SHIFT)
    full = cv2.resize(shift, (width, height), interpolation=cv2.INTER_LINEAR)
    corrected = np.rint(painted.astype(np.float32) + np.asarray(full, dtype=np.float32))
    return np.asarray(np.clip(corrected, 0, 255), dtype=np.uint8)


def _shrunk(values: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _spread(error: npt.NDArray[np.float32], kept: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Average the error over kept pixels at growing radii; a nearer average wins as far as pixels support it."""
    longest = max(kept.shape)
    total = max(float(kept.sum()), 1e-6)
    shift = np.broadcast_to(error.sum(axis=(0, 1)) / total, error.shape).astype(np.float32)
    for reach in reversed(REACHES):
        sigma = max(0.8, reach * longest)
        weight = _blurred(kept, sigma)
        local = _blurred(error, sigma) / np.maximum(weight, 1e-6)[:, :, None]
        # a Gaussian with an eighth of its mass on kept pixels is trusted in full
        trust = np.clip(weight * 8.0, 0.0, 1.0)[:, :, None]
        shift = (trust * local + (1.0 - trust) * shift).astype(np.float32)
    return shift


def _blurred(values: npt.NDArray[np.float32], sigma: float) -> npt.NDArray[np.float32]:
    blurred = cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, dtype=np.float32)
