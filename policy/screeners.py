"""The protocol of screeners: things that look at one subject and answer with findings."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from policy.subjects import Subject
from policy.verdict import Decision, Finding


class Screener(Protocol):
    """Looks at one subject at a time.

    An allowing screener says so with an ALLOW finding (see `allowing_finding`): silence is not consent, an empty
    answer blocks. A screener that can hang, anything with a model in it, is wrapped in `policy.killable`; one that
    runs in this process must be bounded by its input, and its answer counts as a block if it overran its limit.
    """

    @property
    def name(self) -> str:
        """Short name for findings and `/health`, `rules`."""

    @property
    def version(self) -> str:
        """Changes whenever its answers can; part of the policy's digest."""

    @property
    def time_limit_s(self) -> float:
        """Seconds one subject may take."""

    def handles(self, subject: Subject) -> bool:
        """Say whether this screener looks at such a subject."""

    def screen(self, subject: Subject) -> Sequence[Finding]:
        """Look at a subject it handles; at least one finding, or it counts as a failure."""


@runtime_checkable
class ScreensTogether(Protocol):
    """Implemented by screeners that also judge what only all subjects of a request say together.

    For instance a prompt that is harmless alone, with a photograph that shows a face. The same rules hold as for
    `Screener.screen`: silence blocks.
    """

    def screen_together(self, subjects: Sequence[Subject]) -> Sequence[Finding]:
        """Look at all subjects of one request at once."""


@runtime_checkable
class ScreensAtTolerance(Protocol):
    """Implemented by screeners whose answer depends on the key's tolerance; asked instead of `Screener.screen`."""

    def screen_at(self, subject: Subject, tolerance: int) -> Sequence[Finding]:
        """Look at a subject it handles.

        Args:
            subject: As for `Screener.screen`.
            tolerance: 0 (strictest) .. 6.
        """


@runtime_checkable
class ReportsProblems(Protocol):
    """Implemented by screeners that can tell beforehand that they will block everything, and why."""

    def problems(self) -> tuple[str, ...]:
        """Return one sentence for operators per problem, none if it is fit to screen."""


@runtime_checkable
class SecondOpinion(Protocol):
    """Implemented by screeners worth asking only while nothing blocks: they cost seconds, not milliseconds.

    A frame that does not know of this asks them about everything: slower, never laxer.
    """

    @property
    def second_opinion(self) -> bool:
        """True; a frame leaves the screener out where a finding about the subject blocks already."""


@runtime_checkable
class ReportsNotices(Protocol):
    """Implemented by screeners that have something to tell operators which blocks nothing."""

    def notices(self) -> tuple[str, ...]:
        """Return one sentence for operators per notice."""


def allowing_finding(screener: str, subject: str, *, detail: str = "", score: float = 0.0) -> Finding:
    """Return the finding of a screener that looked at a subject and found nothing.

    Args:
        screener: The screener's name.
        subject: The subject's name.
        detail: For auditors.
        score: 0..1, for auditors.
    """
    return Finding(
        rule=f"{screener}.nothing_found",
        category="none",
        decision=Decision.ALLOW,
        reason="",
        screener=screener,
        subject=subject,
        detail=detail,
        score=score,
    )
