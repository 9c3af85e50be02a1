"""The screener that runs the rules on texts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from policy.matching import Bytes, ReadText
from policy.readings import Reading, Span
from policy.rule import Rule
from policy.ruleset import RuleSet
from policy.screeners import allowing_finding
from policy.subjects import Subject, TextSubject, Wording
from policy.tolerance import DEFAULT_TOLERANCE, SCORES, Severity
from policy.verdict import Decision, Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A rule that recognised something, and where.

    Attributes:
        rule: The rule.
        decision: What it asks for at the tolerance it was asked at.
        reading: Name of the reading it matched.
        spans: Stretches of the text as it was written, in code points.
    """

    rule: Rule
    decision: Decision
    reading: str
    spans: tuple[Span, ...]


class RuleScreener:
    """Runs every rule on every reading of a text.

    It runs in this process: RE2 is linear and the text limit bounds it, so its time limit cannot be overrun by what a
    text says; the limit only bounds a starved machine.

    A negative prompt asks for less of something, so by itself it only leaves notes. Read together with the prompt, a
    critical rule counts what stands in either; any other rule only one phrase that goes on from one into the other.
    """

    name = "rules"
    time_limit_s = 10.0

    def __init__(self, rule_set: RuleSet) -> None:
        """Take the rules to run.

        Args:
            rule_set: Compiled rules.
        """
        self._rule_set = rule_set
        self.version = rule_set.digest

    def handles(self, subject: Subject) -> bool:
        """Texts only."""
        return isinstance(subject, TextSubject)

    def screen(self, subject: Subject) -> Sequence[Finding]:
        """Return what `screen_at` returns at the default tolerance."""
        return self.screen_at(subject, DEFAULT_TOLERANCE)

    def screen_at(self, subject: Subject, tolerance: int) -> Sequence[Finding]:
        """Return a finding per rule that matches, or one that allows.

        Args:
            subject: A text without lone surrogates.
            tolerance: 0 (strictest) .. 6.

        Raises:
            TypeError: The subject is no text.
        """
        if not isinstance(subject, TextSubject):
            raise TypeError(f"rules read texts, got {type(subject).__name__}")
        findings = [self._finding(subject, match) for match in self.matches(subject, tolerance)]
        return findings or [allowing_finding(self.name, subject.name)]

    def matches(self, subject: TextSubject, tolerance: int = DEFAULT_TOLERANCE) -> tuple[Match, ...]:
        """Return every rule that matches a text, with what it matched; for findings and for explanations.

        Args:
            subject: A text without lone surrogates.
            tolerance: 0 (strictest) .. 6.
        """
        found: dict[str, Match] = {}
        waiting = [rule for rule in self._rule_set.rules if _applies(rule, subject.wording)]
        for reading in self._rule_set.reader.read(subject.text):
            read = ReadText(reading.text.encode())
            for rule in waiting:
                spans = rule.spans_in(read)
                if spans:
                    match = _match(rule, reading, read, spans, rule.decision(subject.stage, tolerance))
                    if subject.negative_from is None or _crosses(match, subject.negative_from):
                        found[rule.id] = match
            waiting = [rule for rule in waiting if rule.id not in found]
        return tuple(found[identifier] for identifier in sorted(found))

    def _finding(self, subject: TextSubject, match: Match) -> Finding:
        # Only by itself does a negative prompt do no harm; with `negative_from` it stands beside what it belongs to.
        harmless = subject.wording is Wording.NEGATIVE and subject.negative_from is None
        decision = Decision.ALLOW if harmless else match.decision
        # What the dial allows is noted for auditors; only a notice has something to tell the caller.
        told = decision is not Decision.ALLOW or (match.rule.severity is Severity.NOTICE and not harmless)
        return Finding(
            rule=match.rule.id,
            category=match.rule.category,
            decision=decision,
            reason=match.rule.reason if told else "",
            screener=self.name,
            subject=subject.name,
            detail=f"reading={match.reading} at={','.join(f'{start}-{end}' for start, end in match.spans)}",
            score=SCORES[match.rule.severity],
        )


def _applies(rule: Rule, wording: Wording) -> bool:
    return (Wording.PROMPT if wording is Wording.NEGATIVE else wording) in rule.applies_to


def _match(rule: Rule, reading: Reading, read: ReadText, spans: Sequence[Bytes], decision: Decision) -> Match:
    written = (reading.origin(span) for span in _code_points(read.raw, spans))
    return Match(rule=rule, decision=decision, reading=reading.name, spans=tuple(sorted(set(written))))


def _code_points(raw: bytes, spans: Sequence[Bytes]) -> Iterator[Span]:
    """Turn stretches in bytes into stretches in code points, in one pass over the text."""
    ends = sorted({boundary for span in spans for boundary in span})
    points, counted, position = {}, 0, 0
    for boundary in ends:
        counted += len(raw[position:boundary].decode())
        points[boundary], position = counted, boundary
    for start, end in spans:
        yield Span(points[start], points[end])


def _crosses(match: Match, seam: int) -> bool:
    """Whether a match needs both the prompt and the negative prompt, in a way that counts for its rule."""
    if match.rule.severity is Severity.CRITICAL:
        return any(span.start < seam for span in match.spans)
    return any(span.start < seam < span.end - 1 for span in match.spans)
