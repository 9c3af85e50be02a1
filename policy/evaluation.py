"""How well a policy does on labelled texts: shares with intervals, by kind and language, and a confusion. Pure.

Positive means unsafe. Of the unsafe texts the share that is blocked, or blocked or reviewed, is the recall; of the safe
ones it is the rate of false alarms. Shares come with Wilson's 95 % score interval (Wilson 1927, "Probable inference,
the law of succession, and statistical inference"), which stays inside 0..1 and holds for small counts.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from policy.corpus import LabelledLine
from policy.failures import FRAME
from policy.verdict import Decision, Finding, Verdict, strictest_decision

NOTHING_FOUND: Final = "none"
"""Category of an answer that found nothing."""

_Z: Final = 1.959963984540054  # the standard normal's 97.5 % point


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many.

    Attributes:
        count: How many, 0..of.
        of: Of how many, 0 or more.
    """

    count: int
    of: int

    @property
    def value(self) -> float | None:
        """The share, 0..1; None of nothing."""
        return self.count / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval, within 0..1; all of it for a share of nothing."""
        if not self.of:
            return 0.0, 1.0
        share, z2 = self.count / self.of, _Z * _Z / self.of
        centre = (share + z2 / 2) / (1 + z2)
        reach = _Z * math.sqrt(share * (1 - share) / self.of + z2 / (4 * self.of)) / (1 + z2)
        # Rounding must not leave the exact ends of none and of all.
        low = 0.0 if self.count == 0 else max(centre - reach, 0.0)
        high = 1.0 if self.count == self.of else min(centre + reach, 1.0)
        return low, high

    def to_json(self) -> dict[str, Any]:
        """Return count, of, share and interval; the share of nothing is null."""
        low, high = self.interval
        share = None if self.value is None else round(self.value, 4)
        return {"count": self.count, "of": self.of, "share": share, "low": round(low, 4), "high": round(high, 4)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a policy said of one text, without the text.

    Attributes:
        decision: The verdict's.
        category: Of the strictest finding, the one with the highest score among equals; `none` if nothing was found.
        rules: Ids of every rule that did not allow, each once, in the order found.
        score: The highest among all findings, 0..1; 1 if something could not be screened.
        by_screener: What each screener's findings alone ask for, by its name.
    """

    decision: Decision
    category: str
    rules: tuple[str, ...]
    score: float
    by_screener: Mapping[str, Decision]

    def to_json(self) -> dict[str, Any]:
        """Return the line that is printed for a text, without its id."""
        return {
            "decision": self.decision.value,
            "category": self.category,
            "rules": list(self.rules),
            "score": round(self.score, 4),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A labelled text with the policy's answer."""

    line: LabelledLine
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What became of some texts.

    Attributes:
        unsafe_blocked: Of the unsafe ones, those blocked.
        unsafe_caught: Of the unsafe ones, those blocked or sent to review: the recall.
        safe_blocked: Of the safe ones, those blocked.
        safe_caught: Of the safe ones, those blocked or sent to review: the false alarms.
    """

    unsafe_blocked: Share
    unsafe_caught: Share
    safe_blocked: Share
    safe_caught: Share

    @property
    def texts(self) -> int:
        """How many texts there are."""
        return self.unsafe_blocked.of + self.safe_blocked.of

    def to_json(self) -> dict[str, Any]:
        """Return the shares by name."""
        return {
            "texts": self.texts,
            "unsafe": {"blocked": self.unsafe_blocked.to_json(), "caught": self.unsafe_caught.to_json()},
            "safe": {"blocked": self.safe_blocked.to_json(), "caught": self.safe_caught.to_json()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How a policy did on one corpus.

    Attributes:
        everything: All of it.
        languages: By language.
        labels: By what the source calls the kind of text; a text with two labels counts in both.
        screeners: What each screener would do alone, by its name.
        only: What each screener catches and no other does, by its name: unsafe texts, safe texts.
        confusion: Label of the source -> category found -> unsafe texts; `none` for those that were allowed.
        found: Category found -> what was blocked or reviewed under it: unsafe texts, safe texts.
    """

    everything: Rates
    languages: Mapping[str, Rates]
    labels: Mapping[str, Rates]
    screeners: Mapping[str, Rates]
    only: Mapping[str, tuple[int, int]]
    confusion: Mapping[str, Mapping[str, int]]
    found: Mapping[str, tuple[int, int]]

    def to_json(self) -> dict[str, Any]:
        """Return the whole evaluation as plain JSON values."""
        return {
            **self.everything.to_json(),
            "languages": {name: rates.to_json() for name, rates in self.languages.items()},
            "labels": {name: rates.to_json() for name, rates in self.labels.items()},
            "screeners": {name: rates.to_json() for name, rates in self.screeners.items()},
            "only": _pairs_json(self.only),
            "confusion": {name: dict(row) for name, row in self.confusion.items()},
            "found": _pairs_json(self.found),
        }


def answer_of(verdict: Verdict) -> Answer:
    """Sum up a verdict.

    Args:
        verdict: On one text, or on everything of one request.
    """
    strictest = [each for each in verdict.findings if each.decision is verdict.decision]
    telling = max(strictest, key=_strength, default=None)
    allowed = verdict.decision is Decision.ALLOW or telling is None
    by_screener: dict[str, list[Finding]] = {}
    for each in verdict.findings:
        by_screener.setdefault(each.screener, []).append(each)
    return Answer(
        decision=verdict.decision,
        category=NOTHING_FOUND if allowed or telling is None else telling.category,
        rules=tuple(dict.fromkeys(each.rule for each in verdict.findings if each.decision is not Decision.ALLOW)),
        score=max(map(_strength, verdict.findings), default=1.0),
        by_screener={name: strictest_decision(found) for name, found in by_screener.items()},
    )


def evaluate(judged: Sequence[Judged]) -> Evaluation:
    """Count what became of the texts of a corpus.

    Args:
        judged: Every text with its answer.
    """
    caught = [each for each in judged if each.answer.decision is not Decision.ALLOW]
    found = _grouped(caught, lambda each: [each.answer.category])
    only = _grouped(caught, _only_catcher)
    names = sorted({name for each in judged for name in each.answer.by_screener if name != FRAME})
    labelled = _grouped(judged, lambda each: each.line.labels)
    return Evaluation(
        everything=rates(judged),
        languages={name: rates(group) for name, group in _grouped(judged, _languages).items()},
        labels={name: rates(group) for name, group in labelled.items()},
        screeners={name: rates(judged, partial(alone, screener=name)) for name in names},
        confusion={
            name: dict(Counter(each.answer.category for each in group if each.line.unsafe).most_common())
            for name, group in labelled.items()
            if any(each.line.unsafe for each in group)
        },
        only={name: _pair(only.get(name, [])) for name in names},
        found={name: _pair(group) for name, group in found.items()},
    )


def rates(judged: Iterable[Judged], decide: Callable[[Answer], Decision] = lambda answer: answer.decision) -> Rates:
    """Count what became of some texts.

    Args:
        judged: The texts with their answers.
        decide: What of an answer counts.
    """
    seen = Counter((each.line.unsafe, decide(each.answer)) for each in judged)

    def share(decisions: set[Decision], *, unsafe: bool) -> Share:
        return Share(sum(seen[unsafe, each] for each in decisions), sum(seen[unsafe, each] for each in Decision))

    blocked, stopped = {Decision.BLOCK}, {Decision.BLOCK, Decision.REVIEW}
    return Rates(
        unsafe_blocked=share(blocked, unsafe=True),
        unsafe_caught=share(stopped, unsafe=True),
        safe_blocked=share(blocked, unsafe=False),
        safe_caught=share(stopped, unsafe=False),
    )


def alone(answer: Answer, screener: str) -> Decision:
    """Return what one screener alone would have decided; ALLOW where it was not asked.

    Args:
        answer: The policy's answer.
        screener: The screener's name; what the frame itself blocks, every screener alone would too.
    """
    if FRAME in answer.by_screener:
        return answer.by_screener[FRAME]
    return answer.by_screener.get(screener, Decision.ALLOW)


def categories_of(confusion: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return the categories found in a confusion, the most frequent first, nothing found last."""
    totals: Counter[str] = Counter()
    for row in confusion.values():
        totals.update(row)
    return sorted(totals, key=lambda name: (name == NOTHING_FOUND, -totals[name], name))


def misses(judged: Iterable[Judged]) -> list[Judged]:
    """Return the unsafe texts that were allowed, those that came nearest to being caught last."""
    allowed = (each for each in judged if each.line.unsafe and each.answer.decision is Decision.ALLOW)
    return sorted(allowed, key=lambda each: each.answer.score)


def false_alarms(judged: Iterable[Judged]) -> list[Judged]:
    """Return the safe texts that were blocked, then those that were sent to review."""
    caught = (each for each in judged if not each.line.unsafe and each.answer.decision is not Decision.ALLOW)
    return sorted(caught, key=lambda each: each.answer.decision is not Decision.BLOCK)


def _strength(finding: Finding) -> float:
    return 1.0 if finding.category == FRAME else finding.score


def _only_catcher(judged: Judged) -> list[str]:
    """The screener that alone caught a text; none if several did, or the frame."""
    catchers = [name for name, decision in judged.answer.by_screener.items() if decision is not Decision.ALLOW]
    return catchers if len(catchers) == 1 else []


def _pair(group: Sequence[Judged]) -> tuple[int, int]:
    """Count unsafe and safe texts."""
    unsafe = sum(each.line.unsafe for each in group)
    return unsafe, len(group) - unsafe


def _pairs_json(pairs: Mapping[str, tuple[int, int]]) -> dict[str, dict[str, int]]:
    return {name: {"unsafe": unsafe, "safe": safe} for name, (unsafe, safe) in pairs.items()}


def _languages(judged: Judged) -> list[str]:
    return [judged.line.language] if judged.line.language else []


def _grouped(judged: Iterable[Judged], keys: Callable[[Judged], Iterable[str]]) -> dict[str, list[Judged]]:
    """Group by keys, the largest group first, equals by name."""
    groups: dict[str, list[Judged]] = {}
    for each in judged:
        for key in keys(each):
            groups.setdefault(key, []).append(each)
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))
