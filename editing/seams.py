"""Seams: how visible the border of an edit is.

The eye compares one side of a border with the other. So does this: the mean CIE Lab colour of a band on the painted
side against that of a band on the kept side, at every place of the border. Means, so that grain is no step. What the
picture does by itself is measured the same way one band further out, between two kept bands; a step that the picture
makes anyway is no seam. Two widths are measured: a narrow band sees a line, a wide one a patch whose soft edge hides
the line but not the patch.

Memory is bounded whatever the picture's size: it is read in tiles, about 40 MB at the default width.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from editing.boxes import bounds
from editing.colour import lab
from editing.rasters import Mask, Pixels

SEAM_WIDTH = 3
"""Width of the narrow bands, in pixels of the picture."""
WIDE = 5
"""The wide bands are this many times as wide."""
FLOOR = 1.0
"""CIE76 dE: a step of the picture's own counts as no less than what is just noticeable (about 1, CIE 15)."""
SEAM_REACH = 3 * WIDE * SEAM_WIDTH + 1
"""How far from a border pixels are read at the default width, in pixels."""
TILE = 512
"""Side of the tiles read at a time, in pixels, without their surroundings."""

Field: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seam:
    """How visible the border between painted and kept pixels is.

    Attributes:
        border_de: Mean step in colour (CIE76 dE) across the border.
        own_de: The same step measured beside the border, among kept pixels: the picture's own gradient there.
        score: `border_de` over `own_de` (with a floor of 1 dE): about 1 is as smooth as the picture itself. Of the two
            widths measured, that of the worse score.
        length: Border pixels measured.
    """

    border_de: float
    own_de: float
    score: float
    length: int


@dataclass(slots=True)
class _Steps:
    """Sums over places: of steps across the border, of the picture's own steps, and how many of each."""

    border: float = 0.0
    length: int = 0
    own: float = 0.0
    own_length: int = 0


def measure_seam(pixels: Pixels, mask: Mask, *, width: int = SEAM_WIDTH) -> Seam | None:
    """Measure how visible the border of an edit is in the finished picture.

    At every kept pixel beside the mask, the step is the CIE76 dE between the mean colours of the painted and of the
    kept pixels that lie within `width` of the border and of that place. The picture's own step is that between the
    kept pixels within `width` of the border and those within twice that. Both are measured again `WIDE` times as wide.

    Args:
        pixels: The finished picture, uint8 (h, w, 3), 0..255, sRGB.
        mask: The uploaded mask, float32 (h, w): above 0 painted, 0 kept.
        width: Of the narrow bands, in pixels, 1 or more.

    Returns:
        The seam at the width where it shows more, or None if nothing was kept, or nothing painted. A picture that
        keeps no second band to compare with (a checkerboard) has an `own_de` of 0.
    """
    return measure_seams([(pixels, mask)], width=width)


def measure_seams(parts: Iterable[tuple[Pixels, Mask]], *, width: int = SEAM_WIDTH) -> Seam | None:
    """Measure a border that lies in several parts of a picture, such as the sides of an extended one, as one.

    Args:
        parts: Pixels and mask of each, as for `measure_seam`.
        width: Of the narrow bands, in pixels, 1 or more.

    Returns:
        The seam of all parts together at the width where it shows more, or None if there is no border in any.
    """
    found = [seam for seam in map(_seam, _measured(parts, (width, WIDE * width))) if seam is not None]
    return max(found, key=lambda seam: seam.score, default=None)


def border_step(pixels: Pixels, mask: Mask, width: int = SEAM_WIDTH) -> float:
    """Measure the mean step in colour across a border, at one width.

    Args:
        pixels: uint8 (h, w, 3), 0..255, sRGB.
        mask: float32 (h, w): above 0 painted, 0 kept.
        width: Of the bands compared, in pixels, 1 or more.

    Returns:
        Mean CIE76 dE; 0 if there is no border.
    """
    seam = _seam(_measured([(pixels, mask)], (width,))[0])
    return 0.0 if seam is None else seam.border_de


def _seam(steps: _Steps) -> Seam | None:
    if not steps.length:
        return None
    border = steps.border / steps.length
    own = steps.own / steps.own_length if steps.own_length else 0.0
    return Seam(border_de=border, own_de=own, score=border / max(own, FLOOR), length=steps.length)


