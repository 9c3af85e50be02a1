"""Compositing: lay an edit over the original, and prove by construction that the rest is untouched."""

import numpy as np

from editing.errors import MaskError
from editing.rasters import Mask, Pixels

GAMMA = 2.2
"""Soft edges are mixed in light, not in code values; 2.2 is near the curve of sRGB, Display P3 and Adobe RGB alike."""


def composite(original: Pixels, edited: Pixels, mask: Mask) -> Pixels:
    """Lay the edited picture over the original where the mask repaints.

    Args:
        original: Picture before the edit, uint8 (h, w, 3), 0..255.
        edited: Picture after the edit, same shape and profile.
        mask: float32 (h, w), 1 repaint .. 0 keep; values between mix in (nearly) linear light.

    Returns:
        uint8 (h, w, 3). Where the mask is 0 the values are those of `original`, where it is 1 those of `edited`.

    Raises:
        MaskError: `mask_size_mismatch`, if the shapes differ; `mask_malformed`, if a mask value lies outside 0..1.
    """
    if original.shape != edited.shape or original.shape[:2] != mask.shape:
        shown = f"{original.shape}, {edited.shape}, {mask.shape}"
        raise MaskError(f"original, edit and mask differ in shape: {shown}", code="mask_size_mismatch", value=shown)
    if not (float(mask.min()) >= 0.0 and float(mask.max()) <= 1.0):
        shown = f"{float(mask.min())}..{float(mask.max())}"
        raise MaskError(f"mask must lie in 0..1, got {shown}", code="mask_malformed", value=shown, limit="0..1")
    result = original.copy()
    whole = mask >= 1.0
    result[whole] = edited[whole]
    soft = (mask > 0.0) & ~whole
    weight = mask[soft][:, None]
    before = (original[soft].astype(np.float32) / 255.0) ** GAMMA
    after = (edited[soft].astype(np.float32) / 255.0) ** GAMMA
    mixed = (before * (1.0 - weight) + after * weight) ** (1.0 / GAMMA)
    result[soft] = np.rint(mixed * 255.0).astype(np.uint8)
    return result
