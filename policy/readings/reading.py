"""One way to read a text, and the way back: a span of a reading maps to the span of the original it came from. Pure.

A reading is its parent with some stretches replaced. Only the replacements are kept, so that making a reading costs one
pass over the text, and mapping a span back costs nothing unless somebody asks for an explanation.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple


class Edit(NamedTuple):
    """A stretch of the parent's text and what stands there instead.

    Attributes:
        start: First code point replaced.
        end: One past the last; equal to `start` for an insertion.
        replacement: What stands there in the reading.
    """

    start: int
    end: int
    replacement: str


class Span(NamedTuple):
    """A stretch of a text, in code points: `text[start:end]`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """One way to read a text.

    Attributes:
        name: `as_written`, `canonical`, `leetspeak`, ...; joined by `+` where readings were stacked.
        text: The text read this way.
        parent: The reading it was made from; None for the text as it was written.
        edits: What differs from the parent, in order, not overlapping.
    """

    name: str
    text: str
    parent: "Reading | None" = None
    edits: tuple[Edit, ...] = ()
    _starts: tuple[int, ...] = field(default=(), repr=False)

    def origin(self, span: Span) -> Span:
        """Return the span of the original text that a span of this reading came from.

        Args:
            span: In `text`.

        Returns:
            The smallest span of the original that covers it; a replaced stretch counts whole.
        """
        if self.parent is None:
            return span
        start, end = self._back(span.start, end=False), self._back(max(span.end, span.start), end=True)
        return self.parent.origin(
            Span(min(start, end), max(start, end))
        )  # an empty span may lie where text was dropped

    def _back(self, position: int, *, end: bool) -> int:
        """Map a boundary of a span; one that lies in a replacement moves to the replaced stretch's own boundary."""
        # A span's end belongs to the code point before it, so that an end at a replacement's start stays before it.
        index = bisect_right(self._starts, position - 1 if end else position) - 1
        if index < 0:
            return position
        edit, start = self.edits[index], self._starts[index]
        after = start + len(edit.replacement)
        if position < after or (end and position == after):
            return edit.end if end else edit.start
        return edit.end + (position - after)


def as_written(text: str) -> Reading:
    """Return the reading that is the text itself."""
    return Reading(name="as_written", text=text)


def read_with(parent: Reading, name: str, edits: Iterable[Edit]) -> Reading:
    """Return the parent with edits made to it; the parent itself if there are none.

    Args:
        parent: The reading to change.
        name: Of the change; stands alone if the parent is the text as written or canonical, else after the parent's.
        edits: In order, not overlapping; an edit that changes nothing is allowed.
    """
    kept: list[Edit] = []
    starts: list[int] = []
    pieces: list[str] = []
    position, length = 0, 0
    for edit in edits:
        before = parent.text[position : edit.start]
        length += len(before)
        pieces += (before, edit.replacement)
        kept.append(edit)
        starts.append(length)
        length += len(edit.replacement)
        position = edit.end
    if not kept:
        return parent
    pieces.append(parent.text[position:])
    plain = parent.name in {"as_written", "canonical"} or parent.name == name
    return Reading(
        name=name if plain else f"{parent.name}+{name}",
        text="".join(pieces),
        parent=parent,
        edits=tuple(kept),
        _starts=tuple(starts),
    )


def without_overlaps(edits: Iterable[Edit]) -> list[Edit]:
    """Return edits in order, without those that overlap one before them."""
    kept: list[Edit] = []
    for edit in sorted(edits):
        if not kept or kept[-1].end <= edit.start:
            kept.append(edit)
    return kept
