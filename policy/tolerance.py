"""Severity and the dial: how strict one rule is for one key. Pure.

A rule says what it asks for at the default tolerance, per stage; its severity says how far the dial moves that. The
table below is the whole of it: a step towards strictness turns allow into review and review into block.
"""

from enum import StrEnum
from typing import Final

from policy.errors import PolicyError
from policy.verdict import Decision

DEFAULT_TOLERANCE: Final = 2
"""What a key has unless its operator set another."""

LAXEST_TOLERANCE: Final = 6
"""0 is the strictest; a request may lower its key's tolerance, never raise it."""


class Severity(StrEnum):
    """How bad what a rule forbids is; in falling order."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    NOTICE = "notice"


# Steps towards strictness at tolerance 0, 1, ... 6.
STEPS: Final[dict[Severity, tuple[int, ...]]] = {
    Severity.CRITICAL: (0, 0, 0, 0, 0, 0, 0),
    Severity.HIGH: (1, 1, 0, 0, 0, -1, -1),
    Severity.MEDIUM: (1, 1, 0, 0, -1, -1, -2),
    Severity.LOW: (1, 0, 0, -1, -1, -2, -2),
    Severity.NOTICE: (0, 0, 0, 0, 0, 0, 0),
}

SCORES: Final[dict[Severity, float]] = {
    Severity.CRITICAL: 1.0,
    Severity.HIGH: 0.9,
    Severity.MEDIUM: 0.7,
    Severity.LOW: 0.5,
    Severity.NOTICE: 0.0,
}
"""What a rule's match counts for in sorted lists; 0..1, no probability."""

_LADDER = (Decision.ALLOW, Decision.REVIEW, Decision.BLOCK)


def check_tolerance(tolerance: int) -> int:
    """Return the tolerance if there is such a one.

    Raises:
        PolicyError: It lies outside 0..6.
    """
    if type(tolerance) is not int or not 0 <= tolerance <= LAXEST_TOLERANCE:
        raise PolicyError(f"safety_tolerance must be a whole number in 0..{LAXEST_TOLERANCE}, got {tolerance!r}")
    return tolerance


def at_tolerance(action: Decision, severity: Severity, tolerance: int) -> Decision:
    """Return what a rule asks for at a tolerance.

    Args:
        action: What it asks for at the default tolerance.
        severity: How bad what it forbids is.
        tolerance: 0 (strictest) .. 6.

    Raises:
        PolicyError: The tolerance lies outside 0..6.
    """
    step = _LADDER.index(action) + STEPS[severity][check_tolerance(tolerance)]
    return _LADDER[min(max(step, 0), len(_LADDER) - 1)]
