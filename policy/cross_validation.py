"""Judges texts that a learned screener was trained on by a part of it that has not seen them. Pure."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from policy.policy import Policy
from policy.screeners import ReportsProblems, Screener, ScreensAtTolerance
from policy.subjects import Subject, TextSubject
from policy.tolerance import DEFAULT_TOLERANCE
from policy.verdict import Finding


@runtime_checkable
class HoldsOut(Protocol):
    """Implemented by screeners that were trained, and can tell how they would do on texts they have not seen."""

    def held_out(self, text: str) -> Screener:
        """Return the screener trained on the same data without this text and those like it."""


class CrossValidated:
    """A trained screener that answers about each text through the part that has not seen it.

    For measuring only: it answers under the same name, so that a policy with it is the same policy otherwise.
    """

    def __init__(self, screener: Screener) -> None:
        """Take the screener.

        Args:
            screener: One that `HoldsOut`.

        Raises:
            TypeError: It does not.
        """
        if not isinstance(screener, HoldsOut):
            raise TypeError(f"{type(screener).__name__} holds nothing out")
        self._screener: Screener = screener
        self._holds_out: HoldsOut = screener
        self.name = screener.name
        self.version = f"{screener.version}, cross-validated"
        self.time_limit_s = screener.time_limit_s

    def handles(self, subject: Subject) -> bool:
        """Whatever the screener does."""
        return self._screener.handles(subject)

    def screen(self, subject: Subject) -> Sequence[Finding]:
        """Return what `screen_at` returns at the default tolerance."""
        return self.screen_at(subject, DEFAULT_TOLERANCE)

    def screen_at(self, subject: Subject, tolerance: int) -> Sequence[Finding]:
        """Ask the part that has not seen the subject's text.

        Args:
            subject: One that it handles.
            tolerance: 0 (strictest) .. 6.
        """
        unseen = self._holds_out.held_out(subject.text) if isinstance(subject, TextSubject) else self._screener
        if isinstance(unseen, ScreensAtTolerance):
            return unseen.screen_at(subject, tolerance)
        return unseen.screen(subject)

    def problems(self) -> tuple[str, ...]:
        """Return those of the screener."""
        return self._screener.problems() if isinstance(self._screener, ReportsProblems) else ()


def cross_validated(policy: Policy) -> Policy:
    """Return the policy with every trained screener judging only what it has not seen.

    Args:
        policy: Any; one without trained screeners comes back as it is.
    """
    if not any(isinstance(each, HoldsOut) for each in policy.screeners):
        return policy
    screeners = [CrossValidated(each) if isinstance(each, HoldsOut) else each for each in policy.screeners]
    return Policy(policy.rule_set, screeners)
