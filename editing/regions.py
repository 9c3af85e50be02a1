"""Regions: edit one part of a picture of any size, and change nothing else.

The whole way of an edit, but for the model, which is passed in as a painter:

1. box round the mask with context;  2. that part in sRGB, at a size the model likes;  3. paint;
4. back to the box's size;  5. colour matched to the kept ring;  6. into the source's profile;
7. composited with a soft edge that lies inside the uploaded mask;  8. pasted into a copy of the raster.

Invariants:
- Where the uploaded mask is 0 every value of the result is that of the raster (unless `Blend.spill`).
- The alpha plane and the profile of the result are those of the raster.
- The cost is that of the box, not of the picture (but for one copy).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import cv2
import numpy as np

from editing import masks
from editing.blending import Blend
from editing.boxes import Box, edit_box, model_size
from editing.colour import from_srgb, to_srgb
from editing.compositing import composite
from editing.matching import match_colour
from editing.placement import Placement
from editing.rasters import Mask, Pixels, Raster
from editing.resampling import resize_mask, resize_pixels

GROW_OF_BOX = 0.015
"""Widening of the model's mask, as a share of the box's longer side: it should not see the rim of what it replaces."""
FEATHER_OF_DEPTH = 0.15
"""Width of the soft edge, as a share of how deep the mask is."""
PREFILL_BLUR = 0.04
"""Blur of the repeated border, as a share of the model's longer side."""
ERASE_FEATHER = 2
"""Width of an erasure's soft edge, in pixels: a wide one would let the rim of what is to go shine through."""
LARGEST_FEATHER = 32
"""Widest soft edge chosen by itself, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """What a painter is given.

    Attributes:
        pixels: The part to edit, uint8 (h, w, 3), 0..255, sRGB, at the model's size.
        mask: float32 (h, w): 1 paint, 0 keep; nothing between.
        box: Where that part lies in the whole picture.
    """

    pixels: Pixels
    mask: Mask
    box: Box


Painter: TypeAlias = Callable[[Scene], Pixels]
"""From a scene to uint8 (h, w, 3) of its size, sRGB: painted where its mask is 1; what it does elsewhere is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionPlan:
    """Where and how an edit takes place.

    Attributes:
        box: What the model sees, in pixels of the picture.
        size: Width and height at which the model runs.
        grow: Pixels by which the model's mask is widened, in pixels of the picture.
        feather: Width of the soft edge, in pixels of the picture.
        spill: Whether the soft edge lies outside the mask.
    """

    box: Box
    size: tuple[int, int]
    grow: int
    feather: int
    spill: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Canvas:
    """A picture extended for outpainting.

    Attributes:
        raster: The picture in its place; the rest repeats its border (opaque, where there is an alpha plane).
        mask: float32 (h, w): 1 where the canvas is new, 0 where the picture lies.
    """

    raster: Raster
    mask: Mask


def extend(raster: Raster, placement: Placement) -> Canvas:
    """Lay a picture on a larger canvas.

    Args:
        raster: The picture.
        placement: The canvas and the picture's place in it, checked against the picture's size.

    Returns:
        The canvas and the mask of what is new.
    """
    margins = (
        placement.top,
        placement.height - placement.top - raster.height,
        placement.left,
        placement.width - placement.left - raster.width,
    )
    pixels = np.asarray(cv2.copyMakeBorder(raster.pixels, *margins, cv2.BORDER_REPLICATE), dtype=np.uint8)
    alpha = None
    if raster.alpha is not None:
        bordered = cv2.copyMakeBorder(raster.alpha, *margins, cv2.BORDER_CONSTANT, value=[255])
        alpha = np.asarray(bordered, dtype=np.uint8)
    mask = np.ones((placement.height, placement.width), dtype=np.float32)
    mask[placement.top : placement.top + raster.height, placement.left : placement.left + raster.width] = 0.0
    return Canvas(
        raster=Raster(pixels=pixels, alpha=alpha, icc_profile=raster.icc_profile, notes=raster.notes), mask=mask
    )


