"""An independent judge of flux-mini's pictures: colours and contours by OpenCV, nothing learned.

It reads a picture the way a person with a colour chart and a ruler would. Every pixel is named after the nearest
colour of the chart (the shapes' and the backgrounds', CIE Lab); connected patches of one shape colour are measured,
and their outline decides what they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from editing.colour import lab
from editing.mini.drawing import BACKGROUNDS, COLOURS, PHOTO, Picture

Mask = npt.NDArray[np.bool_]

SMALLEST_PATCH = 0.008  # of the picture's area; smaller ones are crumbs
BACKGROUND_DISTANCE = 16.0  # CIE dE within which the ground counts as the named background
CLEAN_DISTANCE = 12.0  # CIE dE within which an erased place matches the true ground
STAR_SOLIDITY = 0.80  # stars fill less than this of their convex hull
EDGE_REACH = 3  # pixels within which edges count as met


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A connected patch of one colour that the judge takes for a shape.

    Attributes:
        colour: One of `COLOURS`.
        kind: One of `KINDS`, or "unclear".
        x: Centre from the left, pixels.
        y: Centre from the top, pixels.
        area: Pixels.
    """

    colour: str
    kind: str
    x: float
    y: float
    area: float


def read_shapes(picture: Picture, background: str | None = None) -> list[Patch]:
    """Find the shapes in a picture.

    Args:
        picture: uint8 (h, w, 3), sRGB.
        background: The background's name; for "photo" every patch of a shape colour counts, crumbs excepted.

    Returns:
        Patches from left to right.
    """
    names, nearest = _name_pixels(picture, background)
    smallest = SMALLEST_PATCH * picture.shape[0] * picture.shape[1]
    patches = []
    for colour in COLOURS:
        alike = (nearest == names.index(colour)).astype(np.uint8)
        alike = np.asarray(cv2.morphologyEx(alike, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
        contours, _ = cv2.findContours(alike, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        for found in contours:
            contour = np.asarray(found, np.int32)
            area = float(cv2.contourArea(contour))
            if area >= smallest:
                (x, y), _ = cv2.minEnclosingCircle(contour)
                patches.append(Patch(colour=colour, kind=kind_of(contour), x=x, y=y, area=area))
    return sorted(patches, key=lambda patch: patch.x)


def kind_of(contour: npt.NDArray[np.int32]) -> str:
    """Name the shape of an outline.

    Args:
        contour: int32 (n, 1, 2), as `cv2.findContours` gives it.

    Returns:
        One of `KINDS`, or "unclear": what its hull, its enclosing triangle, box and circle say.
    """
    area = cv2.contourArea(contour)
    hull = cv2.contourArea(cv2.convexHull(contour))
    if not area or not hull:
        return "unclear"
    if area / hull < STAR_SOLIDITY:
        return "star" if _spikes(contour) == 5 else "unclear"  # noqa: PLR2004 - points of a star
    _, (width, height), _ = cv2.minAreaRect(contour)
    triangle, _ = cv2.minEnclosingTriangle(contour)
    _, radius = cv2.minEnclosingCircle(contour)
    fits = {
        "triangle": area / max(triangle, 1.0),
        "square": area / max(width * height, 1.0) * min(width, height) / max(width, height, 1.0),
        "circle": area / max(np.pi * radius**2, 1.0),
    }
    kind = max(fits, key=lambda name: fits[name])
    return kind if fits[kind] > 0.78 else "unclear"  # noqa: PLR2004 - a square fills 0.64 of its circle


def shows(picture: Picture, shapes: Sequence[tuple[str, str]], background: str | None) -> bool:
    """Say whether a picture shows exactly the named shapes, in order, on the named background.

    Args:
        picture: uint8 (h, w, 3), sRGB.
        shapes: (colour, kind) from left to right.
        background: A name of `BACKGROUNDS`, "photo" (any ground will do), or None for not asked.
    """
    patches = read_shapes(picture, background)
    if background == PHOTO:
        return all(any((patch.colour, patch.kind) == wanted for patch in patches) for wanted in shapes)
    if [(patch.colour, patch.kind) for patch in patches] != list(shapes):
        return False
    return background is None or ground_distance(picture, background) <= BACKGROUND_DISTANCE


def ground_distance(picture: Picture, background: str) -> float:
    """Return how far (CIE dE) the ground's colour is from the named background's.

    The ground is what remains without the shapes; its colour is the median.
    """
    names, nearest = _name_pixels(picture, background)
    ground = nearest == names.index(background)
    if ground.mean() < 0.3:  # noqa: PLR2004 - shapes never cover so much
        return float("inf")
    colour = np.median(lab(picture)[ground], axis=0)
    return float(np.linalg.norm(colour - lab_of(BACKGROUNDS[background])))


def is_clean(picture: Picture, truth: Picture, mask: Mask) -> bool:
    """Say whether an erased place looks like the true ground.

    Args:
        picture: The result, uint8 (h, w, 3).
        truth: The ground that the shape stood on, uint8 (h, w, 3).
        mask: bool (h, w), true where something was erased.

    Returns:
        Whether at least 95 % of the place is within `CLEAN_DISTANCE` of the truth, both smoothed over 5 px
        so that grain does not count.
    """
    far = _difference(picture, truth)[mask] > CLEAN_DISTANCE
    return bool(far.mean() < 0.05)  # noqa: PLR2004 - the docstring says it


def border_difference(picture: Picture, old: tuple[int, int, int, int], width: int = 3) -> float:
    """Return the mean colour step (CIE dE) across the border between an old picture and what was added round it.

    Args:
        picture: The extended picture, uint8 (h, w, 3).
        old: left, top, right, bottom of the old picture in it; sides on the picture's rim have no border.
        width: Pixels averaged at each side of the border.
    """
    left, top, right, bottom = old
    seen = lab(picture)
    height, full = picture.shape[:2]
    steps = []
    if top > 0:
        steps.append(_step(seen[top - width : top, left:right], seen[top : top + width, left:right], axis=0))
    if bottom < height:
        steps.append(
            _step(seen[bottom - width : bottom, left:right], seen[bottom : bottom + width, left:right], axis=0)
        )
    if left > 0:
        steps.append(_step(seen[top:bottom, left - width : left], seen[top:bottom, left : left + width], axis=1))
    if right < full:
        steps.append(_step(seen[top:bottom, right - width : right], seen[top:bottom, right : right + width], axis=1))
    return float(np.concatenate(steps).mean()) if steps else 0.0


def edge_f1(picture: Picture, wanted: Mask) -> float:
    """Return the F1 score (0..1) of a picture's canny edges against wanted ones, met within `EDGE_REACH` px.

    Args:
        picture: uint8 (h, w, 3), sRGB.
        wanted: bool (h, w), the edges it was asked to follow.
    """
    found = canny(picture)
    if not found.any() or not wanted.any():
        return float(found.any() == wanted.any())
    precision = float(_near(wanted)[found].mean())
    recall = float(_near(found)[wanted].mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def canny(picture: Picture) -> Mask:
    """Return the canny edges (100, 200, of the strongest channel) of uint8 (h, w, 3) as bool (h, w)."""
    return np.asarray(cv2.Canny(np.ascontiguousarray(picture), 100, 200)) > 0


def lab_of(rgb: tuple[int, int, int]) -> npt.NDArray[np.float32]:
    """Convert one sRGB colour (0..255 each) to CIE Lab, float32 (3,)."""
    return np.asarray(lab(np.array([[rgb]], np.uint8))[0, 0], np.float32)


def _name_pixels(picture: Picture, background: str | None) -> tuple[list[str], npt.NDArray[np.intp]]:
    """Name every pixel after the nearest colour: the shapes' and the background's (all of them if none is given)."""
    if background == PHOTO:
        grounds = {}
    else:
        grounds = dict(BACKGROUNDS) if background is None else {background: BACKGROUNDS[background]}
    chart = {**COLOURS, **grounds}
    colours = np.stack([lab_of(rgb) for rgb in chart.values()])
    smooth = np.asarray(cv2.medianBlur(picture, 3), np.uint8)
    seen = lab(smooth)
    distances = np.stack([np.square(seen - colour).sum(-1) for colour in colours])
    return list(chart), distances.argmin(0)


def _spikes(contour: npt.NDArray[np.int32]) -> int:
    """Count the outline's outward peaks: maxima of the smoothed distance from the centre."""
    points = contour[:, 0].astype(np.float64)
    moments = cv2.moments(contour)
    centre = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
    reach = np.hypot(*(points - centre).T)
    window = max(3, len(reach) // 20)
    smooth = np.convolve(np.tile(reach, 3), np.ones(window) / window, "same")[len(reach) : 2 * len(reach)]
    middle = (smooth.max() + smooth.min()) / 2
    above = smooth > middle
    return int((above & ~np.roll(above, 1)).sum())


def _difference(picture: Picture, truth: Picture) -> npt.NDArray[np.float32]:
    one, other = (lab(np.asarray(cv2.blur(each, (5, 5)), np.uint8)) for each in (picture, truth))
    return np.asarray(np.linalg.norm(one - other, axis=-1), np.float32)


def _step(before: npt.NDArray[np.float32], after: npt.NDArray[np.float32], *, axis: int) -> npt.NDArray[np.float32]:
    return np.asarray(np.linalg.norm(before.mean(axis) - after.mean(axis), axis=-1), np.float32)


def _near(edges: Mask) -> Mask:
    size = 2 * EDGE_REACH + 1
    reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return np.asarray(cv2.dilate(edges.astype(np.uint8), reach)) > 0
