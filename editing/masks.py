"""Masks: which pixels an edit may change, and how far the model's own mask reaches.

Two masks are made from the uploaded one. The denoise mask (grown, softened) tells the model where and when to paint;
it may reach outside. The composite mask (feathered inwards) decides which pixels of the result come from the model; it
never does.
"""

import math

import cv2
import numpy as np
import numpy.typing as npt

from editing.errors import MaskError
from editing.rasters import Mask

LATENT_CELL = 8
"""Side of a latent, in pixels: FLUX's VAE scales by 8."""
LARGE = 8_000_000
"""Pixels of a mask up to which distances are measured pixel for pixel."""
_CORE = np.float32(0.5)
_FAINTEST = np.float32(1 / 64)
_LEVELS = 8
"""Levels that a soft mask keeps in the denoise mask: a schedule has few steps to switch on at."""


def check_mask(mask: Mask, *, size: tuple[int, int], field: str = "mask") -> None:
    """Check that a mask fits its picture and edits something.

    Args:
        mask: float32 (h, w), 1 repaint .. 0 keep.
        size: Width and height of the picture, in pixels.
        field: Name of the request field, for the error.

    Raises:
        MaskError: `mask_size_mismatch`, `mask_malformed` (dtype, or a value outside 0..1) or `mask_empty`.
    """
    given = (int(mask.shape[1]), int(mask.shape[0])) if mask.ndim == 2 else mask.shape  # noqa: PLR2004 - a plane
    if given != size:
        shown = "x".join(str(side) for side in given)
        raise MaskError(
            f"the mask must have the picture's size {size[0]}x{size[1]}, got {shown}",
            code="mask_size_mismatch",
            field=field,
            value=shown,
            limit=f"{size[0]}x{size[1]}",
        )
    if mask.dtype != np.float32 or not (float(mask.min()) >= 0.0 and float(mask.max()) <= 1.0):
        shown = f"{mask.dtype} {float(mask.min())}..{float(mask.max())}"
        raise MaskError(
            f"a mask is float32 within 0..1, got {shown}",
            code="mask_malformed",
            field=field,
            value=shown,
            limit="float32 0..1",
        )
    if float(mask.max()) == 0.0:
        raise MaskError("the mask marks nothing to edit: every value is 0 (keep)", code="mask_empty", field=field)


def threshold(mask: Mask, level: float) -> Mask:
    """Make a mask hard.

    Args:
        mask: float32 (h, w), 1 repaint .. 0 keep.
        level: Above 0, up to 1.

    Returns:
        float32 (h, w): 1 where the mask is at least `level`, else 0.

    Raises:
        MaskError: `mask_threshold_out_of_range`; `mask_empty`, if nothing is left.
    """
    if not 0.0 < level <= 1.0:
        raise MaskError(
            f"a mask's threshold must lie above 0 and up to 1, got {level}",
            code="mask_threshold_out_of_range",
            field="threshold",
            value=level,
            limit=[0, 1],
        )
    hard = (mask >= np.float32(level)).astype(np.float32)
    if not hard.any():
        raise MaskError(
            f"no value of the mask reaches the threshold {level}; the largest is {float(mask.max()):.3f}",
            code="mask_empty",
            field="threshold",
            value=level,
            limit=round(float(mask.max()), 3),
        )
    return hard


