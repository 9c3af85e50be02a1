import hashlib
from dataclasses import replace

import numpy as np
import pytest

from policy import (
    TEXT_LIMIT,
    Decision,
    KnownPictureScreener,
    PictureSubject,
    Policy,
    PolicyError,
    RuleScreener,
    SubjectError,
    TextSubject,
    allowing_finding,
    load_policy,
    load_rules,
    pixel_digest,
)
from policy.ruleset import parse_rule_set
from tests.policy.documents import small_set

RULES = load_rules()
BLOCKED = "a nude child"
HARMLESS = "a red bicycle in the rain"


class Fake:
    """A screener whose answer is a function of the subject."""

    def __init__(self, answer, name="fake", time_limit_s=1.0, handles=lambda subject: True):
        self.name = name
        self.version = "1"
        self.time_limit_s = time_limit_s
        self.answer = answer
        self.handles = handles
        self.seen = []

    def screen(self, subject):
        self.seen.append(subject)
        return self.answer(subject)


def allows(subject):
    return [allowing_finding("fake", subject.name)]


def text(value, name="prompt"):
    return TextSubject(name=name, text=value)


def picture(value=0, name="image"):
    pixels = np.full((4, 5, 3), value, dtype=np.uint8)
    return PictureSubject(name=name, pixels=pixels, pixel_sha256=pixel_digest(pixels))


def rules_of(verdict):
    return [finding.rule for finding in verdict.findings if finding.decision is not Decision.ALLOW]


def test_every_screener_records_a_finding_for_every_subject():
    policy = Policy(RULES, [Fake(allows)])
    verdict = policy.screen([text(HARMLESS), picture()])
    assert verdict.decision is Decision.ALLOW
    assert {(finding.screener, finding.subject) for finding in verdict.findings} == {
        ("rules", "prompt"),
        ("fake", "prompt"),
        ("fake", "image"),
    }


def test_the_rules_run_without_being_asked_for():
    assert Policy(RULES, []).screen([text(BLOCKED)]).decision is Decision.BLOCK
    assert Policy(RULES, [Fake(allows)]).screen([text(BLOCKED)]).decision is Decision.BLOCK


def test_a_rule_screener_given_as_well_runs_once():
    verdict = Policy(RULES, [RuleScreener(RULES)]).screen([text(HARMLESS)])
    assert [finding.screener for finding in verdict.findings] == ["rules"]


def test_a_rule_screener_with_other_rules_is_refused():
    other = small_set({})
    with pytest.raises(PolicyError, match="other rules"):
        Policy(RULES, [RuleScreener(other)])


@pytest.mark.parametrize("names", [("one", "one"), ("policy",), ("rules",)])
def test_screeners_need_names_of_their_own(names):
    with pytest.raises(PolicyError, match="names of their own"):
        Policy(RULES, [Fake(allows, name=name) for name in names])


def test_a_picture_that_nobody_looks_at_blocks():
    verdict = Policy(RULES, []).screen([text(HARMLESS), picture()])
    assert verdict.decision is Decision.BLOCK
    assert rules_of(verdict) == ["policy.unscreened"]


def test_nothing_to_screen_blocks():
    assert rules_of(Policy(RULES, [Fake(allows)]).screen([])) == ["policy.nothing_to_screen"]


def raises(subject):
    raise LookupError(f"cannot read {subject.text}")


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        (raises, "policy.screener_failed"),
        (lambda subject: None, "policy.screener_failed"),
        (lambda subject: ["allow"], "policy.screener_failed"),
        (lambda subject: [None], "policy.screener_failed"),
        (lambda subject: True, "policy.screener_failed"),
        (lambda subject: [], "policy.screener_silent"),
        (lambda subject: iter(()), "policy.screener_silent"),
    ],
    ids=["raises", "none", "strings", "list_of_none", "bool", "empty", "empty_iterator"],
)
def test_a_screener_that_does_not_answer_blocks(answer, rule):
    verdict = Policy(RULES, [Fake(answer)]).screen([text(HARMLESS)])
    assert verdict.decision is Decision.BLOCK
    assert rules_of(verdict) == [rule]


def test_a_screener_that_cannot_say_what_it_handles_blocks():
    verdict = Policy(RULES, [Fake(allows, handles=raises)]).screen([text(HARMLESS)])
    assert rules_of(verdict) == ["policy.screener_failed"]


