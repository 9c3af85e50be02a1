"""Boxes: the part of a picture that the model sees, and the size at which it sees it.

A box that fits the model is cut at one of a few sizes ("buckets") and seen pixel for pixel; a larger one is scaled
down. So a small edit costs what its box costs, and never loses sharpness to resampling.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from editing.rasters import Mask

CONTEXT_OF_MASK = 0.25
"""Context on each side, as a share of the mask's longer side."""
CONTEXT_OF_MODEL = 1 / 8
"""Context on each side, at least this share of the side of the model's smallest square."""
BOX_ASPECT = 2.0
"""A narrow box takes in more of the picture until its sides are at most this far apart."""
MODEL_ASPECT = 4.0
"""The model runs at sides at most this far apart; narrower boxes are stretched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A part of a picture, in pixels; right and bottom are exclusive.

    Attributes:
        left: First column.
        top: First row.
        right: Column after the last.
        bottom: Row after the last.
    """

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def area(self) -> int:
        """Pixels."""
        return self.width * self.height

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array with."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def edges(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom

    def shifted(self, across: int, down: int) -> "Box":
        """Move this box.

        Args:
            across: Columns to the right.
            down: Rows downwards.

        Returns:
            The moved box.
        """
        return Box(left=self.left + across, top=self.top + down, right=self.right + across, bottom=self.bottom + down)

    def widened(self, reach: int, size: tuple[int, int]) -> "Box":
        """Widen this box on every side, within a picture.

        Args:
            reach: Pixels on each side.
            size: Width and height of the picture.

        Returns:
            The widened box.
        """
        return Box(
            left=max(0, self.left - reach),
            top=max(0, self.top - reach),
            right=min(size[0], self.right + reach),
            bottom=min(size[1], self.bottom + reach),
        )

    def coarsened(self, factor: int) -> "Box":
        """Find the places that lie wholly within this box, where each stands for `factor` pixels on each side.

        Args:
            factor: 1 or more.

        Returns:
            The box in such places; possibly empty.
        """
        left, top = -(-self.left // factor), -(-self.top // factor)
        right, bottom = max(left, self.right // factor), max(top, self.bottom // factor)
        return Box(left=left, top=top, right=right, bottom=bottom)

    def within(self, outer: "Box") -> "Box | None":
        """Cut this box to another.

        Args:
            outer: The other.

        Returns:
            What both have in common; None if nothing.
        """
        left, top = max(self.left, outer.left), max(self.top, outer.top)
        right, bottom = min(self.right, outer.right), min(self.bottom, outer.bottom)
        return Box(left=left, top=top, right=right, bottom=bottom) if left < right and top < bottom else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSizes:
    """The sizes at which a model paints well.

    Attributes:
        native_pixels: Area it likes; no edit runs at more (but for rounding).
        smallest_pixels: Least area at which it still paints well.
        multiple: Its sides must be multiples of this.
        bucket: Sides of crops are multiples of this, itself a multiple of `multiple`.
        passes: Runs that one outpaint may take; a larger one is painted at a coarser scale.
    """

    native_pixels: int
    smallest_pixels: int
    multiple: int
    bucket: int
    passes: int = 8


def bounds(mask: Mask) -> Box:
    """Find the smallest box round all that a mask repaints.

    Args:
        mask: float32 (h, w), 1 repaint .. 0 keep; at least one value above 0.

    Returns:
        The box.
    """
    rows = np.flatnonzero(mask.max(axis=1) > 0.0)  # max makes no copy of a large mask
    columns = np.flatnonzero(mask.max(axis=0) > 0.0)
    return Box(left=int(columns[0]), top=int(rows[0]), right=int(columns[-1]) + 1, bottom=int(rows[-1]) + 1)


def around(boxes: Sequence[Box]) -> Box:
    """Find the smallest box round several.

    Args:
        boxes: One or more.

    Returns:
        The box.
    """
    return Box(
        left=min(each.left for each in boxes),
        top=min(each.top for each in boxes),
        right=max(each.right for each in boxes),
        bottom=max(each.bottom for each in boxes),
    )


def outside(box: Box, parts: Sequence[Box]) -> Mask:
    """Say what of a box lies outside some parts.

    Args:
        box: The box.
        parts: The parts, in pixels of the same picture.

    Returns:
        float32 (h, w) of the box: 0 within any of the parts, else 1.
    """
    mask = np.ones((box.height, box.width), dtype=np.float32)
    for part in parts:
        shared = part.within(box)
        if shared is not None:
            rows = slice(shared.top - box.top, shared.bottom - box.top)
            mask[rows, shared.left - box.left : shared.right - box.left] = 0.0
    return mask


def edit_box(inner: Box, picture: tuple[int, int], sizes: ModelSizes, *, context: int | None = None) -> Box:
    """Choose the box that the model sees: all of the mask, with context.

    Args:
        inner: The smallest box round the mask, from `bounds`.
        picture: Width and height of the picture.
        sizes: What the model likes.
        context: Pixels on each side, or None to choose from the mask's size and the model's.

    Returns:
        A box within the picture that holds `inner`; with sides of a bucket wherever it fits the model and the picture
        has room.
    """
    if context is not None:
        widths = inner.width + 2 * context, inner.height + 2 * context
        return _placed(inner, widths, picture, exact=True)
    least = math.sqrt(sizes.smallest_pixels)
    margin = max(CONTEXT_OF_MASK * max(inner.width, inner.height), CONTEXT_OF_MODEL * least)
    wide, high = max(inner.width + 2 * margin, least), max(inner.height + 2 * margin, least)
    wide, high = max(wide, high / BOX_ASPECT), max(high, wide / BOX_ASPECT)
    wanted = _rounded_up(wide, sizes.bucket), _rounded_up(high, sizes.bucket)
    if wanted[0] * wanted[1] > sizes.native_pixels:
        wanted = math.ceil(wide), math.ceil(high)  # it is scaled anyway
    return _placed(inner, wanted, picture, exact=False)


def _rounded_up(length: float, step: int) -> int:
    return math.ceil(length / step) * step


def _placed(inner: Box, wanted: tuple[int, int], size: tuple[int, int], *, exact: bool) -> Box:
    """Place a box of the wanted size round `inner`, within a picture of `size`."""
    left, right = _span(inner.left, inner.right, wanted[0], size[0], shift=not exact)
    top, bottom = _span(inner.top, inner.bottom, wanted[1], size[1], shift=not exact)
    return Box(left=left, top=top, right=right, bottom=bottom)


def _span(first: int, last: int, wanted: int, length: int, *, shift: bool) -> tuple[int, int]:
    """Centre `wanted` pixels on first..last; at a border, shift inwards (or only cut off)."""
    start = first - (wanted - (last - first)) // 2
    end = start + wanted
    if shift:
        offset = max(0, -start) - max(0, end - length) if end - start <= length else 0
        start, end = start + offset, end + offset
    return max(0, min(start, first)), min(length, max(end, last))


def model_size(width: int, height: int, sizes: ModelSizes) -> tuple[int, int]:
    """Choose the size at which the model runs on a box.

    Args:
        width: Columns of the box.
        height: Rows of the box.
        sizes: What the model likes.

    Returns:
        Width and height, multiples of the bucket: the box's own where it fits, else about `native_pixels` in all, or
        `smallest_pixels`, at about the box's aspect (within 1:4 to 4:1).
    """
    area = min(max(width * height, sizes.smallest_pixels), sizes.native_pixels)
    aspect = min(max(width / height, 1 / MODEL_ASPECT), MODEL_ASPECT)
    wide = max(1, round(math.sqrt(area * aspect) / sizes.bucket)) * sizes.bucket
    high = max(1, round(math.sqrt(area / aspect) / sizes.bucket)) * sizes.bucket
    return wide, high


def padded_size(width: int, height: int, *, multiple: int) -> tuple[int, int]:
    """Round a size up to multiples, for a picture that is then cut back to it.

    Args:
        width: Columns wanted.
        height: Rows wanted.
        multiple: Sides must be multiples of this.

    Returns:
        Width and height, each less than `multiple` larger.
    """
    return -(-width // multiple) * multiple, -(-height // multiple) * multiple
