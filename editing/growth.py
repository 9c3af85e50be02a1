"""Growth: how a picture is extended, in one pass where that is good enough and in steps where it is not.

A model that is shown a whole large canvas sees it small, and one that is shown little of the old picture invents. So a
large outpaint is painted strip by strip, side by side, each strip in tiles; every pass sees about as much known picture
as it paints. The scale (pixels of the canvas for one of the model's) is the finest at which few passes do.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from editing.boxes import Box, ModelSizes, around, edit_box, outside
from editing.rasters import Mask

COARSER = 1.25
"""Step from one scale to the next."""
KNOWN_SHARE = 1 / 3
"""A single pass must see at least this share of known picture."""
REACH = 0.5
"""A strip is at most this share of the model's side."""
FIRST_REACH = 0.25
"""A strip is at least this share of it, however small the picture is."""
SINGLE_SLACK = 1.3
"""One pass for all is preferred to several up to this much coarser: its corners are of one piece."""
TILE_SLACK = 1.15
"""A strip is not cut into tiles for being this much too long."""
OVERLAP = 0.25
"""Tiles of a strip overlap by this share of their length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthPass:
    """One pass of an outpaint.

    Attributes:
        box: What the model sees, in pixels of the canvas.
        known: Parts of the canvas that are painted or old before this pass; the rest of the box is painted by it.
    """

    box: Box
    known: tuple[Box, ...]

    def mask(self, factor: int = 1) -> Mask:
        """Say what this pass paints.

        Args:
            factor: Pixels on each side that one value stands for.

        Returns:
            float32 (h / factor, w / factor) of the box, rounded up: 0 where everything is known, else 1.
        """
        box = self.box
        here = Box(left=0, top=0, right=-(-box.width // factor), bottom=-(-box.height // factor))
        parts = [part.shifted(-box.left, -box.top).coarsened(factor) for part in self.known]
        return outside(here, parts)


def plan_growth(
    old: Box, canvas: tuple[int, int], sizes: ModelSizes, *, context: int | None = None
) -> list[GrowthPass]:
    """Plan how a canvas is painted round an old picture.

    Args:
        old: Where the old picture lies; not all of the canvas.
        canvas: Width and height of the canvas.
        sizes: What the model likes.
        context: Pixels of known picture shown beside a strip; None chooses.

    Returns:
        The passes, in order. Together they paint every pixel outside `old`, each once or (where tiles overlap) so that
        later passes leave earlier ones alone.
    """
    single = _single(old, canvas, sizes, context)
    scale = 1.0
    while True:
        if single is not None and single.box.area <= sizes.native_pixels * (SINGLE_SLACK * scale) ** 2:
            return [single]
        passes = _at_scale(old, canvas, sizes, scale, context)
        if passes is not None:
            return passes
        scale *= COARSER


def _single(old: Box, canvas: tuple[int, int], sizes: ModelSizes, context: int | None) -> GrowthPass | None:
    """One pass for everything, if it sees enough of the old picture."""
    box = edit_box(_new_part(old, canvas), canvas, sizes, context=context)
    shared = old.within(box)
    known = 0 if shared is None else shared.area
    return GrowthPass(box=box, known=(old,)) if known >= KNOWN_SHARE * box.area else None


def _new_part(old: Box, canvas: tuple[int, int]) -> Box:
    """The smallest box round all that is new: the whole canvas, but for one single side."""
    width, height = canvas
    full_width, full_height = old.width == width, old.height == height
    if full_height and old.left == 0:
        return Box(left=old.right, top=0, right=width, bottom=height)
    if full_height and old.right == width:
        return Box(left=0, top=0, right=old.left, bottom=height)
    if full_width and old.top == 0:
        return Box(left=0, top=old.bottom, right=width, bottom=height)
    if full_width and old.bottom == height:
        return Box(left=0, top=0, right=width, bottom=old.top)
    return Box(left=0, top=0, right=width, bottom=height)


def _at_scale(
    old: Box, canvas: tuple[int, int], sizes: ModelSizes, scale: float, context: int | None
) -> list[GrowthPass] | None:
    """Strips on every side in turn until the canvas is full; None if that takes too many passes."""
    side = math.sqrt(sizes.native_pixels) * scale
    rectangle, passes = old, list[GrowthPass]()
    while (rectangle.width, rectangle.height) != canvas:
        for strip in _strips(rectangle, canvas, side):
            across = round(_depth(strip, rectangle, side, context))
            for each in _tiles(strip, rectangle, across, side):
                passes.append(each)
                if len(passes) > sizes.passes:
                    return None
            rectangle = around([rectangle, strip])
    return passes


def _strips(rectangle: Box, canvas: tuple[int, int], side: float) -> Iterator[Box]:
    """The next strip on each side that still lacks something, each as long as the rectangle then is."""
    left = _thickness(rectangle.left, rectangle.width, side)
    if left:
        strip = Box(left=rectangle.left - left, top=rectangle.top, right=rectangle.left, bottom=rectangle.bottom)
        yield strip
        rectangle = around([rectangle, strip])
    right = _thickness(canvas[0] - rectangle.right, rectangle.width, side)
    if right:
        strip = Box(left=rectangle.right, top=rectangle.top, right=rectangle.right + right, bottom=rectangle.bottom)
        yield strip
        rectangle = around([rectangle, strip])
    top = _thickness(rectangle.top, rectangle.height, side)
    if top:
        strip = Box(left=rectangle.left, top=rectangle.top - top, right=rectangle.right, bottom=rectangle.top)
        yield strip
        rectangle = around([rectangle, strip])
    bottom = _thickness(canvas[1] - rectangle.bottom, rectangle.height, side)
    if bottom:
        yield Box(left=rectangle.left, top=rectangle.bottom, right=rectangle.right, bottom=rectangle.bottom + bottom)


def _thickness(margin: int, depth: int, side: float) -> int:
    """Thickness of the next strip: no more than is known beside it, in equal steps where it takes several."""
    most = max(1, math.floor(min(REACH * side, max(depth, FIRST_REACH * side))))
    return math.ceil(margin / math.ceil(margin / most)) if margin else 0


def _depth(strip: Box, rectangle: Box, side: float, context: int | None) -> float:
    """How far a tile reaches across its strip: the strip and what is shown beside it."""
    sideways = strip.top == rectangle.top
    thickness, beside = (strip.width, rectangle.width) if sideways else (strip.height, rectangle.height)
    return thickness + min(beside, side - thickness if context is None else context)


def _tiles(strip: Box, rectangle: Box, across: int, side: float) -> Iterator[GrowthPass]:
    """Overlapping tiles along a strip; each knows the rectangle and the tiles before it."""
    sideways = strip.top == rectangle.top
    first, last = (strip.top, strip.bottom) if sideways else (strip.left, strip.right)
    longest = max(1, min(math.floor(side**2 / across), math.floor(2 * side)))
    length = last - first if last - first <= TILE_SLACK * longest else longest
    step = length * (1 - OVERLAP)
    count = 1 if length == last - first else 1 + math.ceil((last - first - length) / step)
    done = first
    for number in range(count):
        start = first + (round((last - first - length) * number / (count - 1)) if count > 1 else 0)
        known = [rectangle]
        if done > first:
            known.append(_along(strip, first, done, sideways=sideways))
        yield GrowthPass(box=_box(strip, rectangle, (start, start + length), across), known=tuple(known))
        done = start + length


def _box(strip: Box, rectangle: Box, span: tuple[int, int], across: int) -> Box:
    """A tile: its span along the strip, and `across` from the strip's far side into the rectangle."""
    if strip.right == rectangle.left and strip.top == rectangle.top:
        return Box(left=strip.left, top=span[0], right=strip.left + across, bottom=span[1])
    if strip.left == rectangle.right and strip.top == rectangle.top:
        return Box(left=strip.right - across, top=span[0], right=strip.right, bottom=span[1])
    if strip.bottom == rectangle.top:
        return Box(left=span[0], top=strip.top, right=span[1], bottom=strip.top + across)
    return Box(left=span[0], top=strip.bottom - across, right=span[1], bottom=strip.bottom)


def _along(strip: Box, first: int, done: int, *, sideways: bool) -> Box:
    if sideways:
        return Box(left=strip.left, top=first, right=strip.right, bottom=done)
    return Box(left=first, top=strip.top, right=done, bottom=strip.bottom)
