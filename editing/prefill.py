"""Prefill: what lies under the mask before a model that starts from what is there begins.

Kept pixels never change. The slow fillings are made on a smaller picture: under the mask only colours and coarse shapes
are wanted, for the model paints the rest.
"""

import cv2
import numpy as np
import numpy.typing as npt

from editing.blending import Prefill
from editing.membranes import Field, membrane
from editing.rasters import Mask, Pixels

WORKING_SIDE = {Prefill.NAVIER_STOKES: 512, Prefill.TELEA: 512, Prefill.BLUR: 256, Prefill.NOISE: 256}
"""Longer side, in pixels, of the picture that a filling is made on."""
INPAINT_RADIUS = 5
"""Pixels of the working picture that OpenCV's inpainting looks at round each."""
BLUR_REACH = 4.0
"""Pixels of the working picture over which kept colours are averaged."""
RING = 0.06
"""Width of the ring whose spread the noise takes, as a share of the longer side."""
MID_GREY = 128
"""What fills a picture of which nothing is kept."""
LONE_SPREAD = 48.0
"""Standard deviation of the noise, in levels, where nothing is kept to take it from."""

_SIXTEEN_BIT = np.float32(256.0)


def prefilled(pixels: Pixels, mask: Mask, how: Prefill, *, seed: int) -> Pixels:
    """Fill what is to be painted.

    Args:
        pixels: uint8 (h, w, 3), 0..255, sRGB.
        mask: float32 (h, w): above 0 is filled, 0 is kept.
        how: The filling.
        seed: Of the noise, 0..2**64-1; no other filling draws numbers.

    Returns:
        uint8 (h, w, 3), the very values of `pixels` where the mask is 0. If nothing is kept: mid grey, or noise about
        it; with `Prefill.KEEP` the picture as it is.
    """
    kept = mask <= 0.0
    if how is Prefill.KEEP or bool(kept.all()):
        return pixels
    if how is Prefill.NOISE:
        filling = _noisy(pixels, kept, seed)
    elif not kept.any():
        filling = np.full_like(pixels, MID_GREY)
    elif how is Prefill.REPLICATE:
        filling = _nearest(pixels, kept)
    elif how is Prefill.BLUR:
        filling = _levels(_colours(pixels, kept))
    else:
        filling = _inpainted(pixels, kept, how)
    return np.where(kept[:, :, None], pixels, filling).astype(np.uint8)


def _nearest(pixels: Pixels, kept: npt.NDArray[np.bool_]) -> Pixels:
    """Give every pixel the value of the nearest kept one."""
    filled = (~kept).astype(np.uint8)
    _, found = cv2.distanceTransformWithLabels(filled, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    labels = np.asarray(found, dtype=np.intp)
    values = np.zeros((int(labels.max()) + 1, 3), dtype=np.uint8)
    values[labels[kept]] = pixels[kept]
    return values[labels]


def _inpainted(pixels: Pixels, kept: npt.NDArray[np.bool_], how: Prefill) -> Pixels:
    """Continue the picture's lines and colours by OpenCV."""
    colours, share = _smaller(pixels, kept, WORKING_SIDE[how])
    method = cv2.INPAINT_NS if how is Prefill.NAVIER_STOKES else cv2.INPAINT_TELEA
    # half-kept pixels count as kept: their colour is that of their kept half
    unknown = (share <= 0.0).astype(np.uint8)
    # Each pixel is made from filled ones before it, and rounded: in 8 bits a flat 200 fades to 160 in some 100 pixels.
    deep = np.rint(colours * _SIXTEEN_BIT).astype(np.uint16)
    planes = [cv2.inpaint(np.ascontiguousarray(deep[:, :, c]), unknown, INPAINT_RADIUS, method) for c in range(3)]
    filled = np.stack(planes, axis=2).astype(np.float32) / _SIXTEEN_BIT
    size = (pixels.shape[1], pixels.shape[0])
    return _levels(np.asarray(cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR), dtype=np.float32))


def _colours(pixels: Pixels, kept: npt.NDArray[np.bool_]) -> Field:
    """Average the kept colours over some pixels, and carry them on: float32 (h, w, 3), no streaks, no lines."""
    colours, share = _smaller(pixels, kept, WORKING_SIDE[Prefill.BLUR])
    pull = share / np.float32(4.0 * BLUR_REACH**2)
    smooth = membrane(colours, np.asarray(pull / (1.0 + pull), dtype=np.float32))
    size = (pixels.shape[1], pixels.shape[0])
    return np.asarray(cv2.resize(smooth, size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _noisy(pixels: Pixels, kept: npt.NDArray[np.bool_], seed: int) -> Pixels:
    """Draw noise about the carried-on colours, as wide as the kept pixels near the mask spread about theirs."""
    colours = np.full(pixels.shape, MID_GREY, dtype=np.float32)
    spread = np.full(3, LONE_SPREAD)
    if kept.any():
        colours = _colours(pixels, kept)
        away = cv2.distanceTransform(kept.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        ring = kept & (away <= max(1.0, RING * max(kept.shape)))
        spread = np.sqrt(((pixels[ring] - colours[ring]) ** 2).mean(axis=0, dtype=np.float64))
    drawn = np.random.default_rng(seed).standard_normal(pixels.shape, dtype=np.float32)
    return _levels(colours + drawn * spread.astype(np.float32))


def _smaller(pixels: Pixels, kept: npt.NDArray[np.bool_], side: int) -> tuple[Field, Field]:
    """Shrink a picture to a longer side by averaging its kept pixels only.

    Returns:
        float32 (h, w, 3), 0..255, and float32 (h, w), 0..1: how much of each pixel is kept.
    """
    height, width = kept.shape
    scale = min(1.0, side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    weight = kept.astype(np.float32)
    share = np.asarray(cv2.resize(weight, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    sums = cv2.resize(pixels.astype(np.float32) * weight[:, :, None], size, interpolation=cv2.INTER_AREA)
    colours = np.asarray(sums, dtype=np.float32) / np.maximum(share, np.float32(1e-6))[:, :, None]
    return np.asarray(colours, dtype=np.float32), share


def _levels(values: Field) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
