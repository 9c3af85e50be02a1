"""Regions: edit one part of a picture of any size, and change nothing else.

The whole way of an edit, but for the model, which is passed in as a painter:

1. box round the mask with context;  2. that part in sRGB, at a size the model likes;  3. paint;
4. colour matched to the kept ring (or joined in the gradient domain);  5. back to the box's size;
6. into the source's profile;  7. composited with a soft edge that lies inside the uploaded mask, into a copy.

Invariants:
- Where the uploaded mask is 0 every value of the result is that of the raster (unless `Blend.spill`).
- The alpha plane and the profile of the result are those of the raster.
- Time and memory are those of the box, but for one copy of the picture and its mask.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from editing import masks
from editing.blending import Blend, Intent, Join
from editing.boxes import Box, ModelSizes, bounds, edit_box, model_size
from editing.colour import from_srgb, to_srgb
from editing.compositing import composite
from editing.grain import Grain, missing_grain
from editing.likeness import likeness
from editing.matching import match_colour, poisson_joined
from editing.rasters import Mask, Pixels, Raster
from editing.resampling import resize_pixels, resize_soft_mask
from editing.seeds import derived_seed

THIN = 6.0
"""Depth of a mask, in pixels, below which there is no room for a soft edge: gradients join better."""
FINER = 2
"""The model's mask is made at up to this many times the model's size."""
BAND = 512
"""Rows composited at a time: the arithmetic needs many times the memory of the pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """The soft edge that an intent chooses where the request says nothing.

    Attributes:
        feather: Its width, as a share of how deep the mask is.
        most: The same, at most, in pixels.
        widest: Its width where the old picture under it is like its surroundings, as a share of the mask's depth.
        utmost: The same, at most, in pixels.
    """

    feather: float
    most: int
    widest: float = 0.0
    utmost: int = 0


