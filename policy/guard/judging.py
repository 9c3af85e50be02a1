"""From what the guard model read to findings: the table of thresholds, per category and tolerance. Pure.

Invariants:
- A laxer tolerance never judges more strictly; a higher score never more mildly.
- Every category the model can name has its entry; a table without one cannot be made.
- Findings carry numbers and the model's own category names, never the text.
"""

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import rfc8785

from policy.guard.errors import GuardTableError
from policy.guard.prompting import CATEGORIES
from policy.screeners import allowing_finding
from policy.tolerance import LAXEST_TOLERANCE, check_tolerance
from policy.verdict import Decision, Finding

NAME: Final = "guard"
"""The guard's name as a screener, and the beginning of its rules' ids."""

OUR_CATEGORIES: Final = frozenset({
    "automated_decisions",
    "disinformation",
    "harassment",
    "illegal_content",
    "intimate_imagery",
    "manipulation",
    "minors",
    "privacy",
    "usage",
    "unspecified",
})  # fmt: skip

_TOLERANCES = LAXEST_TOLERANCE + 1
_TABLE_KEYS = {"version", "controversial_weight", "thresholds", "categories"}
_ENTRY_KEYS = {"category", "at_most", "reason", "review", "block"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardReading:
    """What the model made of one text.

    Attributes:
        safe: Probability of that label, 0..1; the three sum to 1.
        controversial: Likewise.
        unsafe: Likewise.
        categories: What it named, from `prompting.CATEGORIES`; empty if it was not asked, the text being safe enough.
    """

    safe: float
    controversial: float
    unsafe: float
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """What one category of the model means here.

    Attributes:
        rule: Id for findings, `guard.violent`.
        category: Of our acceptable-use policy.
        at_most: The strictest it may ask for.
        reason: Public sentence; empty only if it decides nothing.
        review: Least score for review, at tolerance 0 .. 6.
        block: Least score for a block, likewise.
    """

    rule: str
    category: str
    at_most: Decision
    reason: str
    review: tuple[float, ...]
    block: tuple[float, ...]

    def decide(self, score: float, tolerance: int) -> Decision:
        """Return what a score asks for.

        Args:
            score: 0..1.
            tolerance: 0..6.
        """
        if self.at_most is Decision.ALLOW or score < self.review[tolerance]:
            return Decision.ALLOW
        return Decision.BLOCK if self.at_most is Decision.BLOCK and score >= self.block[tolerance] else Decision.REVIEW


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardTable:
    """All treatments.

    Attributes:
        version: Of the data.
        controversial_weight: What a controversial text counts for, 0..1.
        treatments: By the model's category; all of `prompting.CATEGORIES`.
        digest: SHA-256, lower hex, of the data.
    """

    version: str
    controversial_weight: float
    treatments: Mapping[str, Treatment]
    digest: str

    def score(self, reading: GuardReading) -> float:
        """Return how bad a reading is, 0..1."""
        return min(reading.unsafe + self.controversial_weight * reading.controversial, 1.0)

    def matters(self, reading: GuardReading, tolerance: int) -> bool:
        """Say whether a reading could ask for more than passing, so that its categories are worth asking for.

        Args:
            reading: Its categories are not looked at.
            tolerance: 0..6.
        """
        score = self.score(reading)
        return any(each.decide(score, tolerance) is not Decision.ALLOW for each in self.treatments.values())

    def judge(self, reading: GuardReading, *, subject: str, tolerance: int) -> list[Finding]:
        """Turn a reading into findings.

        Args:
            reading: With its categories, if it `matters`.
            subject: Name of what was read.
            tolerance: 0 (strictest) .. 6.

        Returns:
            One per category that asks for review or blocks; else one that allows.

        Raises:
            GuardTableError: The reading matters and has no categories.
            PolicyError: The tolerance lies outside 0..6.
        """
        check_tolerance(tolerance)
        if not reading.categories and self.matters(reading, tolerance):
            raise GuardTableError("a reading that matters must come with its categories")
        score = round(self.score(reading), 6)
        detail = (
            f"safe={reading.safe:.3f} controversial={reading.controversial:.3f} unsafe={reading.unsafe:.3f}"
            f" categories={'; '.join(reading.categories) or '-'} tolerance={tolerance}"
        )
        findings = [
            _finding(treatment, decision, subject=subject, detail=detail, score=score)
            for treatment in (self.treatments[name] for name in reading.categories)
            if (decision := treatment.decide(score, tolerance)) is not Decision.ALLOW
        ]
        return findings or [allowing_finding(NAME, subject, detail=detail, score=score)]


def parse_table(document: Mapping[str, Any]) -> GuardTable:
    """Read a table of thresholds; see the comments of the shipped `thresholds.toml`.

    Args:
        document: As TOML or JSON gives it.

    Raises:
        GuardTableError: An entry is missing, unknown, of another type, out of range or not monotone.
    """
    _check_keys(document, _TABLE_KEYS, required=_TABLE_KEYS, where="the table")
    weight = _number(document["controversial_weight"], "controversial_weight")
    entries, default = document["categories"], document["thresholds"]
    if not isinstance(entries, Mapping) or not isinstance(default, Mapping):
        raise GuardTableError("thresholds and categories must be tables")
    _check_keys(default, {"review", "block"}, required={"review", "block"}, where="thresholds")
    _check_keys(entries, set(CATEGORIES), required=set(CATEGORIES), where="categories")
    return GuardTable(
        version=_text(document["version"], "version"),
        controversial_weight=weight,
        treatments={name: _treatment(name, entries[name], default) for name in CATEGORIES},
        digest=hashlib.sha256(rfc8785.dumps(_plain(document))).hexdigest(),
    )


def _treatment(name: str, entry: object, default: Mapping[str, Any]) -> Treatment:
    if not isinstance(entry, Mapping):
        raise GuardTableError(f"{name}: must be a table, got {type(entry).__name__}")
    _check_keys(entry, _ENTRY_KEYS, required={"category", "at_most", "reason"}, where=name)
    category = _text(entry["category"], f"{name}: category")
    if category not in OUR_CATEGORIES:
        raise GuardTableError(f"{name}: no category is called {category!r}; there are {sorted(OUR_CATEGORIES)}")
    if entry["at_most"] not in [*Decision]:
        raise GuardTableError(f"{name}: at_most must be one of {[*map(str, Decision)]}, got {entry['at_most']!r}")
    at_most = Decision(entry["at_most"])
    if not isinstance(entry["reason"], str) or not (entry["reason"].strip() or at_most is Decision.ALLOW):
        raise GuardTableError(f"{name}: what may hold or refuse needs a reason")
    limits = {kind: _row(entry.get(kind, default[kind]), f"{name}: {kind}") for kind in ("review", "block")}
    if any(review > block for review, block in zip(limits["review"], limits["block"], strict=True)):
        raise GuardTableError(f"{name}: review must not lie above block at any tolerance")
    slug = "".join(each if each.isalnum() else "_" for each in name.lower().replace(" & ", " and "))
    return Treatment(rule=f"{NAME}.{slug}", category=category, at_most=at_most, reason=entry["reason"], **limits)


def _row(value: object, where: str) -> tuple[float, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != _TOLERANCES:
        raise GuardTableError(f"{where} must be {_TOLERANCES} numbers, one per tolerance")
    row = tuple(_number(each, where) for each in value)
    if row[0] <= 0 or any(later < earlier for earlier, later in itertools.pairwise(row)):
        raise GuardTableError(f"{where} must be above 0 and must not fall as the tolerance rises, got {row}")
    return row


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise GuardTableError(f"{where} must be a number in 0..1, got {value!r}")
    return float(value)


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise GuardTableError(f"{where} must be a text, got {value!r}")
    return value


def _check_keys(table: Mapping[str, Any], known: set[str], *, required: set[str], where: str) -> None:
    if unknown := sorted(set(table) - known):
        raise GuardTableError(f"{where}: unknown {unknown}; there are {sorted(known)}")
    if missing := sorted(required - set(table)):
        raise GuardTableError(f"{where}: {missing} missing")


def _plain(value: Any) -> Any:
    """Return a copy of plain containers, as canonical JSON wants them."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _finding(treatment: Treatment, decision: Decision, *, subject: str, detail: str, score: float) -> Finding:
    return Finding(
        rule=treatment.rule,
        category=treatment.category,
        decision=decision,
        reason=treatment.reason,
        screener=NAME,
        subject=subject,
        detail=detail,
        score=score,
    )