def prefilled(scene: Scene) -> Scene:
    """Blur what is to be painted, for a model that starts from what is there.

    Repeated border pixels are streaks; at a strength below 1 a base checkpoint would continue them. Only their colour
    is wanted.

    Args:
        scene: A scene on an extended canvas.

    Returns:
        The same scene, smooth where its mask is 1.
    """
    sigma = PREFILL_BLUR * max(scene.pixels.shape[:2])
    blurred = cv2.GaussianBlur(scene.pixels, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    pixels = np.where(scene.mask[:, :, None] > 0.0, blurred, scene.pixels).astype(np.uint8)
    return replace(scene, pixels=pixels)


def plan_region(mask: Mask, blend: Blend, *, native_pixels: int, multiple: int) -> RegionPlan:
    """Decide where and how an edit takes place.

    Args:
        mask: The uploaded mask, float32 (h, w), 1 repaint .. 0 keep; at least one value above 0.
        blend: What the request says about it.
        native_pixels: Area that the model likes.
        multiple: Its sides must be multiples of this.

    Returns:
        The plan.
    """
    box = edit_box(mask, native_pixels=native_pixels, context=blend.context)
    grow = math.ceil(GROW_OF_BOX * max(box.width, box.height)) if blend.grow is None else blend.grow
    feather = blend.feather
    if feather is None:
        feather = min(LARGEST_FEATHER, round(FEATHER_OF_DEPTH * masks.depth(_with_rim(mask, box))))
    if blend.spill:
        grow = max(grow, feather)  # the model must paint all that shows through the outer edge
    return RegionPlan(
        box=box,
        size=model_size(box.width, box.height, native_pixels=native_pixels, multiple=multiple),
        grow=grow,
        feather=feather,
        spill=blend.spill,
    )


def edit_region(raster: Raster, mask: Mask, plan: RegionPlan, painter: Painter) -> Raster:
    """Edit the masked part of a picture.

    Args:
        raster: The picture.
        mask: The uploaded mask, float32 (h, w), 1 repaint .. 0 keep.
        plan: Where and how, from `plan_region` on this mask.
        painter: The model.

    Returns:
        A picture of the same size, profile and alpha plane; the same values wherever the mask is 0.
    """
    rows, columns = plan.box.slices
    part = np.ascontiguousarray(raster.pixels[rows, columns])
    part_mask = np.ascontiguousarray(mask[rows, columns])
    seen = to_srgb(part, raster.icc_profile)
    denoise = masks.grow(part_mask, plan.grow)
    scene = Scene(pixels=resize_pixels(seen, plan.size), mask=resize_mask(denoise, plan.size), box=plan.box)
    painted = resize_pixels(painter(scene), (plan.box.width, plan.box.height))
    # The model repaints whole latents: what shares one with the mask is no measure of its colour error.
    repainted = resize_mask(masks.whole_cells(scene.mask), (plan.box.width, plan.box.height))
    matched = match_colour(painted, seen, denoise if bool(repainted.all()) else np.maximum(repainted, denoise))
    pixels = raster.pixels.copy()
    soft = _soft_edge(mask, plan)
    pixels[rows, columns] = composite(part, from_srgb(matched, raster.icc_profile), soft)
    return Raster(pixels=pixels, alpha=raster.alpha, icc_profile=raster.icc_profile, notes=raster.notes)


def _with_rim(mask: Mask, box: Box) -> Mask:
    """Cut a mask to a box and one pixel more, where there is one: a box that cuts close must not hide an edge."""
    return np.ascontiguousarray(mask[max(0, box.top - 1) : box.bottom + 1, max(0, box.left - 1) : box.right + 1])


def _soft_edge(mask: Mask, plan: RegionPlan) -> Mask:
    """Feather the mask within the box."""
    box = plan.box
    top, left = min(1, box.top), min(1, box.left)
    feather = masks.outward_feather if plan.spill else masks.inward_feather
    soft = feather(_with_rim(mask, box), plan.feather)
    return soft[top : top + box.height, left : left + box.width]
