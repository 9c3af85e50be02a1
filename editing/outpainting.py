"""Outpainting: extend a picture over its canvas, in the passes that `growth` plans."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from editing import masks
from editing.blending import Blend, Intent
from editing.boxes import Box, ModelSizes, outside
from editing.growth import GrowthPass, plan_growth
from editing.placement import Placement
from editing.rasters import Mask, Raster
from editing.regions import Painter, RegionPlan, make_scene, paint_box, plan_box

LAP = 1 / 8
"""A pass paints this share of its box's shorter side over earlier passes, for a soft edge between the two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """How a picture is extended.

    Attributes:
        old: Where it lies in its canvas.
        passes: What is painted when, in order.
        plans: How each is painted.
    """

    old: Box
    passes: tuple[GrowthPass, ...]
    plans: tuple[RegionPlan, ...]


def extend(raster: Raster, placement: Placement) -> Raster:
    """Lay a picture on a larger canvas.

    Args:
        raster: The picture.
        placement: The canvas and the picture's place in it, checked against the picture's size.

    Returns:
        The picture in its place; the rest repeats its border (opaque, where there is an alpha plane).
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
    return Raster(pixels=pixels, alpha=alpha, icc_profile=raster.icc_profile, notes=raster.notes)


def plan_extension(size: tuple[int, int], placement: Placement, blend: Blend, sizes: ModelSizes) -> Extension:
    """Decide how a picture is extended.

    Args:
        size: Width and height of the picture.
        placement: The canvas and the picture's place in it.
        blend: What the request says; `spill` plays no part.
        sizes: What the model likes.

    Returns:
        The passes and their plans.
    """
    old = Box(left=placement.left, top=placement.top, right=placement.left + size[0], bottom=placement.top + size[1])
    passes = plan_growth(old, (placement.width, placement.height), sizes, context=blend.context)
    inside = replace(blend, spill=False)
    plans = [plan_box(each.box, each.mask(), inside, sizes, intent=Intent.EXPAND) for each in passes]
    return Extension(old=old, passes=tuple(passes), plans=tuple(plans))


def paint_extension(canvas: Raster, extension: Extension, painter: Painter) -> Raster:
    """Paint all that is new on a canvas.

    Args:
        canvas: From `extend`.
        extension: From `plan_extension`.
        painter: The model; asked once a pass.

    Returns:
        The finished picture: every value of the old one where it lay.
    """
    pixels = canvas.pixels.copy()
    for number, (each, plan) in enumerate(zip(extension.passes, extension.plans, strict=True)):
        fresh = each.mask()
        mask, soft = _lapped(fresh, extension.old, each, plan)
        scene = make_scene(pixels, canvas.icc_profile, mask, plan, number=number)
        paint_box(pixels, canvas.icc_profile, scene, mask, soft, plan, painter)
    return Raster(pixels=pixels, alpha=canvas.alpha, icc_profile=canvas.icc_profile, notes=canvas.notes)


def _lapped(fresh: Mask, old: Box, each: GrowthPass, plan: RegionPlan) -> tuple[Mask, Mask]:
    """What a pass paints, and how much of it shows.

    It may paint over earlier passes, where a wide soft edge then joins two pictures of the same thing; never over the
    old picture, at whose border the edge is the plan's.
    """
    if each.known == (old,):
        return fresh, masks.inward_feather(fresh, plan.edge)
    lap = round(LAP * min(each.box.width, each.box.height))
    distance = cv2.distanceTransform((fresh <= 0.0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    mask = (distance <= np.float32(lap)).astype(np.float32)
    beside = outside(each.box, (old,))
    mask = np.minimum(mask, beside)
    # over earlier passes' pixels: the more of the new, the nearer to what is fresh
    ramp = np.clip(1.0 - distance / np.float32(lap + 1), 0.0, 1.0).astype(np.float32)
    return mask, np.minimum(np.minimum(ramp, mask), masks.inward_feather(beside, plan.edge))


def extension_strips(old: Box, canvas: tuple[int, int], reach: int) -> Sequence[Box]:
    """Cut out the surroundings of the old picture's border, one strip a side.

    Args:
        old: Where it lies.
        canvas: Width and height of the canvas.
        reach: Pixels to each side of the border.

    Returns:
        A box for every side on which the picture was extended.
    """
    strips = []
    if old.left > 0:
        strips.append(Box(left=max(0, old.left - reach), top=old.top, right=old.left + reach, bottom=old.bottom))
    if old.right < canvas[0]:
        strips.append(
            Box(left=old.right - reach, top=old.top, right=min(canvas[0], old.right + reach), bottom=old.bottom)
        )
    if old.top > 0:
        strips.append(Box(left=old.left, top=max(0, old.top - reach), right=old.right, bottom=old.top + reach))
    if old.bottom < canvas[1]:
        strips.append(
            Box(left=old.left, top=old.bottom - reach, right=old.right, bottom=min(canvas[1], old.bottom + reach))
        )
    whole = Box(left=0, top=0, right=canvas[0], bottom=canvas[1])
    return [cut for strip in strips if (cut := strip.within(whole)) is not None]
