from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import Decision
from policy.guard import read_table
from policy.guard.errors import GuardTableError
from policy.guard.judging import OUR_CATEGORIES, GuardReading, parse_table
from policy.guard.prompting import CATEGORIES
from policy.tolerance import LAXEST_TOLERANCE

DOCUMENT = read_table()
TABLE = parse_table(DOCUMENT)
STRICTNESS = [Decision.ALLOW, Decision.REVIEW, Decision.BLOCK]
CERTAIN = {"safe": (1.0, 0.0, 0.0), "controversial": (0.0, 1.0, 0.0), "unsafe": (0.0, 0.0, 1.0)}


def judge(label, *categories, tolerance=2):
    safe, controversial, unsafe = CERTAIN[label]
    reading = GuardReading(safe=safe, controversial=controversial, unsafe=unsafe, categories=categories)
    return TABLE.judge(reading, subject="prompt", tolerance=tolerance)


def strictest(findings):
    return max((finding.decision for finding in findings), key=STRICTNESS.index)


def test_a_safe_text_passes_at_every_tolerance():
    for tolerance in range(LAXEST_TOLERANCE + 1):
        (finding,) = judge("safe", tolerance=tolerance)
        assert (finding.decision, finding.category, finding.score) == (Decision.ALLOW, "none", 0.0)


def test_the_dial_reads_controversial_strictly_then_by_a_person_then_loosely():
    decided = [strictest(judge("controversial", "PII", tolerance=each)) for each in range(LAXEST_TOLERANCE + 1)]
    assert decided == [Decision.BLOCK, Decision.REVIEW, Decision.REVIEW] + [Decision.ALLOW] * 4


@pytest.mark.parametrize("category", [each for each in CATEGORIES if each != "Copyright Violation"])
def test_what_is_certainly_unsafe_never_just_passes(category):
    for tolerance in range(LAXEST_TOLERANCE + 1):
        assert strictest(judge("unsafe", category, tolerance=tolerance)) is not Decision.ALLOW


def test_politics_and_talk_to_the_screening_go_to_a_person_and_copyright_is_noted():
    for tolerance in range(LAXEST_TOLERANCE + 1):
        assert strictest(judge("unsafe", "Politically Sensitive Topics", tolerance=tolerance)) is Decision.REVIEW
        assert strictest(judge("unsafe", "Jailbreak", tolerance=tolerance)) is Decision.REVIEW
        (noted,) = judge("unsafe", "Copyright Violation", tolerance=tolerance)
        assert noted.decision is Decision.ALLOW
        assert "Copyright Violation" in noted.detail
        assert noted.reason == ""


def test_each_category_is_a_finding_of_its_own_with_our_category():
    findings = judge("unsafe", "Violent", "PII", "Copyright Violation")
    assert [(each.rule, each.category) for each in findings] == [
        ("guard.violent", "illegal_content"),
        ("guard.pii", "privacy"),
    ]
    assert all(each.score == 1.0 and each.reason for each in findings)


def test_unsafe_without_a_category_blocks():
    (finding,) = judge("unsafe", "None")
    assert (finding.decision, finding.category) == (Decision.BLOCK, "unspecified")


def test_a_reading_that_matters_must_have_been_asked_for_its_categories():
    with pytest.raises(GuardTableError, match="categories"):
        judge("unsafe")


@given(
    unsafe=st.floats(0, 1),
    share=st.floats(0, 1),
    category=st.sampled_from(CATEGORIES),
    tolerance=st.integers(0, LAXEST_TOLERANCE),
)
def test_laxer_is_never_stricter_and_worse_never_milder(unsafe, share, category, tolerance):
    def decided(unsafe, tolerance):
        controversial = (1 - unsafe) * share
        reading = GuardReading(
            safe=1 - unsafe - controversial, controversial=controversial, unsafe=unsafe, categories=(category,)
        )
        findings = TABLE.judge(reading, subject="prompt", tolerance=tolerance)
        assert all(0 <= each.score <= 1 and each.category in OUR_CATEGORIES | {"none"} for each in findings)
        return STRICTNESS.index(strictest(findings))

    assert decided(unsafe, min(tolerance + 1, LAXEST_TOLERANCE)) <= decided(unsafe, tolerance)
    assert decided(min(unsafe + 0.1, 1.0), tolerance) >= decided(unsafe, tolerance)


SPOILT = {
    "a category without its entry": (lambda d: d["categories"].pop("PII"), "'PII'.*missing"),
    "an entry the model has not": (lambda d: d["categories"].update({"Rain": {}}), "unknown .*Rain"),
    "an unknown category of ours": (lambda d: d["categories"]["PII"].update(category="rain"), "'rain'"),
    "an unknown action": (lambda d: d["categories"]["PII"].update(at_most="shout"), "PII: at_most .*'shout'"),
    "no reason": (lambda d: d["categories"]["PII"].update(reason=" "), "PII: .*reason"),
    "six numbers": (lambda d: d["thresholds"].update(review=[0.5] * 6), "7 numbers"),
    "a falling row": (lambda d: d["thresholds"].update(block=[0.9, 0.8] + [0.9] * 5), "must not fall"),
    "review above block": (lambda d: d["thresholds"].update(review=[0.99] * 7), "above block"),
    "zero, which would hold everything": (lambda d: d["thresholds"].update(review=[0.0] * 7), "above 0"),
    "more than one": (lambda d: d["thresholds"].update(block=[1.5] * 7), r"0\.\.1, got 1\.5"),
    "a word for a number": (lambda d: d.update(controversial_weight="half"), "controversial_weight .*'half'"),
    "no version": (lambda d: d.pop("version"), "'version'.*missing"),
    "an unknown key": (lambda d: d.update(off=True), "unknown .*off"),
}


@pytest.mark.parametrize(("spoil", "message"), SPOILT.values(), ids=SPOILT)
def test_a_malformed_table_is_refused_by_name(spoil, message):
    document = deepcopy(DOCUMENT)
    spoil(document)
    with pytest.raises(GuardTableError, match=message):
        parse_table(document)


def test_a_file_of_thresholds_is_read_and_its_errors_name_it(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("version = ")
    with pytest.raises(GuardTableError, match=r"mine\.toml: cannot be read"):
        read_table(file)
    file.write_text('version = "1"')
    with pytest.raises(GuardTableError, match=r"mine\.toml: the table"):
        read_table(file)
    with pytest.raises(GuardTableError, match=r"none\.toml"):
        read_table(tmp_path / "none.toml")


def test_the_digest_follows_the_numbers():
    document = deepcopy(DOCUMENT)
    document["thresholds"]["review"][6] = 0.95
    assert parse_table(document).digest != TABLE.digest == parse_table(deepcopy(DOCUMENT)).digest
