"""What the guard model asks of the frame, as protocols: to be a second opinion, and to be named when it is missing."""

from typing import Protocol, runtime_checkable


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
