import pytest

from policy import Decision, RuleError, Stage
from policy.documents import Document
from tests.policy.documents import REVIEW, small_set


def overrides(fields, name="art-01"):
    content = {"version": "2026.01.03", "actions": {name: fields}}
    return Document(name="operator:overrides.toml", content=content)


def overridden(fields, **changes):
    return small_set({}, extra=[overrides(fields)], **changes).rules[0].actions[Stage.REQUEST]


def test_an_operator_may_loosen_within_bounds():
    assert overridden({"why": "w", "request": "review"}) is Decision.REVIEW
    assert overridden({"why": "w", "request": "allow"}, severity="medium", actions=REVIEW) is Decision.ALLOW


def test_an_operator_may_always_be_stricter():
    assert overridden({"why": "w", "request": "block"}, severity="low", actions=REVIEW) is Decision.BLOCK
    assert overridden({"why": "w", "request": "block"}, actions=REVIEW, locked=True) is Decision.BLOCK


@pytest.mark.parametrize(
    ("fields", "changes", "message"),
    [
        ({"why": "w", "request": "review"}, {"locked": True}, "is locked"),
        ({"why": "w", "output_image": "allow"}, {"severity": "critical"}, "is locked"),
        ({"why": "w", "request": "allow"}, {}, "severity high: it can be sent to review"),
        ({"request": "review"}, {}, "missing field why"),
        ({"why": " ", "request": "review"}, {}, "why must be a text"),
        ({"why": "w", "request": "never"}, {}, "request must be one of"),
        ({"why": "w", "stage": "review"}, {}, "unknown field stage"),
    ],
)
def test_an_override_that_goes_too_far_is_refused(fields, changes, message):
    with pytest.raises(RuleError, match=message):
        overridden(fields, **changes)


def test_an_override_of_no_rule_is_refused():
    with pytest.raises(RuleError, match="there is no rule art-09"):
        small_set({}, extra=[overrides({"why": "w"}, "art-09")])


def test_overrides_change_the_digest():
    assert small_set({}).digest != small_set({}, extra=[overrides({"why": "w", "request": "review"})]).digest
