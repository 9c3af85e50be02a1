"""Boxes: the part of a picture that the model sees, and the size at which it sees it."""

import math
from dataclasses import dataclass

import numpy as np

from editing.rasters import Mask

CONTEXT_OF_MASK = 0.5
"""Context on each side, as a share of the mask's longer side."""
CONTEXT_OF_PICTURE = 1 / 16
"""Context on each side, at least this share of the picture's longer side."""
SMALLEST_OF_NATIVE = 0.5
"""A box is at least this share of the model's own side, where the picture is that large."""
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
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array with."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def edges(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom


def bounds(mask: Mask) -> Box:
    """Find the smallest box round all that a mask repaints.

    Args:
        mask: float32 (h, w), 1 repaint .. 0 keep; at least one value above 0.

    Returns:
        The box.
    """
    rows = np.flatnonzero((mask > 0.0).any(axis=1))
    columns = np.flatnonzero((mask > 0.0).any(axis=0))
    return Box(left=int(columns[0]), top=int(rows[0]), right=int(columns[-1]) + 1, bottom=int(rows[-1]) + 1)


def edit_box(mask: Mask, *, native_pixels: int, context: int | None = None) -> Box:
    """Choose the box that the model sees: all of the mask, with context.

    Args:
        mask: float32 (h, w), 1 repaint .. 0 keep; at least one value above 0.
        native_pixels: Area that the model likes.
        context: Pixels on each side, or None to choose from the mask's and the picture's size.

    Returns:
        A box within the picture that holds every pixel above 0.
    """
    inner = bounds(mask)
    height, width = mask.shape
    if context is not None:
        widths = inner.width + 2 * context, inner.height + 2 * context
        return _placed(inner, widths, (width, height), exact=context)
    margin = max(CONTEXT_OF_MASK * max(inner.width, inner.height), CONTEXT_OF_PICTURE * max(width, height))
    least = SMALLEST_OF_NATIVE * math.sqrt(native_pixels)
    wide, high = max(inner.width + 2 * margin, least), max(inner.height + 2 * margin, least)
    wide, high = max(wide, high / BOX_ASPECT), max(high, wide / BOX_ASPECT)
    return _placed(inner, (math.ceil(wide), math.ceil(high)), (width, height), exact=None)


def _placed(inner: Box, wanted: tuple[int, int], size: tuple[int, int], *, exact: int | None) -> Box:
    """Place a box of the wanted size round `inner`, within a picture of `size`."""
    left, right = _span(inner.left, inner.right, wanted[0], size[0], shift=exact is None)
    top, bottom = _span(inner.top, inner.bottom, wanted[1], size[1], shift=exact is None)
    return Box(left=left, top=top, right=right, bottom=bottom)


def _span(first: int, last: int, wanted: int, length: int, *, shift: bool) -> tuple[int, int]:
    """Centre `wanted` pixels on first..last; at a border, shift inwards (or only cut off)."""
    start = first - (wanted - (last - first)) // 2
    end = start + wanted
    if shift:
        offset = max(0, -start) - max(0, end - length) if end - start <= length else 0
        start, end = start + offset, end + offset
    return max(0, min(start, first)), min(length, max(end, last))


def model_size(width: int, height: int, *, native_pixels: int, multiple: int) -> tuple[int, int]:
    """Choose the size at which the model runs on a box.

    Args:
        width: Columns of the box.
        height: Rows of the box.
        native_pixels: Area that the model likes.
        multiple: Sides must be multiples of this.

    Returns:
        Width and height: about `native_pixels` in all, about the box's aspect (within 1:4 to 4:1).
    """
    aspect = min(max(width / height, 1 / MODEL_ASPECT), MODEL_ASPECT)
    wide = max(multiple, round(math.sqrt(native_pixels * aspect) / multiple) * multiple)
    high = max(multiple, round(math.sqrt(native_pixels / aspect) / multiple) * multiple)
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