def test_a_failure_names_the_class_of_the_exception_and_not_the_text():
    verdict = Policy(RULES, [Fake(raises)]).screen([text(HARMLESS)])
    assert "LookupError" in repr(verdict)
    assert HARMLESS not in repr(verdict)


def test_a_late_answer_blocks():
    ticks = iter([0.0, 0.0, 10.0, 12.5])
    policy = Policy(RULES, [Fake(allows, time_limit_s=2.0)], clock=lambda: next(ticks))
    assert rules_of(policy.screen([text(HARMLESS)])) == ["policy.screener_timeout"]


def test_findings_are_stamped_with_who_said_them_about_what():
    policy = Policy(RULES, [Fake(lambda subject: [allowing_finding("rules", "mask")])])
    assert {(f.screener, f.subject) for f in policy.screen([picture()]).findings} == {("fake", "image")}


@pytest.mark.parametrize(("length", "decision"), [(TEXT_LIMIT, Decision.ALLOW), (TEXT_LIMIT + 1, Decision.BLOCK)])
def test_text_is_screened_whole_up_to_the_limit_and_blocked_beyond(length, decision):
    screener = Fake(allows)
    verdict = Policy(RULES, [screener]).screen([text("画" * length)])
    assert verdict.decision is decision
    assert [len(subject.text) for subject in screener.seen] == ([length] if decision is Decision.ALLOW else [])


def test_the_last_words_of_the_longest_text_count():
    assert Policy(RULES, []).screen([text(BLOCKED.rjust(TEXT_LIMIT, "."))]).decision is Decision.BLOCK


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("x" * (TEXT_LIMIT + 1), "policy.text_too_long"),
        ("a\0b", "policy.text_has_nul"),
        ("a\ud800b", "policy.text_not_unicode"),
        ("\udfff", "policy.text_not_unicode"),
    ],
)
def test_text_that_cannot_be_screened_is_blocked_before_any_screener(value, rule):
    screener = Fake(allows)
    verdict = Policy(RULES, [screener]).screen([text(HARMLESS), text(value, "negative_prompt")])
    assert rules_of(verdict) == [rule]
    assert [subject.text for subject in screener.seen] == [HARMLESS]


def test_text_split_over_fields_is_read_as_one_too():
    verdict = Policy(RULES, []).screen([text("a nude", "prompt"), text("", "note"), text("child", "prompt_2")])
    assert ("minors-01", "joined") in {(f.rule, f.subject) for f in verdict.findings if f.decision is Decision.BLOCK}
    assert "minors-01" not in {f.rule for f in verdict.findings if f.subject.startswith("prompt")}


def test_an_empty_rule_set_blocks_everything():
    policy = Policy(parse_rule_set([]), [Fake(allows)])
    assert rules_of(policy.screen([text(HARMLESS)])) == ["policy.no_rules"]
    assert rules_of(policy.screen([picture()])) == ["policy.no_rules"]
    assert "policy.no_rules" in policy.ready().problems[0]


@pytest.mark.parametrize("change", [{"allow": ["a forbidden lamp"]}, {"catch": ["a lamp"]}], ids=["matches", "misses"])
def test_rules_that_fail_their_examples_block_everything(change):
    policy = Policy(small_set(change), [Fake(allows)])
    assert rules_of(policy.screen([text(HARMLESS)])) == ["policy.self_check_failed"]
    assert not policy.ready().ready
    assert "art-01" in policy.ready().problems[0]
    with pytest.raises(PolicyError, match="art-01"):
        policy.self_check()


class AtTolerance(Fake):
    """Blocks where the tolerance is below five."""

    def screen_at(self, subject, tolerance):
        decision = Decision.BLOCK if tolerance < 5 else Decision.ALLOW
        return [replace(allowing_finding("fake", subject.name), rule="dial-01", decision=decision)]


def test_a_screener_with_a_dial_is_asked_at_the_tolerance():
    policy = Policy(small_set({}), [AtTolerance(allows)])
    assert policy.screen([picture()]).decision is Decision.BLOCK
    assert policy.screen([picture()], tolerance=5).decision is Decision.ALLOW


def test_rules_move_with_the_dial():
    policy = Policy(small_set({}), [])
    decisions = [policy.screen([text("forbidden")], tolerance=dial).decision.value for dial in range(7)]
    assert decisions == ["block"] * 5 + ["review"] * 2


