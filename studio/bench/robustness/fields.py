"""One text spread over the fields of one request. Pure."""

from collections.abc import Sequence

from policy import TextSubject, Wording
from policy.readings import Span
from studio.bench.robustness.disguise import FieldSplit

_FIRST, _SECOND, _THIRD = "prompt", "prompt_2", "control[0].prompt"


def _seam(text: str, targets: Sequence[Span]) -> int:
    """Return where to cut so that what matters lies on both sides, or, with one stretch only, inside it."""
    if len(targets) > 1:
        return targets[len(targets) // 2].start
    if targets:
        start, end = targets[0]
        return (start + end) // 2
    return len(text) // 2


def _texts(*parts: str) -> tuple[TextSubject, ...]:
    names = (_FIRST, _SECOND, _THIRD)
    return tuple(TextSubject(name=name, text=part) for name, part in zip(names, parts, strict=False) if part.strip())


def _halves(text: str, targets: Sequence[Span]) -> tuple[TextSubject, ...]:
    at = _seam(text, targets)
    return _texts(text[:at], text[at:])


def _mid_word(text: str, targets: Sequence[Span]) -> tuple[TextSubject, ...]:
    if not targets:
        return _halves(text, targets)
    start, end = max(targets, key=lambda span: span.end - span.start)
    at = (start + end) // 2
    return _texts(text[:at], text[at:])


def _alternating(text: str, targets: Sequence[Span]) -> tuple[TextSubject, ...]:
    """Put every other stretch that matters into the second text, with the words around it in the first."""
    del targets
    parts = text.split(" ") if " " in text else [text[place : place + 4] for place in range(0, len(text), 4)]
    space = " " if " " in text else ""
    return _texts(space.join(parts[::2]), space.join(parts[1::2]))


def _three(text: str, targets: Sequence[Span]) -> tuple[TextSubject, ...]:
    first = _seam(text, targets)
    second = first + (len(text) - first) // 2
    while second < len(text) and text[second].isascii() and text[second - 1] != " ":
        second += 1
    return _texts(text[:first], text[first:second], text[second:])


def _two(text: str, targets: Sequence[Span], name: str, wording: Wording) -> tuple[TextSubject, ...]:
    at = _seam(text, targets)
    subjects = (TextSubject(name=_FIRST, text=text[:at]), TextSubject(name=name, text=text[at:], wording=wording))
    return tuple(subject for subject in subjects if subject.text.strip())


def _file_name(text: str, targets: Sequence[Span]) -> tuple[TextSubject, ...]:
    subjects = _two(text, targets, "loras[0].name", Wording.NAME)
    return tuple(
        subject
        if subject.wording is not Wording.NAME
        else TextSubject(name=subject.name, text=f"{subject.text.strip().replace(' ', '_')}", wording=Wording.NAME)
        for subject in subjects
    )


FIELD_SPLITS = (
    FieldSplit(name="halves in two prompts", apply=_halves),
    FieldSplit(name="a word over two prompts", apply=_mid_word),
    FieldSplit(name="alternating words", apply=_alternating),
    FieldSplit(name="over three fields", apply=_three),
    FieldSplit(
        name="prompt and negative prompt",
        apply=lambda text, targets: _two(text, targets, "negative_prompt", Wording.NEGATIVE),
    ),
    FieldSplit(name="prompt and name of a file", apply=_file_name),
)
