"""Likeness: where what lies under a mask is what lies beside it, so that showing some of it gives nothing away.

An edit's soft edge is widest there. A generous mask round a thing covers some background, and a slow change from the
old background to the painted one hides every step; over the thing itself the edge must be narrow, or its rim shows.
"""

import cv2
import numpy as np
import numpy.typing as npt

from editing.colour import lab
from editing.membranes import membrane
from editing.rasters import Mask, Pixels
from editing.resampling import resize_pixels, resize_soft_mask

WORKING_SIDE = 256
"""Likeness is judged on a picture of at most this longer side."""
NEAR = 0.03
"""Radius within which kept pixels are averaged, as a share of the longer side."""
LEAST_NEAR = 2.0
"""The same, at least, in pixels."""
OWN_SPREAD = 3.0
"""CIE76 dE by which colours differ anyway; the spread of the kept pixels there is added."""
_GRAIN = 1.5
_SETTLE = 2.0

Field = npt.NDArray[np.float32]


def likeness(pixels: Pixels, mask: Mask) -> Mask:
    """Compare what lies under a mask with the kept pixels beside it.

    Their colours, and how much they spread, are carried over the mask by a membrane.

    Args:
        pixels: The picture before the edit, uint8 (h, w, 3), 0..255, sRGB.
        mask: float32 (h, w): above 0 repainted, 0 kept.

    Returns:
        float32, 0..1, of the same aspect and at most `WORKING_SIDE` long: 1 where colours are those of the kept pixels,
        falling with their distance in units of those pixels' own spread; 0 everywhere if nothing is kept.
    """
    scale = min(1.0, WORKING_SIDE / max(mask.shape))
    size = max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale))
    kept = (resize_soft_mask(mask, size) <= 0.0).astype(np.float32)
    if not kept.any() or kept.all():
        return np.zeros_like(kept)
    seen = lab(resize_pixels(pixels, size))
    radius = max(LEAST_NEAR, NEAR * max(kept.shape))
    share = np.maximum(_blurred(kept, radius), 1e-6)
    near = _blurred(seen * kept[:, :, None], radius) / share[:, :, None]
    spread = np.sqrt(_blurred(((seen - near) ** 2).sum(axis=2) * kept, radius) / share)
    carried = membrane(np.dstack([near, spread]), kept)
    distance = np.linalg.norm(_blurred(seen, _GRAIN) - carried[:, :, :3], axis=2) / (OWN_SPREAD + carried[:, :, 3])
    # a place beside something unlike is unlike: rims of things are blurred
    alike = np.asarray(cv2.erode(np.exp(-(distance**2)), np.ones((3, 3), np.uint8)), dtype=np.float32)
    return np.clip(_blurred(alike, _SETTLE), 0.0, 1.0)


def _blurred(values: Field, sigma: float) -> Field:
    blurred = cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, dtype=np.float32)
