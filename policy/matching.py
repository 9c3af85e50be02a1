"""One reading of a text under the rules: where terms occur, and whether a rule's conditions hold. Pure.

Every list of terms is looked for at most once in a reading, whatever number of rules ask for it. Spans are in UTF-8
bytes, in which a Chinese character counts three: so one distance fits both scripts, about ten words or twenty
characters for sixty.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import NamedTuple, Protocol

from policy.patterns import Pattern


class Bytes(NamedTuple):
    """A stretch of a reading, in bytes of its UTF-8."""

    start: int
    end: int


class ReadText:
    """A reading, encoded once, that remembers where each pattern occurs."""

    __slots__ = ("_blanked", "_found", "raw")

    def __init__(self, raw: bytes) -> None:
        """Take the reading.

        Args:
            raw: UTF-8.
        """
        self.raw = raw
        self._found: dict[Pattern, tuple[Bytes, ...]] = {}
        self._blanked: dict[Pattern, ReadText] = {}

    def spans(self, pattern: Pattern) -> tuple[Bytes, ...]:
        """Return where the pattern occurs."""
        known = self._found.get(pattern)
        if known is None:
            known = tuple(Bytes(*span) for span in pattern.spans(self.raw))
            self._found[pattern] = known
        return known

    def without(self, pattern: Pattern) -> "ReadText":
        """Return this text with what the pattern finds blanked out, nothing moved."""
        spans = self.spans(pattern)
        if not spans:
            return self
        known = self._blanked.get(pattern)
        if known is None:
            raw = bytearray(self.raw)
            for start, end in spans:
                raw[start:end] = b" " * (end - start)
            known = self._blanked[pattern] = ReadText(bytes(raw))
        return known


class Condition(Protocol):
    """One way in which a rule matches."""

    def spans_in(self, text: ReadText, counts: "Counts") -> tuple[Bytes, ...]:
        """Return every stretch that makes it hold; none if it does not."""


class Counts:
    """Which occurrences count: not those right after a negation, where the rule honours negations."""

    __slots__ = ("_affirmation", "_negation")

    def __init__(self, negation: Pattern | None = None, affirmation: Pattern | None = None) -> None:
        """Take the rule's negations.

        Args:
            negation: Finds a negation at the end of what stands before an occurrence; None if all count.
            affirmation: Finds there what only looks like one, "not only"; None if there is no such thing.
        """
        self._negation = negation
        self._affirmation = affirmation

    def of(self, text: ReadText, pattern: Pattern) -> tuple[Bytes, ...]:
        """Return the occurrences of a pattern that count."""
        spans = text.spans(pattern)
        if self._negation is None or not spans:
            return spans
        return tuple(span for span in spans if not self._negated(text.raw, span.start))

    def _negated(self, raw: bytes, start: int) -> bool:
        before = raw[max(0, start - NEGATION_REACH) : start]
        if self._negation is None or not self._negation.found_in(before):
            return False
        return self._affirmation is None or not self._affirmation.found_in(before)


NEGATION_REACH = 64
"""Bytes before an occurrence in which a negation is looked for."""


@dataclass(frozen=True, slots=True, eq=False)
class AnyOf:
    """One occurrence is enough."""

    pattern: Pattern

    def spans_in(self, text: ReadText, counts: Counts) -> tuple[Bytes, ...]:
        """Return every occurrence."""
        return counts.of(text, self.pattern)


@dataclass(frozen=True, slots=True, eq=False)
class TwoOf:
    """Two different terms must occur; the same one twice does not count, in another form or as part of itself."""

    pattern: Pattern

    def spans_in(self, text: ReadText, counts: Counts) -> tuple[Bytes, ...]:
        """Return every occurrence if at least two differ."""
        spans = counts.of(text, self.pattern)
        stems = {_stem(text.raw[start:end]) for start, end in spans}
        return spans if any(a not in b and b not in a for a, b in combinations(stems, 2)) else ()


_NOT_ASCII = 0x80
_ENDING = re.compile(rb"(?:'s?|i?e?s|i?ed|y?ing|i?ers?|[ey])$")


def _stem(term: bytes) -> bytes:
    """Return what the forms of an English word have in common, more or less: `bod` of bodies, `kis` of kissing."""
    stem = _ENDING.sub(b"", term.lower())
    doubled = len(stem) > 1 and stem[-1] == stem[-2] and stem[-1] < _NOT_ASCII
    return stem[:-1] if doubled else stem


@dataclass(frozen=True, slots=True, eq=False)
class AllOf:
    """Each pattern must occur, in any order.

    Attributes:
        patterns: Two or more.
        within: Most bytes between the first end and the last start; None for anywhere.
    """

    patterns: tuple[Pattern, ...]
    within: int | None = None

    def spans_in(self, text: ReadText, counts: Counts) -> tuple[Bytes, ...]:
        """Return the stretches that stand together: every occurrence if distance does not matter, else the nearest."""
        groups = []
        for pattern in self.patterns:
            spans = counts.of(text, pattern)
            if not spans:
                return ()
            groups.append(spans)
        if self.within is None:
            together = tuple(sorted({span for group in groups for span in group}))
            return together if _differ(text, together) else ()
        return self._nearest(text, groups, self.within)

    def _nearest(self, text: ReadText, groups: Sequence[tuple[Bytes, ...]], within: int) -> tuple[Bytes, ...]:
        # From each occurrence of the first list, the nearest of every other, before or after it: of three, the nearest
        # two may lie on either side, while one a little farther lies beside the other.
        best: list[Bytes] = []
        for anchor in groups[0]:
            beside = [_beside(anchor, group) for group in groups[1:]]
            together = min(((anchor, *others) for others in product(*beside)), key=_gap, default=())
            if together and _gap(together) <= within and _differ(text, together):
                best += together
        return tuple(sorted(set(best)))


def _differ(text: ReadText, spans: Sequence[Bytes]) -> bool:
    """Whether these are not all one term: a word that is in every list is no co-occurrence, however often it stands."""
    return len({_stem(text.raw[start:end]) for start, end in spans}) > 1


def _gap(spans: Sequence[Bytes]) -> int:
    return max(span.start for span in spans) - min(span.end for span in spans)


def _beside(anchor: Bytes, spans: Sequence[Bytes]) -> list[Bytes]:
    """Find the nearest other stretches by bisection: the stretches of one pattern are in order and do not overlap."""
    place = bisect_left(spans, anchor.start, key=lambda span: span.start)
    after = place + (spans[place : place + 1] == (anchor,))
    return [*spans[max(0, place - 1) : place], *spans[after : after + 1]]
