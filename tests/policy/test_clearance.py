import copy
import dataclasses
import pickle  # noqa: TID251 - shows that clearance cannot be pickled

import pytest

from policy import Cleared, Decision, NotClearedError, clear, combine
from tests.policy.test_verdict import verdict_of


@pytest.fixture
def cleared():
    return clear("value", verdict_of(Decision.ALLOW))


def test_an_allowing_verdict_clears(cleared):
    assert cleared.value == "value"
    assert cleared.verdict.decision is Decision.ALLOW


@pytest.mark.parametrize(
    "verdict",
    [
        combine([], policy_version="v", policy_digest="d"),
        verdict_of(Decision.REVIEW),
        verdict_of(Decision.BLOCK),
        verdict_of(Decision.ALLOW, Decision.BLOCK),
        None,
        Decision.ALLOW,
    ],
)
def test_nothing_else_clears(verdict):
    with pytest.raises(NotClearedError):
        clear("value", verdict)


def test_something_that_looks_like_a_verdict_does_not_clear():
    @dataclasses.dataclass
    class Lookalike:
        decision: Decision = Decision.ALLOW

    with pytest.raises(NotClearedError, match="Lookalike"):
        clear("value", Lookalike())


@pytest.mark.parametrize(
    "forge",
    [
        lambda cleared: Cleared("other", cleared.verdict),
        copy.copy,
        copy.deepcopy,
        pickle.dumps,
        lambda cleared: dataclasses.replace(cleared, value="other"),
        lambda cleared: cleared.__replace__(value="other"),
        lambda cleared: setattr(cleared, "value", "other"),
        lambda cleared: setattr(cleared, "_value", "other"),
        lambda cleared: delattr(cleared, "_value"),
        lambda cleared: type("Mine", (Cleared,), {}),
        lambda cleared: Cleared.__new__(Cleared),
        lambda cleared: object.__new__(Cleared).value,
    ],
    ids=[
        *("constructor", "copy", "deepcopy", "pickle", "dataclass_replace", "replace", "set_value", "set_slot"),
        *("delete_slot", "subclass", "new", "object_new"),
    ],
)
def test_clearance_cannot_be_forged(cleared, forge):
    with pytest.raises((NotClearedError, TypeError)):
        forge(cleared)
    assert cleared.value == "value"


def test_slots_filled_behind_its_back_do_not_make_it_cleared():
    forged = object.__new__(Cleared)
    object.__setattr__(forged, "_value", "other")
    object.__setattr__(forged, "_verdict", verdict_of(Decision.ALLOW))
    with pytest.raises(NotClearedError, match="not issued"):
        _ = forged.value
    with pytest.raises(NotClearedError, match="not issued"):
        _ = forged.verdict


def test_its_representation_does_not_show_the_value(cleared):
    assert "value" not in repr(cleared)
