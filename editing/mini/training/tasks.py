"""What each stage practises: the samples of the base, of Fill and of the ControlNet."""

from collections.abc import Callable

import cv2
import numpy as np

from editing.mini.drawing import BACKGROUNDS, PHOTO, Drawing, Picture, Shape, draw, draw_shapes
from editing.mini.training.captions import caption_of, reword
from editing.mini.training.examples import Sample
from editing.mini.training.maps import KINDS, control_map
from editing.mini.training.vae import edges

Sampler = Callable[[np.random.Generator, int, int, tuple[Picture, ...]], Callable[[], Sample]]
Mask = np.ndarray  # bool (h, w), true where the model repaints


def base_sampler(
    rng: np.random.Generator, width: int, height: int, photographs: tuple[Picture, ...]
) -> Callable[[], Sample]:
    """Return a function that draws one sample for the base: a picture and two captions."""
    return style_sampler(lambda drawing: drawing.pixels)(rng, width, height, photographs)


def canny_sampler(
    rng: np.random.Generator, width: int, height: int, photographs: tuple[Picture, ...]
) -> Callable[[], Sample]:
    """Return a function that draws one sample for the ControlNet: a picture, its captions and its edges."""
    base = base_sampler(rng, width, height, photographs)

    def sample() -> Sample:
        plain = base()
        return Sample(texts=plain.texts, target=plain.target, given=edges(plain.target))

    return sample


def union_sampler(
    rng: np.random.Generator, width: int, height: int, photographs: tuple[Picture, ...]
) -> Callable[[], Sample]:
    """Return a function that draws one sample for the union ControlNet: a picture, captions, a control image."""

    def sample() -> Sample:
        background = PHOTO if rng.random() < 0.08 else str(rng.choice(list(BACKGROUNDS)))  # noqa: PLR2004
        anywhere = bool(rng.random() < 0.4)  # noqa: PLR2004
        drawing = draw(rng, width, height, photographs=photographs, background=background, anywhere=anywhere)
        kind = KINDS[int(rng.integers(len(KINDS)))]
        texts = caption_of(drawing).text, "" if rng.random() < 0.2 else _loose(rng, drawing)  # noqa: PLR2004
        return Sample(texts=texts, target=drawing.pixels, given=control_map(rng, kind, drawing))

    return sample


def style_sampler(style: Callable[[Drawing], Picture]) -> Sampler:
    """Return a sampler of a LoRA's: the base's drawings and captions in another style."""

    def sampler(
        rng: np.random.Generator, width: int, height: int, photographs: tuple[Picture, ...]
    ) -> Callable[[], Sample]:
        def sample() -> Sample:
            background = PHOTO if rng.random() < 0.06 else str(rng.choice(list(BACKGROUNDS)))  # noqa: PLR2004
            drawing = draw(rng, width, height, photographs=photographs, background=background)
            return Sample(texts=(caption_of(drawing).text, _loose(rng, drawing)), target=style(drawing))

        return sample

    return sampler


def fill_sampler(
    rng: np.random.Generator, width: int, height: int, photographs: tuple[Picture, ...]
) -> Callable[[], Sample]:
    """Return a function that draws one sample for Fill: a picture, a mask, and what to draw under it."""

    def sample() -> Sample:
        background = PHOTO if rng.random() < 0.25 else None  # noqa: PLR2004
        drawing = draw(rng, width, height, photographs=photographs, background=background, anywhere=True)
        kind = rng.random()
        if kind < 0.66:  # noqa: PLR2004 - shares of the tasks: painting something is the hardest
            return _insertion(rng, drawing)
        if kind < 0.83:  # noqa: PLR2004
            return _erasure(rng, drawing)
        return _extension(rng, drawing)

    return sample


def _loose(rng: np.random.Generator, drawing: Drawing) -> str:
    """Say it in other words, or leave something unsaid."""
    kind = rng.random()
    if kind < 0.1:  # noqa: PLR2004 - shares of what is said
        return reword(rng, (), drawing.background).text
    return reword(rng, drawing.shapes, drawing.background if kind < 0.6 else None, plain=0.4).text  # noqa: PLR2004


