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
from editing.rasters import Mask, Pixels, Plane, Raster
from editing.regions import Painter, Part, RegionPlan, make_scene, paint_box, plan_box

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


def extend(raster: Raster, placement: Placement) -> tuple[Pixels, Plane | None]:
    """Lay a picture on a larger canvas.

    Args:
        raster: The picture.
        placement: The canvas and the picture's place in it, checked against the picture's size.

    Returns:
        The picture in its place, uint8 (h, w, 3), and its alpha plane, uint8 (h, w), if it has one. The rest mirrors
        the picture, opaque: under a soft edge a texture goes on so, where a repeated border is streaks.
    """
    margins = (
        placement.top,
        placement.height - placement.top - raster.height,
        placement.left,
        placement.width - placement.left - raster.width,
    )
    pixels = np.asarray(cv2.copyMakeBorder(raster.pixels, *margins, cv2.BORDER_REFLECT_101), dtype=np.uint8)
    if raster.alpha is None:
        return pixels, None
    bordered = cv2.copyMakeBorder(raster.alpha, *margins, cv2.BORDER_CONSTANT, value=[255])
    return pixels, np.asarray(bordered, dtype=np.uint8)


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
    deep = max(_depth(each) for each in passes)  # one edge and one join for all, as the record says
    plans = [plan_box(each.box, inside, sizes, Intent.EXPAND, deep=deep) for each in passes]
    return Extension(old=old, passes=tuple(passes), plans=tuple(plans))


def _depth(each: GrowthPass) -> float:
    factor = masks.coarseness(each.box.area)
    return factor * masks.depth(each.mask(factor))


def paint_extension(
    picture: Raster, placement: Placement, extension: Extension, painter: Painter, *, grain_seed: int | None = None
) -> Raster:
    """Extend a picture and paint all that is new.

    Args:
        picture: The picture.
        placement: The canvas and the picture's place in it.
        extension: From `plan_extension`.
        painter: The model; asked once a pass.
        grain_seed: Of the noise that is matched; None matches none.

    Returns:
        The finished picture: every value of the old one where it lay.
    """
    pixels, alpha = extend(picture, placement)
    for number, (each, plan) in enumerate(zip(extension.passes, extension.plans, strict=True)):
        mask, ramp = _lapped(extension.old, each, plan)
        scene = make_scene(pixels, picture.icc_profile, mask, plan, number=number)
        part = Part(mask=mask, soft=_Rows(ramp, each.box, extension.old))
        paint_box(pixels, picture.icc_profile, scene, part, plan, painter, grain_seed=grain_seed)
    return Raster(pixels=pixels, alpha=alpha, icc_profile=picture.icc_profile, notes=picture.notes)


def _lapped(old: Box, each: GrowthPass, plan: RegionPlan) -> tuple[Mask, Mask]:
    """What a pass paints, and how much of it shows; of a large box at a coarser scale.

    It may paint over earlier passes, where a wide soft edge then joins two pictures of the same thing; never over the
    old picture, at whose border the edge is the plan's.
    """
    factor = masks.coarseness(each.box.area)
    fresh = each.mask(factor)
    edge = round(plan.feather / factor)
    if each.known == (old,):
        return fresh, masks.inward_feather(fresh, edge)
    lap = round(LAP * min(each.box.width, each.box.height) / factor)
    distance = cv2.distanceTransform((fresh <= 0.0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    beside = GrowthPass(box=each.box, known=(old,)).mask(factor)
    mask = np.minimum((distance <= np.float32(lap)).astype(np.float32), beside)
    # over earlier passes' pixels: the more of the new, the nearer to what is fresh; one place beyond that, wholly new,
    # so that nothing fresh is thinned where a coarse ramp is read between its places
    ramp = np.clip(1.0 - (distance - 1.0) / np.float32(lap + 1), 0.0, 1.0).astype(np.float32)
    return mask, np.minimum(np.minimum(ramp, mask), masks.inward_feather(beside, edge))


class _Rows:
    """Reads a soft edge row by row at the box's own scale; exactly 0 over the old picture."""

    def __init__(self, ramp: Mask, box: Box, old: Box) -> None:
        self._ramp = ramp
        self._box = box
        self._old = old
        self._factor = masks.coarseness(box.area)

    def __call__(self, rows: slice) -> Mask:
        part = Box(
            left=self._box.left, top=self._box.top + rows.start, right=self._box.right, bottom=self._box.top + rows.stop
        )
        new = outside(part, (self._old,))
        if self._factor == 1:
            return np.minimum(self._ramp[rows], new)
        # where a pixel lies among the coarse places; centres, as OpenCV's resize has them
        scale, shift = 1.0 / self._factor, 0.5 / self._factor - 0.5
        places = np.array([[scale, 0.0, shift], [0.0, scale, rows.start * scale + shift]])
        read = cv2.warpAffine(
            self._ramp,
            places,
            (part.width, part.height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.minimum(np.asarray(read, dtype=np.float32), new)


def extension_strips(old: Box, canvas: tuple[int, int], reach: int) -> Sequence[Box]:
    """Cut out the surroundings of the old picture's border, one strip a side.

    Args:
        old: Where it lies.
        canvas: Width and height of the canvas.
        reach: Pixels to each side of the border.

    Returns:
        A box for every side on which the picture was extended.
    """
    near = old.widened(reach, canvas)
    # of a picture narrower than the reach, a strip ends at its other side: that border has a strip of its own
    inner = Box(
        left=min(old.left + reach, old.right),
        top=min(old.top + reach, old.bottom),
        right=max(old.right - reach, old.left),
        bottom=max(old.bottom - reach, old.top),
    )
    strips = []
    if old.left > 0:
        strips.append(Box(left=near.left, top=old.top, right=inner.left, bottom=old.bottom))
    if old.right < canvas[0]:
        strips.append(Box(left=inner.right, top=old.top, right=near.right, bottom=old.bottom))
    if old.top > 0:
        strips.append(Box(left=old.left, top=near.top, right=old.right, bottom=inner.top))
    if old.bottom < canvas[1]:
        strips.append(Box(left=old.left, top=inner.bottom, right=old.right, bottom=near.bottom))
    return strips
