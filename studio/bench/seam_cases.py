"""The edits that `studio bench seams` measures: photographs, masks and words, all from fixed seeds.

The photographs lie in scikit-image's wheel. flux-mini saw most of them in training; so it did for every method that is
compared here, as all run on its weights.
"""

from dataclasses import dataclass
from importlib import resources
from typing import Final, TypeAlias

import cv2
import numpy as np
from PIL import Image

from editing.catalogue import find, pick
from editing.mini.drawing import random_shape
from editing.operations import Erase, Inpaint, OperationName, Outpaint, Sampling
from editing.placement import Placement
from editing.rasters import Mask, Pixels, Raster

PHOTOGRAPHS: Final = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "cell.png",
    "chelsea.png",
    "clock_motion.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)
KINDS: Final = ("box", "ellipse", "brush", "stroke", "outpaint")
_SEED: Final = 613_000
_MIDDLE: Final = (0.2, 0.8)  # where in the picture masks are centred, as a share of its sides
_CLEAR: Final = 12  # pixels that a mask keeps from the picture's rim

LocalEdit: TypeAlias = Inpaint | Erase | Outpaint


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeamCase:
    """One edit to measure.

    Attributes:
        number: Its place, from 0.
        photograph: File name in scikit-image's data folder.
        kind: One of `KINDS`.
        operation: What our engine is asked.
        before: The picture, or the canvas for outpainting (new part: mirrored), uint8 (h, w, 3), sRGB.
        mask: float32 (h, w) of that size, 1 repaint, 0 keep.
    """

    number: int
    photograph: str
    kind: str
    operation: LocalEdit
    before: Pixels
    mask: Mask

    @property
    def prompt(self) -> str:
        """What is to be painted; empty for a continued background."""
        return "" if isinstance(self.operation, Erase) else self.operation.prompt

    @property
    def sampling(self) -> Sampling:
        """How it is sampled, by ours and by the plain baseline."""
        return self.operation.sampling


def seam_case(number: int) -> SeamCase:
    """Make one case; the first 16 are of 16 photographs, five kinds of mask take turns, and so do erasing and painting.

    Args:
        number: From 0; the same number is always the same case.

    Returns:
        The case.

    Raises:
        FileNotFoundError: The installed scikit-image lacks the photograph.
    """
    rng = np.random.default_rng([_SEED, number])
    name = PHOTOGRAPHS[number % len(PHOTOGRAPHS)]
    kind = KINDS[number % len(KINDS)]
    photograph = _photograph(name)
    if kind == "outpaint":
        return _outpaint(number, name, photograph, rng)
    mask = _mask(kind, photograph.shape[:2], rng)
    picture = Raster(pixels=photograph)
    operation: LocalEdit
    if number // len(KINDS) % 2:
        checkpoint, phrase = pick(OperationName.INPAINT), random_shape(rng, 0.0, 0.0, 1.0).phrase
        sampling = find(checkpoint).sampling(OperationName.INPAINT, seed=_SEED + number)
        operation = Inpaint(prompt=phrase, picture=picture, mask=mask, sampling=sampling, checkpoint=checkpoint)
    else:
        checkpoint = pick(OperationName.ERASE)
        sampling = find(checkpoint).sampling(OperationName.ERASE, seed=_SEED + number)
        operation = Erase(picture=picture, mask=mask, sampling=sampling, checkpoint=checkpoint)
    return SeamCase(number=number, photograph=name, kind=kind, operation=operation, before=photograph, mask=mask)


def _photograph(name: str) -> Pixels:
    """Read a file: importing skimage takes seconds."""
    with Image.open(str(resources.files("skimage").joinpath("data", name))) as image:
        return np.asarray(image.convert("RGB"))


def _outpaint(number: int, name: str, photograph: Pixels, rng: np.random.Generator) -> SeamCase:
    """A cut of the photograph gains one margin, or two that meet."""
    height, width = (int(side) for side in rng.integers((112, 128), (144, 176)))
    top = int(rng.uniform(*_MIDDLE) * (photograph.shape[0] - height))
    left = int(rng.uniform(*_MIDDLE) * (photograph.shape[1] - width))
    cut = np.ascontiguousarray(photograph[top : top + height, left : left + width])
    sides = number // len(KINDS) % 3  # rows, columns, both
    grown = [0, 0, 0, 0]  # top, bottom, left, right, as OpenCV says it
    if sides != 1:
        grown[int(rng.integers(0, 2))] = int(rng.integers(32, 64))
    if sides != 0:
        grown[int(rng.integers(2, 4))] = int(rng.integers(32, 64))
    above, below, before, after = grown
    placement = Placement.from_margins((width, height), top=above, right=after, bottom=below, left=before)
    checkpoint = pick(OperationName.OUTPAINT)
    operation = Outpaint(
        prompt="",
        picture=Raster(pixels=cut),
        placement=placement,
        sampling=find(checkpoint).sampling(OperationName.OUTPAINT, seed=_SEED + number),
        checkpoint=checkpoint,
    )
    canvas = np.asarray(cv2.copyMakeBorder(cut, above, below, before, after, cv2.BORDER_REFLECT_101), np.uint8)
    mask = np.ones(canvas.shape[:2], np.float32)
    mask[above : above + height, before : before + width] = 0.0
    return SeamCase(number=number, photograph=name, kind="outpaint", operation=operation, before=canvas, mask=mask)


def _mask(kind: str, size: tuple[int, int], rng: np.random.Generator) -> Mask:
    """Draw a hard mask on a picture of `size` rows and columns."""
    reach = 64  # no mask lies further from its centre, pixels
    middle = [
        round(float(np.clip(rng.uniform(*_MIDDLE) * side, reach + _CLEAR, side - reach - _CLEAR)))
        for side in size[::-1]
    ]
    plane = np.zeros(size, np.uint8)
    if kind == "box":
        (x, y), (wide, high) = middle, rng.integers(22, 56, 2)
        plane[y - high : y + high, x - wide : x + wide] = 1
    elif kind == "ellipse":
        axes = [int(axis) for axis in rng.integers(22, 60, 2)]
        cv2.ellipse(plane, middle, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    else:
        widths = (20, 34) if kind == "brush" else (4, 8)
        radii, start = rng.uniform(0.3, 0.7, 6) * reach, rng.uniform(0, 2 * np.pi)
        turns = start + np.linspace(0.0, 1.6 * np.pi, 6)
        points = np.rint(np.stack([np.cos(turns), np.sin(turns)], axis=1) * radii[:, None] + middle)
        cv2.polylines(plane, [points.astype(np.int32)], isClosed=False, color=1, thickness=int(rng.integers(*widths)))
    return plane.astype(np.float32)