@pytest.mark.parametrize("tolerance", [-1, 7, 1.5, None])
def test_a_tolerance_that_does_not_exist_is_an_error_and_no_way_around(tolerance):
    with pytest.raises(PolicyError, match="safety_tolerance"):
        Policy(RULES, []).screen([text(HARMLESS)], tolerance=tolerance)


def test_the_shipped_policy_is_ready_and_passes_its_own_examples():
    policy = load_policy()
    policy.self_check()
    assert policy.ready().ready
    assert policy.ready().problems == ()


def test_the_digest_changes_with_rules_and_with_screeners():
    policies = [
        Policy(RULES, []),
        Policy(RULES, [Fake(allows)]),
        Policy(RULES, [KnownPictureScreener([])]),
        Policy(small_set({}), []),
    ]
    assert len({policy.digest for policy in policies}) == len(policies)
    assert Policy(load_rules(), []).digest == policies[0].digest
    assert len(policies[0].digest) == hashlib.sha256().digest_size * 2


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), dtype=np.uint8),
        np.zeros((4, 4, 4), dtype=np.uint8),
        np.zeros((0, 4, 3), dtype=np.uint8),
        np.zeros((4, 4, 3), dtype=np.float32),
    ],
    ids=["grey", "alpha", "empty", "float"],
)
def test_a_picture_subject_holds_a_picture(pixels):
    with pytest.raises(SubjectError, match="uint8"):
        PictureSubject(name="image", pixels=pixels, pixel_sha256="0" * 64)


@pytest.mark.parametrize("digest", ["", "0" * 63, "G" * 64, "A" * 64])
def test_a_picture_subject_holds_digests(digest):
    with pytest.raises(SubjectError, match="file_sha256"):
        PictureSubject(name="i", pixels=picture().pixels, pixel_sha256="0" * 64, file_sha256=digest)


def test_a_picture_cannot_be_changed_by_the_screeners_that_see_it():
    pixels = np.zeros((4, 5, 3), dtype=np.uint8)
    subject = PictureSubject(name="image", pixels=pixels, pixel_sha256=pixel_digest(pixels))
    with pytest.raises(ValueError, match="read-only"):
        subject.pixels[0, 0, 0] = 1
    pixels[0, 0, 0] = 1


class Together(Fake):
    """Allows subjects one by one, and answers as told when it sees several at once."""

    def screen_together(self, subjects):
        return self.answer(subjects) if len(subjects) > 1 else allows(subjects[0])


def test_a_screener_may_judge_all_subjects_together():
    def answer(seen):
        if isinstance(seen, tuple):
            return [replace(allowing_finding("fake", "image"), rule="together-01", decision=Decision.BLOCK)]
        return allows(seen)

    policy = Policy(RULES, [Together(answer)])
    assert policy.screen([text(HARMLESS)]).decision is Decision.ALLOW
    assert policy.screen([picture()]).decision is Decision.ALLOW
    verdict = policy.screen([text(HARMLESS), picture()])
    assert [(f.rule, f.subject) for f in verdict.findings if f.decision is Decision.BLOCK] == [
        ("together-01", "request")
    ]


@pytest.mark.parametrize("answer", [lambda seen: [], lambda seen: 1 / 0, lambda seen: None])
def test_silence_about_all_subjects_together_blocks(answer):
    policy = Policy(RULES, [Together(lambda seen: answer(seen) if isinstance(seen, tuple) else allows(seen))])
    assert policy.screen([text(HARMLESS), picture()]).decision is Decision.BLOCK


def test_a_screener_that_cannot_report_its_state_has_a_problem():
    screener = Fake(allows)
    screener.problems = lambda: 1 / 0
    assert Policy(RULES, [screener]).ready().problems == ("fake: cannot report its state: ZeroDivisionError",)


class Second(Fake):
    """Asked only about what nothing blocks yet."""

    second_opinion = True


def test_a_second_opinion_is_asked_only_while_nothing_blocks():
    second = Second(allows)
    policy = Policy(RULES, [second])
    policy.screen([text(BLOCKED), text(HARMLESS, "prompt_2")])
    assert second.seen == []
    policy.screen([text(HARMLESS), text(BLOCKED, "prompt_2")])
    assert [subject.name for subject in second.seen] == ["prompt"]


def test_a_second_opinion_can_refuse_what_the_rules_allow():
    def blocks(subject):
        return [replace(allowing_finding("fake", subject.name), rule="second-01", decision=Decision.BLOCK)]

    assert rules_of(Policy(RULES, [Second(blocks)]).screen([text(HARMLESS)])) == ["second-01"]