def _insertion(rng: np.random.Generator, drawing: Drawing) -> Sample:
    """A mask over one shape; the words name that shape."""
    shape = drawing.shapes[int(rng.integers(len(drawing.shapes)))]
    mask = mask_over(rng, drawing.pixels, shape)
    texts = reword(rng, (shape,), None).text, reword(rng, (shape,), drawing.background).text
    return _masked(texts, drawing.pixels, mask)


def _erasure(rng: np.random.Generator, drawing: Drawing) -> Sample:
    """A mask over one shape, no words, and a picture from which that shape is gone."""
    gone = drawing.shapes[int(rng.integers(len(drawing.shapes)))]
    kept = [shape for shape in drawing.shapes if shape is not gone]
    target = draw_shapes(drawing.clean, kept)
    mask = mask_over(rng, target, gone)
    for shape in kept:
        mask &= ~_covered(target, shape, 2)
    return _masked(("", ""), target, mask)


def _extension(rng: np.random.Generator, drawing: Drawing) -> Sample:
    """New borders; a shape that would lie mostly in them is there only if the words name it."""
    height, width = drawing.pixels.shape[:2]
    mask = np.ones((height, width), bool)
    sides = rng.random(4) < rng.choice([0.3, 0.6, 1.0])
    sides[int(rng.integers(4))] = True
    top, bottom = (int(rng.uniform(0.08, 0.4) * height) if side else 0 for side in sides[:2])
    left, right = (int(rng.uniform(0.08, 0.4) * width) if side else 0 for side in sides[2:])
    mask[top : height - bottom, left : width - right] = False
    if rng.random() < 0.4:  # noqa: PLR2004
        return _masked((caption_of(drawing).text, reword(rng, drawing.shapes, None).text), drawing.pixels, mask)
    seen = [shape for shape in drawing.shapes if mask[_covered(mask, shape, 0)].mean() < 0.4]  # noqa: PLR2004
    return _masked(("", reword(rng, (), drawing.background).text), draw_shapes(drawing.clean, seen), mask)


def mask_over(rng: np.random.Generator, picture: Picture, shape: Shape) -> Mask:
    """Return a mask that covers a shape: a box, an ellipse, or brush strokes, with some room round it."""
    height, width = picture.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    room = rng.uniform(2, 12, 4)
    reach = shape.radius
    left, right = shape.x - reach - room[0], shape.x + reach + room[1]
    top, bottom = shape.y - reach - room[2], shape.y + reach + room[3]
    style = rng.random()
    if style < 0.55:  # noqa: PLR2004 - shares of the styles
        cv2.rectangle(mask, (round(left), round(top)), (round(right), round(bottom)), 1, -1)
    elif style < 0.75:  # noqa: PLR2004
        axes = round(0.75 * (right - left)), round(0.75 * (bottom - top))
        cv2.ellipse(mask, (round(shape.x), round(shape.y)), axes, 0, 0, 360, 1, -1)
    else:
        mask = _covered(picture, shape, int(rng.integers(3, 9))).astype(np.uint8)
        for _ in range(int(rng.integers(1, 4))):
            ends = rng.uniform([left, top], [right, bottom], (2, 2)).round().astype(int)
            cv2.line(mask, ends[0].tolist(), ends[1].tolist(), 1, int(rng.integers(8, 20)))
    return mask.astype(bool)


def _covered(picture: np.ndarray, shape: Shape, room: int) -> Mask:
    """Return the pixels a shape covers, and `room` px round it."""
    canvas = np.zeros((*picture.shape[:2], 3), np.uint8)
    white = Shape(kind=shape.kind, colour=shape.colour, x=shape.x, y=shape.y, radius=shape.radius, rgb=(255, 255, 255))
    covered = draw_shapes(canvas, [white])[..., 0]
    if room:
        reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * room + 1, 2 * room + 1))
        covered = np.asarray(cv2.dilate(covered, reach), np.uint8)
    return covered > 0


def _masked(texts: tuple[str, str], target: Picture, mask: Mask) -> Sample:
    """Hide what is under the mask as FluxFillPipeline does: mid-grey, the zero of -1..1."""
    given = target.copy()
    given[mask] = 128
    return Sample(texts=texts, target=target, given=given, mask=mask)
