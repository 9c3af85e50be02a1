"""The frame: every subject goes past every screener that handles it, and whatever goes wrong blocks.

Invariants:
- A verdict allows only if each subject was looked at by at least one screener and every finding allows.
- Rules run on every text. An operator may bring other rules, never none: no option, argument or environment variable
  switches screening off.
- A screener that raises, answers nothing, answers late or with something other than findings: BLOCK.
- An empty rule set, or one that fails its own examples: BLOCK for everything.
- Nothing is cut off before it is screened; what is too long is blocked.
- Findings name classes and numbers, never what was screened.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import rfc8785

from policy.errors import PolicyError, RuleError
from policy.failures import FRAME, Failure, failure_finding
from policy.joining import joined
from policy.rule_screener import RuleScreener
from policy.ruleset import RuleSet
from policy.screeners import (
    ReportsProblems,
    Screener,
    ScreensAtTolerance,
    ScreensTogether,
    SecondOpinion,
)
from policy.subjects import Subject, TextSubject
from policy.tolerance import DEFAULT_TOLERANCE, check_tolerance
from policy.verdict import Decision, Finding, Verdict, combine

TEXT_LIMIT = 4_000
"""Code points one text may have; longer is blocked (and refused at the door), never shortened."""

REQUEST = "request"
"""Name of the subject of findings about everything together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether a policy can allow anything at all, and if not, why.

    Attributes:
        ready: False if every request, or every request with a picture, would be blocked for a fault of this server.
        problems: One sentence for operators per fault.
    """

    ready: bool
    problems: tuple[str, ...]


class Policy:
    """The rules and screeners of one server; immutable once made, as safe between threads as its screeners."""

    def __init__(
        self, rule_set: RuleSet, screeners: Sequence[Screener], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Put rules and screeners together and run the rules' own examples once.

        Args:
            rule_set: The rules; a `RuleScreener` for them is added if `screeners` holds none.
            screeners: All further screeners; their names must differ.
            clock: Seconds that never run backwards; a late answer counts as a block.

        Raises:
            PolicyError: Two screeners share a name, or a `RuleScreener` runs other rules than `rule_set`.
        """
        self._rule_set = rule_set
        self._screeners = _with_rules(rule_set, screeners)
        self._clock = clock
        self._digest = _digest(rule_set, self._screeners)
        self._fault = self._find_fault()

    @property
    def version(self) -> str:
        """Version of the rules."""
        return self._rule_set.version

    @property
    def digest(self) -> str:
        """SHA-256, lower hex, over the rules' digest, every screener's name and version, and the text limit."""
        return self._digest

    @property
    def screeners(self) -> tuple[Screener, ...]:
        """Everything that looks at subjects, in order; `/health` lists their names and versions."""
        return self._screeners

    def self_check(self) -> None:
        """Run every rule's allow and block examples.

        Raises:
            RuleError: There is no rule, or a rule misses one of its own examples; the message names file and rule.
        """
        if not self._rule_set.rules:
            raise RuleError("the rule set is empty")
        self._rule_set.check_examples()

    def ready(self) -> Readiness:
        """Say whether this policy can allow anything, and if not, why."""
        problems = [f"{screener.name}: {problem}" for screener in self._screeners for problem in _problems(screener)]
        if self._fault is not None:
            problems.insert(0, f"{self._fault[0]}: {self._fault[1]}")
        return Readiness(ready=not problems, problems=tuple(problems))

    @property
    def rule_set(self) -> RuleSet:
        """The rules, for those who publish or explain them."""
        return self._rule_set

    def screen(self, subjects: Sequence[Subject], *, tolerance: int = DEFAULT_TOLERANCE) -> Verdict:
        """Screen everything that belongs to one request, or one result, together.

        Args:
            subjects: Every text and every picture, the whole of each.
            tolerance: The key's, or a stricter one: 0 (strictest) .. 6.

        Returns:
            The verdict with every finding, the allowing ones too. This never raises for what a subject holds.

        Raises:
            PolicyError: The tolerance lies outside 0..6.
        """
        check_tolerance(tolerance)
        findings: list[Finding] = []
        if self._fault is not None:
            failure, detail = self._fault
            findings.append(failure_finding(failure, subject=REQUEST, detail=detail))
        elif not subjects:
            findings.append(failure_finding(Failure.NOTHING_TO_SCREEN, subject=REQUEST))
        else:
            for subject in subjects:
                findings += self._screen_gated(subject, tolerance, findings)
            # Only texts that passed the gate are joined: the joined one is bounded by them.
            if not any(finding.screener == FRAME for finding in findings):
                for together in joined(subjects, self._rule_set):
                    findings += self._screen_one(together, tolerance, findings)
                findings += self._screen_together(subjects)
        return combine(findings, policy_version=self.version, policy_digest=self.digest)

    def _screen_gated(self, subject: Subject, tolerance: int, so_far: Sequence[Finding]) -> list[Finding]:
        refusal = text_refusal(subject) if isinstance(subject, TextSubject) else None
        return self._screen_one(subject, tolerance, so_far) if refusal is None else [refusal]

    def _screen_one(self, subject: Subject, tolerance: int, so_far: Sequence[Finding]) -> list[Finding]:
        findings: list[Finding] = []
        for screener in self._screeners:
            # A second opinion costs seconds: none is asked for about what is refused already, whatever it was found in.
            if isinstance(screener, SecondOpinion) and _blocks((*so_far, *findings)):
                continue
            findings += self._ask(screener, subject.name, partial(_screen_if_handled, screener, subject, tolerance))
        return findings or [failure_finding(Failure.UNSCREENED, subject=subject.name)]

    def _screen_together(self, subjects: Sequence[Subject]) -> list[Finding]:
        findings: list[Finding] = []
        for screener in self._screeners:
            if isinstance(screener, ScreensTogether):
                findings += self._ask(screener, REQUEST, partial(_screen_all, screener, subjects))
        return findings

    def _ask(self, screener: Screener, subject: str, question: Callable[[], list[Finding] | None]) -> list[Finding]:
        """Return the screener's findings about the subject; none only if it does not handle it."""
        started = self._clock()
        try:
            answers = question()
            if answers is None:
                return []
            findings = [_stamped(answer, screener, subject) for answer in answers]
        except Exception as error:  # noqa: BLE001 - an edge: whatever a screener raises must block, not pass or crash
            detail = type(error).__name__
            return [failure_finding(Failure.SCREENER_FAILED, subject=subject, screener=screener.name, detail=detail)]
        late = self._clock() - started > screener.time_limit_s
        if late or not findings:
            failure = Failure.SCREENER_TIMEOUT if late else Failure.SCREENER_SILENT
            findings.append(failure_finding(failure, subject=subject, screener=screener.name))
        return findings

    def _find_fault(self) -> tuple[Failure, str] | None:
        if not self._rule_set.rules:
            return Failure.NO_RULES, "the rule set is empty"
        try:
            self.self_check()
        except RuleError as error:
            return Failure.SELF_CHECK_FAILED, str(error)
        return None


