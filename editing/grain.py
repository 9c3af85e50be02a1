"""Grain: give painted pixels the noise of the picture they lie in.

A camera leaves noise in every pixel and a model does not, so that an edit without any other fault shows as a smooth
patch. The noise is measured where the picture is flat (Immerkaer, "Fast Noise Variance Estimation", 1996; its mean
replaced by a median, so that edges do not count), and what the painted pixels lack is drawn from a seed.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from editing.boxes import Box
from editing.colour import to_srgb
from editing.rasters import Mask, Pixels

LEAST = 0.7
"""Standard deviation, in levels of luma, below which a picture has no grain worth matching."""
MOST = 5.0
"""The same, above which it is texture, which noise does not imitate."""
SAMPLE_SIDE = 1024
"""Grain is measured on a cut of at most this side."""
FEWEST = 400
"""Pixels without which nothing is measured."""
FULL, EMPTY = 253, 2
"""Levels at which a sensor is full or black, and leaves no noise."""
_OPERATOR = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
_OPERATOR_GAIN = 6.0
_MAD = 0.6745

Field = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grain:
    """Noise to add to what was painted.

    Attributes:
        deviation: Standard deviation in levels, the same for all three channels at once; 0 adds nothing.
        seed: Where it is drawn from.
    """

    deviation: float = 0.0
    seed: int = 0

    def added(self, pixels: Pixels, top: int) -> Pixels:
        """Add it to some rows.

        Args:
            pixels: uint8 (h, w, 3), 0..255: rows of what was painted.
            top: Number of the first of them; the same rows get the same noise.

        Returns:
            uint8 (h, w, 3).
        """
        if self.deviation <= 0.0:
            return pixels
        rng = np.random.default_rng([self.seed, top])
        noise = rng.standard_normal(pixels.shape[:2], dtype=np.float32) * np.float32(self.deviation)
        noise[(pixels.min(axis=2) >= FULL) | (pixels.max(axis=2) <= EMPTY)] = 0.0
        return np.asarray(np.clip(np.rint(pixels + noise[:, :, None]), 0, 255), dtype=np.uint8)


def missing_grain(
    painted: Pixels, original: Pixels, mask: Mask, *, seed: int, icc_profile: bytes | None = None
) -> Grain:
    """Measure the grain that painted pixels lack.

    Args:
        painted: What was painted, uint8 (h, w, 3), sRGB, at the picture's own scale.
        original: The picture before the edit, same shape, in its own profile.
        mask: float32 of the same part at any scale: above 0 where it was painted, 0 where it was kept.
        seed: Of the noise, 0..2**64-1.
        icc_profile: Of the original; None means sRGB.

    Returns:
        What to add; nothing if the kept part is too small, has none, has texture, or no more than what was painted.
    """
    place = _sample(mask, (painted.shape[1], painted.shape[0]))
    rows, columns = place.slices
    size = place.width, place.height
    down, across = mask.shape[0] / painted.shape[0], mask.shape[1] / painted.shape[1]
    there = mask[
        int(place.top * down) : max(int(place.top * down) + 1, math.ceil(place.bottom * down)),
        int(place.left * across) : max(int(place.left * across) + 1, math.ceil(place.right * across)),
    ]
    inside = cv2.resize((there > 0.0).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    seen = to_srgb(np.ascontiguousarray(original[rows, columns]), icc_profile)
    wanted = noise_deviation(seen, ~inside)
    if not LEAST <= wanted <= MOST:
        return Grain(deviation=0.0, seed=seed)
    found = noise_deviation(np.ascontiguousarray(painted[rows, columns]), inside)
    return Grain(deviation=math.sqrt(max(0.0, wanted**2 - found**2)), seed=seed)


def _sample(mask: Mask, size: tuple[int, int]) -> Box:
    """Choose a cut of the picture that holds much of both: painted and kept."""
    width, height = min(size[0], SAMPLE_SIDE), min(size[1], SAMPLE_SIDE)
    best, most = Box(left=0, top=0, right=width, bottom=height), -1.0
    for top in range(0, size[1] - height + 1, max(1, height // 2)):
        for left in range(0, size[0] - width + 1, max(1, width // 2)):
            rows = slice(top * mask.shape[0] // size[1], max(1, (top + height) * mask.shape[0] // size[1]))
            columns = slice(left * mask.shape[1] // size[0], max(1, (left + width) * mask.shape[1] // size[0]))
            share = float((mask[rows, columns] > 0.0).mean())
            if min(share, 1.0 - share) > most:
                most = min(share, 1.0 - share)
                best = Box(left=left, top=top, right=left + width, bottom=top + height)
    return best


def noise_deviation(pixels: Pixels, where: npt.NDArray[np.bool_]) -> float:
    """Estimate the noise in the flat places of a part of a picture.

    Args:
        pixels: uint8 (h, w, 3), 0..255.
        where: bool (h, w), the part.

    Returns:
        Standard deviation of luma, in levels; 0 if there are too few pixels.
    """
    luma = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.float32)
    inner = cv2.erode(where.astype(np.uint8), np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    unclipped = (luma > EMPTY) & (luma < FULL)
    usable = (inner > 0) & unclipped
    if int(usable.sum()) < FEWEST:
        return 0.0
    smooth = cv2.GaussianBlur(luma, (0, 0), 2.0)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    flat = usable & (slope <= np.quantile(slope[usable], 0.3))
    response = np.abs(cv2.filter2D(luma, cv2.CV_32F, _OPERATOR))[flat]
    return float(np.median(response)) / (_MAD * _OPERATOR_GAIN)
