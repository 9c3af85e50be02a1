from itertools import pairwise

import pytest

from policy import Decision, PolicyError, Severity
from policy.tolerance import DEFAULT_TOLERANCE, LAXEST_TOLERANCE, STEPS, at_tolerance
from policy.verdict import strictness

ACTIONS = list(Decision)


@pytest.mark.parametrize("severity", Severity)
@pytest.mark.parametrize("action", ACTIONS)
def test_a_stricter_tolerance_never_allows_more(severity, action):
    decisions = [strictness(at_tolerance(action, severity, dial)) for dial in range(LAXEST_TOLERANCE + 1)]
    assert all(stricter >= laxer for stricter, laxer in pairwise(decisions))
    assert at_tolerance(action, severity, DEFAULT_TOLERANCE) is action


def test_the_dial_moves_nothing_critical():
    assert set(STEPS[Severity.CRITICAL]) == {0}
    assert {at_tolerance(Decision.BLOCK, Severity.CRITICAL, dial) for dial in range(7)} == {Decision.BLOCK}


def test_what_is_of_high_severity_is_never_simply_allowed():
    assert {at_tolerance(Decision.BLOCK, Severity.HIGH, dial) for dial in range(7)} == {Decision.BLOCK, Decision.REVIEW}


@pytest.mark.parametrize("tolerance", [-1, 7, 2.0, True, None, "2"])
def test_a_tolerance_outside_the_dial_is_refused(tolerance):
    with pytest.raises(PolicyError, match=r"0\.\.6"):
        at_tolerance(Decision.BLOCK, Severity.LOW, tolerance)
