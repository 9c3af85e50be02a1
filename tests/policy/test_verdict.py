import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import Decision, Finding, Verdict, VerdictError, combine
from policy.verdict import finding_from_json

texts = st.text(max_size=12)
findings = st.builds(
    Finding,
    rule=texts,
    category=texts,
    decision=st.sampled_from(Decision),
    reason=texts,
    screener=texts,
    subject=texts,
    detail=texts,
)


def verdict_of(*decisions, **fields):
    made = [
        Finding(
            rule=f"test-{number:02}",
            category="test",
            decision=decision,
            reason=f"Reason {number}.",
            screener="test",
            subject="prompt",
            **fields,
        )
        for number, decision in enumerate(decisions)
    ]
    return combine(made, policy_version="v", policy_digest="d")


def test_no_findings_block():
    assert verdict_of().decision is Decision.BLOCK


@given(st.lists(findings, max_size=6))
def test_the_strictest_finding_decides(made):
    verdict = combine(made, policy_version="v", policy_digest="d")
    decisions = {finding.decision for finding in made}
    expected = next((d for d in (Decision.BLOCK, Decision.REVIEW, Decision.ALLOW) if d in decisions), Decision.BLOCK)
    assert verdict.decision is expected
    assert verdict.findings == tuple(made)


@given(st.lists(findings, max_size=6), findings, st.randoms(use_true_random=False))
def test_one_more_finding_never_loosens_and_order_never_matters(made, more, order):
    strictness = [Decision.ALLOW, Decision.REVIEW, Decision.BLOCK].index
    before = combine(made, policy_version="v", policy_digest="d")
    shuffled = [*made, more]
    order.shuffle(shuffled)
    after = combine(shuffled, policy_version="v", policy_digest="d")
    assert not made or strictness(after.decision) >= strictness(before.decision)
    assert after.decision is combine([*made, more], policy_version="v", policy_digest="d").decision


@given(st.lists(findings, max_size=4), texts, texts)
def test_json_brings_back_the_same_verdict(made, version, digest):
    verdict = combine(made, policy_version=version, policy_digest=digest)
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict


@pytest.mark.parametrize("decision", [Decision.ALLOW, Decision.REVIEW])
def test_a_verdict_that_contradicts_its_findings_cannot_be_built(decision):
    with pytest.raises(VerdictError, match="must follow from its findings"):
        Verdict(decision=decision, findings=(), policy_version="v", policy_digest="d")
    stored = verdict_of(Decision.BLOCK).to_json() | {"decision": decision.value}
    with pytest.raises(VerdictError):
        Verdict.from_json(stored)


@pytest.mark.parametrize(
    "change",
    [
        {"decision": "maybe"},
        {"findings": None},
        {"findings": [{}]},
        {"findings": [1]},
        {"policy_version": 3},
        {"policy_digest": None},
    ],
)
def test_what_is_no_stored_verdict_is_refused(change):
    with pytest.raises(VerdictError, match="not a stored verdict"):
        Verdict.from_json(verdict_of(Decision.BLOCK).to_json() | change)


def test_a_finding_with_unknown_fields_is_refused():
    stored = verdict_of(Decision.BLOCK).to_json()["findings"][0]
    with pytest.raises(VerdictError, match="mood"):
        finding_from_json(stored | {"mood": 1})


def test_public_reasons_name_each_rule_once_and_leave_out_what_allowed():
    verdict = verdict_of(Decision.ALLOW, Decision.REVIEW, Decision.BLOCK)
    twice = combine([*verdict.findings, *verdict.findings], policy_version="v", policy_digest="d")
    assert [(reason.rule, reason.reason) for reason in twice.reasons] == [
        ("test-01", "Reason 1."),
        ("test-02", "Reason 2."),
    ]


def test_public_reasons_do_not_carry_what_is_for_auditors():
    verdict = verdict_of(Decision.BLOCK, detail="reading=normalised")
    assert "reading=normalised" not in repr(verdict.reasons)
