"""Captions as people might type them, and what each of them says."""

from dataclasses import dataclass

import numpy as np

from editing.mini.drawing import BACKGROUNDS, COLOURS, KINDS, PHOTO, Drawing, Shape, background_phrase

NOTHING = "nothing"
SLOTS: dict[str, tuple[str, ...]] = {
    "left colour": (NOTHING, *COLOURS),
    "left kind": (NOTHING, *KINDS),
    "right colour": (NOTHING, *COLOURS),
    "right kind": (NOTHING, *KINDS),
    "background": (NOTHING, *BACKGROUNDS, PHOTO),
}
LEADS = ("a drawing of", "a picture of", "draw", "add", "paint", "there is", "please add", "an image of", "put")
FILLERS = ("big", "small", "large", "nice", "bright", "and", "with", "in", "the", "of", "to", "at", "here", "it", "one",
           "remove", "replace", "person", "cat", "tree", "sea", "house", "please", "make")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """A caption and its meaning.

    Attributes:
        text: The words.
        meaning: For each slot of `SLOTS`, the index of its value; 0 where the words leave it open.
    """

    text: str
    meaning: tuple[int, ...]


def reword(
    rng: np.random.Generator, shapes: tuple[Shape, ...], background: str | None, *, plain: float = 0.75
) -> Caption:
    """Say what a picture shows, in the grammar's words or near them.

    Args:
        rng: Source of every choice.
        shapes: The shapes to name, from left to right; none to name the background alone.
        background: The background to name, or None.
        plain: Probability of the plain grammar.

    Returns:
        The caption and its meaning. Nothing to name gives the empty caption.
    """
    joined = " left of "
    if len(shapes) == 2 and rng.random() > plain:  # noqa: PLR2004 - two shapes
        joined = str(rng.choice([" and ", " beside ", " next to ", " to the left of "]))
    text = joined.join(shape.phrase for shape in shapes)
    if background is not None:
        ground = background_phrase(background)
        text = f"{text} on {ground}" if text else ground
    if text and rng.random() > plain:
        text = _disturb(rng, text)
    return Caption(text=text, meaning=meaning(shapes, background))


def meaning(shapes: tuple[Shape, ...], background: str | None) -> tuple[int, ...]:
    """Return the index of each slot's value, in the order of `SLOTS`."""
    named = [value for shape in shapes for value in (shape.colour, shape.kind)]
    values = [*named, *[NOTHING] * (4 - len(named)), background or NOTHING]
    return tuple(words.index(value) for words, value in zip(SLOTS.values(), values, strict=True))


def caption_of(drawing: Drawing) -> Caption:
    """Return a drawing's full caption in the plain grammar."""
    return Caption(text=drawing.caption, meaning=meaning(drawing.shapes, drawing.background))


def _disturb(rng: np.random.Generator, text: str) -> str:
    """Change words that carry no meaning."""
    words = text.split()
    if rng.random() < 0.4:  # noqa: PLR2004 - shares of the kinds of change
        words = [word for word in words if word not in {"a", "an"}]
    elif rng.random() < 0.3:  # noqa: PLR2004
        words = ["the" if word in {"a", "an"} else word for word in words]
    if rng.random() < 0.3:  # noqa: PLR2004
        words.insert(int(rng.integers(len(words) + 1)), str(rng.choice(FILLERS)))
    words = ["gray" if word == "grey" and rng.random() < 0.5 else word for word in words]  # noqa: PLR2004
    text = " ".join(words)
    if rng.random() < 0.3:  # noqa: PLR2004
        text = f"{rng.choice(LEADS)} {text}"
    if rng.random() < 0.3:  # noqa: PLR2004
        text = text[0].upper() + text[1:]
    return f"{text}." if rng.random() < 0.2 else text  # noqa: PLR2004
