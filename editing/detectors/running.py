"""Running: a picture at the size at which a network sees it, and controlnet-aux's own code at just that size."""

from typing import Any, Final

import numpy as np

from editing.boxes import ModelSizes, model_size
from editing.rasters import Pixels
from editing.resampling import resize_pixels

_STEP = 64
"""controlnet-aux rounds sides to multiples of this; a picture of such a size it leaves alone."""
LINES: Final = ModelSizes(smallest_pixels=256 * 256, native_pixels=1024 * 1024, multiple=_STEP, bucket=_STEP)
"""Edges are found at the picture's own size, between what networks were trained on and a megapixel."""
SCENES: Final = ModelSizes(smallest_pixels=384 * 384, native_pixels=640 * 640, multiple=_STEP, bucket=_STEP)
"""Whole scenes are understood at about the size of the pictures of the training."""


def seen_at(pixels: Pixels, sizes: ModelSizes) -> Pixels:
    """Bring a picture to a size at which a network runs; very long ones are squeezed.

    Args:
        pixels: uint8 (h, w, 3), any size.
        sizes: What the network likes.

    Returns:
        uint8 (h, w, 3), sides multiples of 64.
    """
    return resize_pixels(np.ascontiguousarray(pixels), model_size(pixels.shape[1], pixels.shape[0], sizes))


def answer(detector: Any, pixels: Pixels, sizes: ModelSizes, *, sized: bool = True) -> Pixels:
    """Ask one of controlnet-aux's detectors.

    Args:
        detector: The detector.
        pixels: uint8 (h, w, 3), any size.
        sizes: What its network likes.
        sized: Whether it must be told the size of its answer; else it answers at the size it is given.

    Returns:
        uint8 (h, w, 3), at the size at which it ran.
    """
    seen = seen_at(pixels, sizes)
    shorter = min(seen.shape[:2])
    options = {"image_resolution": shorter} if sized else {}
    return np.asarray(detector(seen, detect_resolution=shorter, output_type="np", **options), dtype=np.uint8)