PRESETS = {
    Intent.FILL: Preset(feather=0.15, most=32, widest=0.4, utmost=48),
    # what stays behind the new thing shows through a wider edge
    Intent.ADD: Preset(feather=0.25, most=32, widest=0.4, utmost=48),
    # a wide edge over what is to go would let its rim shine through
    Intent.REMOVE: Preset(feather=1.0, most=2, widest=0.4, utmost=48),
    # the mask's edge is the subject's outline: a wide one would leave a halo of the old background
    Intent.REPLACE_BACKGROUND: Preset(feather=1.0, most=2),
    # under the edge lies only the mirrored picture
    Intent.EXPAND: Preset(feather=1.0, most=8),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """What a painter is given.

    Attributes:
        pixels: The part to edit, uint8 (h, w, 3), 0..255, sRGB, at the model's size.
        mask: float32 (h, w): 1 paint from the start, 0 keep; v between switches on at 1 - v of the schedule.
        box: Where that part lies in the whole picture.
        number: Which pass of the edit this is, from 0.
    """

    pixels: Pixels
    mask: Mask
    box: Box
    number: int = 0


Painter: TypeAlias = Callable[[Scene], Pixels]
"""From a scene to uint8 (h, w, 3) of its size, sRGB: painted where its mask is above 0; the rest shows its shift."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """What of a box is painted, and what of that shows.

    Attributes:
        mask: What is to be painted, float32 of the box at any scale.
        soft: Rows of the box -> how much of what was painted shows there, float32; 0 keeps the very values.
    """

    mask: Mask
    soft: Callable[[slice], Mask]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionPlan:
    """Where and how an edit takes place.

    Attributes:
        box: What the model sees, in pixels of the picture.
        size: Width and height at which the model runs.
        intent: What the edit is for.
        grow: Pixels by which the model's mask is widened, in pixels of the picture.
        soften: Width of its fading zone beyond that, in pixels of the picture.
        feather: Width of the soft edge, in pixels of the picture.
        widest: Its width where the old picture under it is like its surroundings; at least `feather`.
        spill: Whether the soft edge lies outside the mask.
        join: How painted pixels are laid over the picture. A gradient-domain join has no step to soften: its soft edge
            is 0 unless the request asks for one.
        match_colour: Whether the model's colour shift is taken out.
    """

    box: Box
    size: tuple[int, int]
    intent: Intent
    grow: int
    soften: int
    feather: int
    widest: int
    spill: bool
    join: Join
    match_colour: bool


def plan_region(mask: Mask, blend: Blend, sizes: ModelSizes, *, intent: Intent = Intent.FILL) -> RegionPlan:
    """Decide where and how an edit takes place.

    Args:
        mask: The uploaded mask, float32 (h, w), 1 repaint .. 0 keep; at least one value above 0.
        blend: What the request says about it.
        sizes: What the model likes.
        intent: What the edit is for, from `Blend.intended`.

    Returns:
        The plan.
    """
    painted, size = bounds(mask), (mask.shape[1], mask.shape[0])
    deep = masks.depth(_with_rim(mask, painted))
    if blend.spill:  # the soft edge must not end at the box's border
        feather, _ = _edge(blend, intent, deep)
        painted = painted.widened(feather, size)
    return plan_box(edit_box(painted, size, sizes, context=blend.context), blend, sizes, intent, deep=deep)


def plan_box(box: Box, blend: Blend, sizes: ModelSizes, intent: Intent, *, deep: float) -> RegionPlan:
    """Decide how an edit takes place whose box is known.

    Args:
        box: What the model sees.
        blend: What the request says about it.
        sizes: What the model likes.
        intent: What the edit is for.
        deep: How deep the mask is, from `masks.depth`.

    Returns:
        The plan.
    """
    feather, widest = _edge(blend, intent, deep)
    grow = blend.grow or 0
    if blend.spill:
        grow = max(grow, feather)  # the model must paint all that shows through the outer edge
    return RegionPlan(
        box=box,
        size=model_size(box.width, box.height, sizes),
        intent=intent,
        grow=grow,
        soften=blend.soften or 0,
        feather=feather,
        widest=widest,
        spill=blend.spill,
        join=_join(blend, intent, deep),
        match_colour=blend.match_colour,
    )


def _edge(blend: Blend, intent: Intent, deep: float) -> tuple[int, int]:
    """Choose how wide the soft edge is, and how wide at most where the old picture allows it."""
    if blend.feather is not None:
        return blend.feather, blend.feather
    if _join(blend, intent, deep) is Join.POISSON:
        return 0, 0
    preset = PRESETS[intent]
    feather = min(preset.most, round(preset.feather * deep))
    widest = max(feather, min(preset.utmost, round(preset.widest * deep)))
    return feather, feather if blend.spill else widest


def _join(blend: Blend, intent: Intent, deep: float) -> Join:
    """What the request says; else gradients where there is no room for a soft edge."""
    if blend.join is not None:
        return blend.join
    thin = 0.0 < deep < THIN and blend.feather is None
    may = blend.match_colour and not blend.spill and intent is not Intent.REPLACE_BACKGROUND
    return Join.POISSON if thin and may else Join.SOFT


def edit_region(
    raster: Raster, mask: Mask, plan: RegionPlan, painter: Painter, *, grain_seed: int | None = None
) -> Raster:
    """Edit the masked part of a picture.

    Args:
        raster: The picture.
        mask: The uploaded mask, float32 (h, w), 1 repaint .. 0 keep.
        plan: Where and how, from `plan_region` on this mask.
        painter: The model.
        grain_seed: Of the noise that is matched; None matches none.

    Returns:
        A picture of the same size, profile and alpha plane; the same values wherever the mask is 0.
    """
    part_mask = np.ascontiguousarray(mask[plan.box.slices])
    scene = make_scene(raster.pixels, raster.icc_profile, part_mask, plan)
    soft = _soft_edge(mask, plan, scene)
    pixels = raster.pixels.copy()
    part = Part(mask=part_mask, soft=lambda rows: soft[rows])
    paint_box(pixels, raster.icc_profile, scene, part, plan, painter, grain_seed=grain_seed)
    return Raster(pixels=pixels, alpha=raster.alpha, icc_profile=raster.icc_profile, notes=raster.notes)


def make_scene(
    pixels: Pixels, icc_profile: bytes | None, part_mask: Mask, plan: RegionPlan, *, number: int = 0
) -> Scene:
    """Show a box to the model.

    Args:
        pixels: The whole picture, uint8 (h, w, 3).
        icc_profile: Its profile; None means sRGB.
        part_mask: What is to be painted, float32 of the box at any scale.
        plan: Where and how.
        number: Which pass of the edit this is.

    Returns:
        The scene, at the model's size.
    """
    part = np.ascontiguousarray(pixels[plan.box.slices])
    # What is made many times smaller is made smaller first: distances and profiles then cost the model's size.
    scale = max(1.0, plan.box.width / plan.size[0] / FINER, plan.box.height / plan.size[1] / FINER)
    # One scale for both axes: what widens the mask is as wide in every direction.
    working = max(1, round(plan.box.width / scale)), max(1, round(plan.box.height / scale))
    part_mask = resize_soft_mask(part_mask, working)
    denoise = masks.denoise_mask(part_mask, math.ceil(plan.grow / scale), math.ceil(plan.soften / scale))
    return Scene(
        pixels=to_srgb(resize_pixels(part, plan.size), icc_profile),
        mask=resize_soft_mask(denoise, plan.size),
        box=plan.box,
        number=number,
    )


def paint_box(
    pixels: Pixels,
    icc_profile: bytes | None,
    scene: Scene,
    part: Part,
    plan: RegionPlan,
    painter: Painter,
    *,
    grain_seed: int | None = None,
) -> None:
    """Paint one box of a working copy, in place.

    Args:
        pixels: The whole picture, uint8 (h, w, 3), writable.
        icc_profile: Its profile; None means sRGB.
        scene: The box as the model sees it, from `make_scene`.
        part: What of the box is painted, and what of that shows.
        plan: Where and how.
        painter: The model.
        grain_seed: Of the noise that is matched; None matches none.
    """
    painted = painter(scene)
    if plan.join is Join.POISSON:
        painted = poisson_joined(painted, scene.pixels, (resize_soft_mask(part.mask, plan.size) > 0).astype(np.float32))
    elif plan.match_colour:
        painted = match_colour(painted, scene.pixels, repainted(scene.mask))
    painted = resize_pixels(painted, (plan.box.width, plan.box.height))
    target = pixels[plan.box.slices]
    grain = Grain()
    if grain_seed is not None:  # passes side by side would repeat one pattern
        own_seed = derived_seed(grain_seed, "pass", scene.number)
        grain = missing_grain(painted, target, part.mask, seed=own_seed, icc_profile=icc_profile)
    for top in range(0, plan.box.height, BAND):
        rows = slice(top, min(top + BAND, plan.box.height))
        grained = grain.added(painted[rows], plan.box.top + top)
        target[rows] = composite(target[rows], from_srgb(grained, icc_profile), part.soft(rows))


def repainted(mask: Mask) -> Mask:
    """Say where a painted scene is no measure of the model's colour error.

    Args:
        mask: A scene's, float32 (h, w); sides are multiples of 8.

    Returns:
        float32 (h, w): 1 on every latent the mask touches, for the model repaints those whole; the mask's own support
        if that is everything.
    """
    support = (mask > 0.0).astype(np.float32)
    cells = masks.whole_cells(support)
    return support if bool(cells.all()) else cells


def _with_rim(mask: Mask, box: Box) -> Mask:
    """Cut a mask to a box and one pixel more, where there is one: a box that cuts close must not hide an edge."""
    return mask[max(0, box.top - 1) : box.bottom + 1, max(0, box.left - 1) : box.right + 1]


def _soft_edge(mask: Mask, plan: RegionPlan, scene: Scene) -> Mask:
    """Feather the mask within the box, where the old picture allows it more widely."""
    box = plan.box
    top, left = min(1, box.top), min(1, box.left)
    rim = _with_rim(mask, box)
    if plan.spill:
        soft = masks.outward_feather(rim, plan.feather)
    else:
        alike = likeness(scene.pixels, scene.mask) if plan.widest > plan.feather else None
        soft = masks.inward_feather(rim, plan.feather, widest=plan.widest, alike=alike)
    return soft[top : top + box.height, left : left + box.width]