def _measured(parts: Iterable[tuple[Pixels, Mask]], widths: Sequence[int]) -> list[_Steps]:
    """Sum the steps over the tiles of what a border can lie in, at each width."""
    totals = [_Steps() for _ in widths]
    for pixels, mask in parts:
        if float(mask.max()) <= 0.0:
            continue
        # A place may lie a width off the mask; its window reaches a width on, to pixels told apart by distance.
        for inner, outer in _tiles(mask, 3 * max(widths) + 1):
            painted = mask[outer] > 0.0
            if painted.any() and not painted.all():
                _add_tile(totals, widths, lab(np.ascontiguousarray(pixels[outer])), painted, _within(inner, outer))
    return totals


def _tiles(mask: Mask, halo: int) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Cut what lies near a mask into tiles, each with its surroundings."""
    box = bounds(mask)
    height, width = mask.shape
    for top in range(max(0, box.top - halo), min(height, box.bottom + halo), TILE):
        for left in range(max(0, box.left - halo), min(width, box.right + halo), TILE):
            bottom, right = min(height, top + TILE), min(width, left + TILE)
            rows = slice(max(0, top - halo), min(height, bottom + halo))
            columns = slice(max(0, left - halo), min(width, right + halo))
            yield (slice(top, bottom), slice(left, right)), (rows, columns)


def _within(inner: Sequence[slice], outer: Sequence[slice]) -> tuple[slice, slice]:
    rows, columns = (slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer, strict=True))
    return rows, columns


def _add_tile(
    totals: Sequence[_Steps],
    widths: Sequence[int],
    seen: Field,
    painted: npt.NDArray[np.bool_],
    inner: tuple[slice, slice],
) -> None:
    """Measure one tile; places are counted in its inner part only, so that each is counted once."""
    to_kept, to_painted = _distance(painted), _distance(~painted)
    border = cv2.dilate(painted.astype(np.uint8), np.ones((3, 3), dtype=np.uint8)).astype(bool) & ~painted
    for total, width in zip(totals, widths, strict=True):
        inside = painted & (to_kept <= width)
        beside = ~painted & (to_painted <= width)
        beyond = (to_painted > width) & (to_painted <= 2 * width)
        # the same places one band further out: the first row of the second band
        further = beyond & (to_painted <= width + 1)
        here = _mean_near(seen, beside, width)
        across, places = _step(here, _mean_near(seen, inside, width), border, inner)
        total.border += across
        total.length += places
        along, places = _step(here, _mean_near(seen, beyond, width), further, inner)
        total.own += along
        total.own_length += places


def _step(
    one: tuple[Field, Field], other: tuple[Field, Field], places: npt.NDArray[np.bool_], inner: tuple[slice, slice]
) -> tuple[float, int]:
    """Sum the colour distance between two bands at those places of a tile's inner part that have some of both."""
    counted = places[inner] & (one[1][inner] > 0.0) & (other[1][inner] > 0.0)
    difference = one[0][inner][counted] - other[0][inner][counted]
    return float(np.sqrt((difference**2).sum(axis=1, dtype=np.float64)).sum()), int(counted.sum())


def _distance(places: npt.NDArray[np.bool_]) -> Field:
    """Return each place's distance to the nearest pixel that is none, in pixels (1 beside it)."""
    return np.asarray(
        cv2.distanceTransform(places.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE), dtype=np.float32
    )


def _mean_near(lab: Field, band: npt.NDArray[np.bool_], width: int) -> tuple[Field, Field]:
    """Average a band's colour in the square of `width` pixels round each pixel; and count how much of it is there."""
    side = (2 * width + 1, 2 * width + 1)
    weight = band.astype(np.float32)
    held = lab * weight[:, :, None]
    total = np.asarray(cv2.boxFilter(held, -1, side, normalize=False, borderType=cv2.BORDER_CONSTANT), np.float32)
    count = np.asarray(cv2.boxFilter(weight, -1, side, normalize=False, borderType=cv2.BORDER_CONSTANT), np.float32)
    return np.asarray(total / np.maximum(count, np.float32(1.0))[:, :, None], dtype=np.float32), count
