"""Volume rules: what is harmless once and not so hundreds of times. Pure.

Judged are sketches (`policy.sketching`), never texts. A rule counts the requests of one key in a window of time:

    near_identical  requests that ask for the same as this one. On different pictures they do not count, unless they
                    depict somebody: five hundred product shots edited with one prompt are ordinary work.
    likenesses      different people that are depicted, if this request depicts somebody.

The variants of a request count once, and so does a job that is tried again. Whoever exceeds a limit is not refused: a
person looks. In `{category}.toml`:

    [[volume]]
    id = "usage-volume-01"
    title = "The same picture again and again"
    why = "For the trust-and-safety person."
    reason = "One sentence for the person whose request waits."
    measure = "near_identical"
    window_seconds = 3600
    limit = 300                 # at the default tolerance; see LIMIT_FACTORS
    action = "review"
    # distance = 3              # near_identical: of 64 bits, how many may differ
    # about = ["vote_process"]  # only requests that hold a term of one of these lists
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from policy.documents import check_fields, read_choice, read_text, read_texts
from policy.errors import RuleError
from policy.tolerance import DEFAULT_TOLERANCE, check_tolerance
from policy.verdict import Decision, Finding

SCREENER: Final = "volume"
"""Name of the screener in findings about volume."""
REQUEST: Final = "request"
SCORE: Final = 0.5

LONGEST_WINDOW: Final = 86_400
"""Longest window, in seconds: sketches older than that are of no use."""
HIGHEST_LIMIT: Final = 1_000
LIMIT_FACTORS: Final = (0.5, 0.5, 1.0, 1.0, 2.0, 4.0, 8.0)
"""What a limit is multiplied with at tolerance 0, 1, ... 6."""
MOST_SKETCHES: Final = int(HIGHEST_LIMIT * max(LIMIT_FACTORS)) + 1
"""How many sketches of one key are ever needed: one more than any limit."""

SIMHASH_BITS: Final = 64
DISTANCE: Final = 3
FURTHEST: Final = 20
"""Prompts that have nothing in common differ in 32 bits, on one subject seldom in less than 24."""

_SHORTEST_WINDOW = 60
_FIELDS = frozenset({"id", "title", "why", "reason", "measure", "window_seconds", "limit", "action"})
_OPTIONS = frozenset({"distance", "about"})
_ID = re.compile(r"[a-z][a-z_]*-(?:[a-z0-9]+-)*\d{2}")


class Measure(StrEnum):
    """What a rule counts."""

    NEAR_IDENTICAL = "near_identical"
    LIKENESSES = "likenesses"


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeRule:
    """How much of something one key may ask for.

    Attributes:
        id: `usage-volume-01`: the category, any name, and a number.
        title: For tables.
        why: For those who edit rules.
        reason: One sentence for the person whose request waits.
        measure: What is counted.
        window_seconds: How far back, 60..LONGEST_WINDOW.
        limit: Most that is free at the default tolerance, 1..HIGHEST_LIMIT.
        action: What exceeding it asks for; never worse than review.
        distance: Of 64 bits, how many may differ between prompts that count as the same, 0..FURTHEST.
        about: Lists of terms; if there are any, requests without one of their terms are free.
        where: `file:line`.
    """

    id: str
    title: str
    why: str
    reason: str
    measure: Measure
    window_seconds: int
    limit: int
    action: Decision = Decision.REVIEW
    distance: int = DISTANCE
    about: tuple[str, ...] = ()
    where: str = ""

    @property
    def category(self) -> str:
        """The category that its id begins with."""
        return self.id.partition("-")[0]

    def limit_at(self, tolerance: int) -> int:
        """Return the limit for a key.

        Args:
            tolerance: 0 (strictest) .. 6.

        Raises:
            PolicyError: There is no such tolerance.
        """
        return max(1, int(self.limit * LIMIT_FACTORS[check_tolerance(tolerance)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """What is kept of a request to compare it with others: numbers from which no text can be read.

    Attributes:
        at: When it was first screened.
        prompt: SimHash of its prompt, unsigned 64 bits; None if it says nothing that could be compared.
        pictures: Of its pictures, unsigned 64 bits; None if it has none.
        likenesses: Of everybody it depicts, unsigned 64 bits each.
        topics: Lists of terms that its prompt speaks of; known of the request at hand, not kept.
    """

    at: datetime
    prompt: int | None
    pictures: int | None = None
    likenesses: frozenset[int] = frozenset()
    topics: frozenset[str] = frozenset()


def judge(
    rule: VolumeRule, earlier: Sequence[Sketch], this: Sketch, *, tolerance: int = DEFAULT_TOLERANCE
) -> Finding | None:
    """Judge one more request by a volume rule.

    Args:
        rule: The rule.
        earlier: Sketches of the key's other requests; those outside the rule's window do not count.
        this: The request at hand.
        tolerance: 0 (strictest) .. 6; it moves the limit.

    Returns:
        The finding if the limit is exceeded, None if not. It names counts, nothing of a text.

    Raises:
        PolicyError: There is no such tolerance.
    """
    limit = rule.limit_at(tolerance)
    if rule.about and this.topics.isdisjoint(rule.about):
        return None
    since = this.at - timedelta(seconds=rule.window_seconds)
    window = [each for each in earlier if since < each.at <= this.at]
    count = _same(rule, window, this) if rule.measure is Measure.NEAR_IDENTICAL else _people(window, this)
    if count <= limit:
        return None
    return Finding(
        rule=rule.id,
        category=rule.category,
        decision=rule.action,
        reason=rule.reason,
        screener=SCREENER,
        subject=REQUEST,
        detail=f"{rule.measure}={count} limit={limit} window={rule.window_seconds}s",
        score=SCORE,
    )


def parse_volume(where: str, fields: Mapping[str, Any]) -> VolumeRule:
    """Read one `[[volume]]` table.

    Args:
        where: `file:line`, for messages.
        fields: The table.

    Raises:
        RuleError: A field is missing, unknown, of another type or out of range.
    """
    check_fields(where, fields, required=_FIELDS, known=_FIELDS | _OPTIONS)
    if not _ID.fullmatch(read_text(where, fields, "id")):
        raise RuleError(f"{where}: id must be the category and a number, usage-volume-01, got {fields['id']!r}")
    measure = read_choice(where, "measure", fields["measure"], {each.value: each for each in Measure})
    if "distance" in fields and measure is not Measure.NEAR_IDENTICAL:
        raise RuleError(f"{where}: distance goes with measure near_identical")
    return VolumeRule(
        id=fields["id"],
        title=read_text(where, fields, "title"),
        why=read_text(where, fields, "why"),
        reason=read_text(where, fields, "reason"),
        measure=measure,
        window_seconds=_whole(where, fields, "window_seconds", _SHORTEST_WINDOW, LONGEST_WINDOW),
        limit=_whole(where, fields, "limit", 1, HIGHEST_LIMIT),
        action=read_choice(where, "action", fields["action"], {Decision.REVIEW.value: Decision.REVIEW}),
        distance=_whole(where, {"distance": DISTANCE} | dict(fields), "distance", 0, FURTHEST),
        about=read_texts(where, fields, "about", optional=True),
        where=where,
    )


def _same(rule: VolumeRule, window: Sequence[Sketch], this: Sketch) -> int:
    if this.prompt is None:
        return 0
    return 1 + sum(_asks_the_same(each, this, this.prompt, rule.distance) for each in window)


def _asks_the_same(other: Sketch, this: Sketch, prompt: int, distance: int) -> bool:
    if other.prompt is None or (other.prompt ^ prompt).bit_count() > distance:
        return False
    return other.pictures == this.pictures or bool(other.likenesses or this.likenesses)


def _people(window: Sequence[Sketch], this: Sketch) -> int:
    return len(this.likenesses.union(*(each.likenesses for each in window))) if this.likenesses else 0


def _whole(where: str, fields: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value = fields[name]
    if type(value) is not int or not least <= value <= most:
        raise RuleError(f"{where}: {name} must be a whole number in {least}..{most}, got {value!r}")
    return value
