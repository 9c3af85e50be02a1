"""Colour match: take the model's colour error out of an edit, measured where the picture is known.

A model gives back the kept pixels too, with the colour error of its VAE and of its guidance. That error is measured on
the kept pixels, smoothed just enough that texture does not count as a shift, and carried over what was painted by a
membrane. It varies over the picture, so a single offset (or gain) for all of it would trade one edge's seam for
another's; and what is averaged over a wide, one-sided ring follows a strong gradient only half.
"""

import cv2
import numpy as np
import numpy.typing as npt

from editing.membranes import Field, membrane
from editing.rasters import Mask, Pixels

LARGEST_SHIFT = 40.0
"""Levels (of 255) by which a colour is corrected at most: beyond that it is content, not a shift."""
GREY_WITHIN = 6
"""Levels by which the channels of a grey pixel differ at most; JPEG files of grey pictures stay within."""
GREY_BUT_FOR = 0.005
"""Share of the kept pixels that may be off."""
WORKING_SIDE = 256
"""The shift is smooth: it is measured on a picture of this longer side."""
WIDE, NARROW = 32.0, 1.5
"""Radii in pixels of the working picture: what is off the wide average is content, the narrow one is the error."""
ROUNDS = 3
"""How often the wide average is taken again without what was far off it."""
_LEAST_SPREAD = 6.0
# The wide average is taken on a picture this many times smaller still.
_COARSER = 4
# A narrow average that rests on less than this share of its window leans on the wide one.
_LEAST_TRUST = np.float32(0.03)
# Of the radius squared, added to the spread of positions: a slope needs some width to be seen.
_RIDGE = 0.02


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
    share = _shrunk(kept, size)
    error = _averages(_shrunk(error, size), share)
    shift = membrane(_smoothed(error, share), share > 0.0)
    shift = np.clip(shift, -LARGEST_SHIFT, LARGEST_SHIFT)
    full = cv2.resize(shift, (width, height), interpolation=cv2.INTER_LINEAR)
    corrected = np.rint(painted.astype(np.float32) + np.asarray(full, dtype=np.float32))
    return np.asarray(np.clip(corrected, 0, 255), dtype=np.uint8)