def _blocks(findings: Iterable[Finding]) -> bool:
    return any(each.decision is Decision.BLOCK for each in findings)


def text_refusal(subject: TextSubject) -> Finding | None:
    """Return the finding that blocks a text which cannot be screened as it is; None if it can.

    Args:
        subject: Any text.
    """
    text = subject.text
    if len(text) > TEXT_LIMIT:
        detail = f"{len(text)} code points, limit {TEXT_LIMIT}"
        return failure_finding(Failure.TEXT_TOO_LONG, subject=subject.name, detail=detail)
    if "\0" in text:
        return failure_finding(Failure.TEXT_HAS_NUL, subject=subject.name)
    if any("\ud800" <= character <= "\udfff" for character in text):
        return failure_finding(Failure.TEXT_NOT_UNICODE, subject=subject.name, detail="lone surrogate")
    return None


def _with_rules(rule_set: RuleSet, screeners: Sequence[Screener]) -> tuple[Screener, ...]:
    rule_screeners = [screener for screener in screeners if isinstance(screener, RuleScreener)]
    if any(screener.version != rule_set.digest for screener in rule_screeners):
        raise PolicyError("a RuleScreener runs other rules than the policy's rule set")
    everything = tuple(screeners) if rule_screeners else (RuleScreener(rule_set), *screeners)
    names = [screener.name for screener in everything]
    if len(set(names)) != len(names) or FRAME in names:
        raise PolicyError(f"screeners need names of their own, and none may be {FRAME!r}: {sorted(names)}")
    return everything


def _screen_if_handled(screener: Screener, subject: Subject, tolerance: int) -> list[Finding] | None:
    """Return the screener's answer, None if it does not look at such subjects; an answer of None is an error."""
    if not screener.handles(subject):
        return None
    if isinstance(screener, ScreensAtTolerance):
        return [*screener.screen_at(subject, tolerance)]
    return [*screener.screen(subject)]


def _screen_all(screener: ScreensTogether, subjects: Sequence[Subject]) -> list[Finding]:
    return [*screener.screen_together(tuple(subjects))]


def _stamped(answer: Finding, screener: Screener, subject: str) -> Finding:
    """Return the finding under its true names: no screener answers in another's, or about another subject."""
    if type(answer) is not Finding or type(answer.decision) is not Decision:
        raise TypeError(f"a screener answers with findings, got {type(answer).__name__}")
    return replace(answer, screener=screener.name, subject=subject)


def _digest(rule_set: RuleSet, screeners: Sequence[Screener]) -> str:
    versions = [[screener.name, screener.version] for screener in screeners]
    canonical = rfc8785.dumps({"rules": rule_set.digest, "screeners": versions, "text_limit": TEXT_LIMIT})
    return hashlib.sha256(canonical).hexdigest()


def _problems(screener: Screener) -> tuple[str, ...]:
    if not isinstance(screener, ReportsProblems):
        return ()
    try:
        return tuple(screener.problems())
    except Exception as error:  # noqa: BLE001 - an edge: a screener that cannot even say how it is has a problem
        return (f"cannot report its state: {type(error).__name__}",)