def denoise_mask(mask: Mask, grow: int, soften: int) -> Mask:
    """Make the mask that the model paints by: the uploaded one widened, then fading.

    Values tell when: 1 is painted from the start, v from 1 - v of the schedule on ("differential" denoising), 0 never.
    A soft mask keeps its levels (to an eighth) and each is widened; a hard one is 1 within `grow` and fades beyond.

    Args:
        mask: float32 (h, w), 1 repaint .. 0 keep.
        grow: Widening in pixels, 0 or more.
        soften: Width of the fading zone beyond that, in pixels, 0 or more.

    Returns:
        float32 (h, w), nowhere below what `mask` rounds up to in eighths.
    """
    eighths = np.ceil(mask * np.float32(_LEVELS)).astype(np.uint8)
    result: Mask = eighths.astype(np.float32) / np.float32(_LEVELS)
    if grow <= 0 and soften <= 0:
        return result
    for level in range(1, _LEVELS + 1):
        below = (eighths < level).astype(np.uint8)
        if not (eighths == level).any():
            continue
        strength = np.float32(level / _LEVELS)
        if not below.any():
            result = np.maximum(result, strength, dtype=np.float32)
            continue
        distance = cv2.distanceTransform(below, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        within = np.asarray(distance <= np.float32(grow), dtype=np.float32)
        if soften > 0:
            within = np.clip(1.0 - (distance - np.float32(grow)) / np.float32(soften + 1), 0.0, 1.0)
        result = np.maximum(result, within * strength, dtype=np.float32)
    return result


def by_latent(mask: Mask) -> Mask:
    """Give each latent the largest value of its 8x8 pixels, so that thin strokes survive.

    Args:
        mask: float32 (h, w), 1 repaint .. 0 keep; sides are multiples of 8.

    Returns:
        float32 (h/8, w/8).
    """
    height, width = mask.shape
    cells: Mask = mask.reshape(height // LATENT_CELL, LATENT_CELL, width // LATENT_CELL, LATENT_CELL).max(axis=(1, 3))
    return cells


def whole_cells(mask: Mask) -> Mask:
    """Widen a mask to whole latents, the least that a model repaints.

    A pipeline that samples one pixel of each latent would lose thin strokes otherwise.

    Args:
        mask: float32 (h, w), 1 paint, 0 keep; sides are multiples of 8.

    Returns:
        float32 (h, w): 1 in every 8x8 cell with anything to paint.
    """
    return np.asarray(np.repeat(np.repeat(by_latent(mask), LATENT_CELL, axis=0), LATENT_CELL, axis=1), dtype=np.float32)


def depth(mask: Mask) -> float:
    """Measure how far the deepest repainted pixel lies from a kept one.

    Args:
        mask: float32 (h, w), 1 repaint .. 0 keep.

    Returns:
        Distance in pixels (of a very large mask, to the coarseness at which it is measured); 0 if nothing is
        repainted, or nothing is kept.
    """
    inside, factor = _inside(mask)
    if bool(inside.all()) or not bool(inside.any()):
        return 0.0
    return factor * float(cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).max())


def inward_feather(mask: Mask, pixels: int, *, widest: int = 0, alike: Mask | None = None) -> Mask:
    """Soften a mask towards its inside: full strength only `pixels` away from the kept region.

    The picture's own border is no edge: a mask that touches it stays at full strength there. Each island of the mask
    keeps a core at full strength: where it is too thin for the ramp, the ramp is narrower.

    Args:
        mask: float32 (h, w), 1 repaint .. 0 keep; soft values are respected (they are an upper bound).
        pixels: Width of the ramp, 0 or more.
        widest: Width of the ramp where `alike` is 1, if that is more.
        alike: float32 of any size, 0..1: where a wider ramp does no harm (see `editing.likeness`); None nowhere.

    Returns:
        float32 (h, w), nowhere above `mask`: exactly 0 where `mask` is 0, and above 0 wherever `mask` is.
    """
    inside, factor = _inside(mask)
    if max(pixels, widest) <= 0 or bool(inside.all()) or not bool(inside.any()):
        return mask.copy()
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    islands, found = cv2.connectedComponents(inside, connectivity=8)
    labels = np.asarray(found, dtype=np.int32)
    deepest = np.zeros(islands, dtype=np.float32)
    np.maximum.at(deepest, labels.ravel(), distance.ravel())
    # Distances are 1 on the rim: a ramp of n pixels reaches full strength at n + 1. Half of a thin island is core.
    reach = np.maximum(deepest * _CORE, 1.0)[labels]
    width: Mask = np.full((1, 1), pixels / factor + 1, dtype=np.float32)
    if alike is not None and widest > pixels:
        fitting = cv2.resize(alike, inside.shape[::-1], interpolation=cv2.INTER_LINEAR)
        width = width + np.float32((widest - pixels) / factor) * np.asarray(fitting, dtype=np.float32)
    reach = np.minimum(reach, width)
    ramp = _smooth(np.clip(distance / reach, 0.0, 1.0).astype(np.float32))
    if factor > 1:
        ramp = np.asarray(cv2.resize(ramp, mask.shape[::-1], interpolation=cv2.INTER_LINEAR), dtype=np.float32)
        np.maximum(ramp, _FAINTEST, out=ramp)
    ramp = np.ascontiguousarray(ramp, dtype=np.float32)
    return np.minimum(mask, ramp, out=ramp)


def coarseness(area: int) -> int:
    """Choose how coarsely distances are measured, which cost many bytes a pixel.

    Args:
        area: Pixels of a mask.

    Returns:
        Pixels on each side that one place of the measurement stands for; 1 up to `LARGE`.
    """
    return math.ceil(math.sqrt(area / LARGE))


def _inside(mask: Mask) -> tuple[npt.NDArray[np.uint8], int]:
    """Say where a mask repaints; a very large one at a coarser scale, for distances cost many bytes a pixel.

    Returns:
        uint8, 1 where any of the mask falls, and how many pixels one of its places stands for on each side.
    """
    inside = (mask > 0.0).view(np.uint8)
    factor = coarseness(mask.size)
    if factor <= 1:
        return inside, 1
    spread = cv2.dilate(inside, np.ones((factor + 1, factor + 1), np.uint8))
    size = math.ceil(mask.shape[1] / factor), math.ceil(mask.shape[0] / factor)
    return np.asarray(cv2.resize(spread, size, interpolation=cv2.INTER_NEAREST_EXACT), dtype=np.uint8), factor


def _smooth(ramp: Mask) -> Mask:
    return np.asarray(ramp * ramp * (np.float32(3.0) - np.float32(2.0) * ramp), dtype=np.float32)


def outward_feather(mask: Mask, pixels: int) -> Mask:
    """Soften a mask towards its outside: it keeps its values and falls to 0 over `pixels`.

    Only `Blend(spill=True)` uses this; the result then no longer keeps every pixel outside the mask.

    Args:
        mask: float32 (h, w), 1 repaint .. 0 keep.
        pixels: Width of the ramp, 0 or more.

    Returns:
        float32 (h, w), nowhere below `mask`.
    """
    if pixels <= 0:
        return mask.copy()
    outside = (mask <= 0.0).astype(np.uint8)
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    ramp = np.clip(1.0 - distance / np.float32(pixels + 1), 0.0, 1.0).astype(np.float32)
    return np.where(mask > 0.0, mask, _smooth(ramp)).astype(np.float32)