def match_palette(painted: Pixels, original: Pixels, repainted: Mask) -> Pixels:
    """Paint in grey what continues a grey picture: a model leaves a tint there that no mean shows.

    Args:
        painted: What the model gave back, uint8 (h, w, 3), 0..255, sRGB.
        original: What it was given, same shape.
        repainted: float32 (h, w): above 0 where the model painted anew, 0 where it should have kept.

    Returns:
        uint8 (h, w, 3): the luma of `painted` (ITU-R BT.601) if all that was kept is grey, else `painted`.
    """
    kept = original[repainted <= 0.0]
    if not kept.size:
        return painted
    off = kept.max(axis=1).astype(np.int16) - kept.min(axis=1)
    if float(np.mean(off > GREY_WITHIN)) > GREY_BUT_FOR:
        return painted
    grey = cv2.cvtColor(painted, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def poisson_joined(painted: Pixels, original: Pixels, mask: Mask) -> Pixels:
    """Join a painted part in the gradient domain: its own gradients, the picture's values at the border.

    The guidance field is the painted picture's gradient (Perez, Gangnet and Blake, Poisson Image Editing, 2003); the
    solution is the painted picture plus the membrane of what it is off by on the kept pixels. Where the mask touches
    the rim of the box there is no condition, and nothing is pulled.

    Args:
        painted: What the model gave back, uint8 (h, w, 3), 0..255, sRGB.
        original: What it was given, same shape.
        mask: float32 (h, w): above 0 where the painted picture counts, 0 where the original stands.

    Returns:
        uint8 (h, w, 3): `original` wherever the mask is 0. If nothing is kept, `painted`.
    """
    kept = mask <= 0.0
    if not kept.any():
        return painted
    off = membrane(original.astype(np.float32) - painted.astype(np.float32), kept)
    off += painted
    joined = np.clip(np.rint(off), 0, 255).astype(np.uint8)
    return np.where(kept[:, :, None], original, joined).astype(np.uint8)


def _smoothed(error: Field, share: Field) -> Field:
    """Average the error over near kept pixels, leaving out what is content rather than a shift.

    What lies far off the wide average is content that the model changed, and weighs less in the narrow one (by
    Cauchy's weights, their width from the median distance).

    Args:
        error: float32 (h, w, c), levels; read where `share` is above 0.
        share: float32 (h, w), 0..1: how much of each pixel is kept.

    Returns:
        float32 (h, w, c), meant where `share` is above 0.
    """
    height, width = share.shape
    size = (-(-width // _COARSER), -(-height // _COARSER))
    coarse_share = _shrunk(share, size)
    coarse = _averages(_shrunk(error * share[:, :, None], size), coarse_share)
    trusted = coarse_share
    for _ in range(ROUNDS):
        coarse_wide, _ = _local_plane(coarse, trusted, WIDE / _COARSER)
        trusted = _trusted(coarse, coarse_wide, coarse_share)
    wide = np.asarray(cv2.resize(coarse_wide, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    narrow, support = _local_plane(error, _trusted(error, wide, share), NARROW)
    lean = (_LEAST_TRUST / (_LEAST_TRUST + support))[:, :, None]
    return np.asarray(narrow + lean * (wide - narrow), dtype=np.float32)


def _averages(sums: Field, share: Field) -> Field:
    return np.asarray(sums / np.maximum(share, np.float32(1e-6))[:, :, None], dtype=np.float32)


def _trusted(error: Field, average: Field, share: Field) -> Field:
    distance = np.abs(error - average).max(axis=2)
    spread = max(_LEAST_SPREAD, 3.0 * float(np.median(distance[share > 0.0])))
    return np.asarray(share / (1.0 + (distance / np.float32(spread)) ** 2), dtype=np.float32)


def _local_plane(values: Field, weight: Field, radius: float) -> tuple[Field, Field]:
    """Fit a plane to each pixel's surroundings and return its height there, and the share of them that weighed.

    A one-sided average lies on the slope beside the pixel it is meant for; a plane does not.
    """
    height, width = weight.shape
    y, x = np.mgrid[:height, :width].astype(np.float64) - np.array([height, width]).reshape(2, 1, 1) / 2.0
    mass = weight.astype(np.float64)
    support = np.maximum(_blurred(mass, radius), 1e-9)

    def average(of: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(_blurred(mass * of, radius) / support, dtype=np.float64)

    mean_x, mean_y, ridge = average(x), average(y), _RIDGE * radius**2
    xx = average(x * x) - mean_x**2 + ridge
    yy = average(y * y) - mean_y**2 + ridge
    xy = average(x * y) - mean_x * mean_y
    # how much each of the two slopes counts at the pixel, off the centre of what was averaged
    determinant = np.maximum(xx * yy - xy * xy, ridge * ridge)
    along_x = (yy * (x - mean_x) - xy * (y - mean_y)) / determinant
    along_y = (xx * (y - mean_y) - xy * (x - mean_x)) / determinant
    heights = np.empty(values.shape, dtype=np.float32)
    for plane in range(values.shape[2]):
        value = values[:, :, plane].astype(np.float64)
        mean = average(value)
        slope_x, slope_y = average(x * value) - mean_x * mean, average(y * value) - mean_y * mean
        heights[:, :, plane] = mean + along_x * slope_x + along_y * slope_y
    return heights, support.astype(np.float32)


def _blurred(values: npt.NDArray[np.float64], radius: float) -> npt.NDArray[np.float64]:
    blurred = cv2.GaussianBlur(values, (0, 0), radius, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(blurred, dtype=np.float64)


def _shrunk(values: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
