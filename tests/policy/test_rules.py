"""The shipped rules, each against its own examples."""

import re
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import (
    TEXT_LIMIT,
    Decision,
    Policy,
    RuleScreener,
    Severity,
    Stage,
    TextSubject,
    Wording,
    load_rules,
)

RULES = load_rules()
BY_ID = {rule.id: rule for rule in RULES.rules}
CATEGORIES = {
    "illegal_content",
    "minors",
    "disinformation",
    "privacy",
    "harassment",
    "intimate_imagery",
    "automated_decisions",
    "manipulation",
    "usage",
}
POLICY = Policy(RULES, [])
SCREENER = RuleScreener(RULES)


def decide(text):
    return POLICY.screen([TextSubject(name="prompt", text=text)]).decision


def test_every_category_of_the_policy_has_rules():
    assert {rule.category for rule in RULES.rules} == CATEGORIES


def caught_by(text, wording=Wording.PROMPT):
    return [match.rule.id for match in SCREENER.matches(TextSubject(name="prompt", text=text, wording=wording))]


def wordings(rule):
    return [wording for wording in (Wording.PROMPT, Wording.PURPOSE) if wording in rule.applies_to]


@pytest.mark.parametrize("rule", RULES.rules, ids=lambda rule: rule.id)
def test_a_rule_catches_its_examples_in_every_language(rule):
    assert {"en", "zh"} <= set(rule.languages)
    missed = [example for example in rule.catch for at in wordings(rule) if rule.id not in caught_by(example.text, at)]
    assert missed == []


@pytest.mark.parametrize("rule", RULES.rules, ids=lambda rule: rule.id)
def test_an_allow_example_is_allowed_by_all_rules_together(rule):
    refused = {
        example.where: found
        for example in rule.allow
        for at in wordings(rule)
        if (found := [each for each in caught_by(example.text, at) if BY_ID[each].severity is not Severity.NOTICE])
    }
    assert refused == {}


def test_examples_are_not_used_twice():
    examples = [example.text for rule in RULES.rules for example in (*rule.allow, *rule.catch)]
    assert sorted({example for example in examples if examples.count(example) > 1}) == []


def test_minors_and_terrorism_are_locked():
    assert {rule.category for rule in RULES.rules if rule.locked} >= {"minors", "illegal_content"}
    assert all(rule.locked and rule.severity is Severity.CRITICAL for rule in RULES.rules if rule.category == "minors")


@pytest.mark.parametrize("rule", RULES.rules, ids=lambda rule: rule.id)
def test_a_reason_is_one_public_sentence(rule):
    assert rule.reason[0].isupper()
    assert rule.reason.endswith(".")
    assert re.search(r"[.!?] ", rule.reason) is None


def test_spaces_between_chinese_characters_do_not_hide_them():
    for example in ("裸体的儿童", "伪造一张身份证"):
        assert decide(" ".join(example)) is Decision.BLOCK


@pytest.mark.parametrize("age", [*range(1, 18)])
def test_minors_are_recognised_by_any_age_below_eighteen(age):
    assert decide(f"a {age} year old, nude") is Decision.BLOCK
    assert decide(f"{age}岁的人裸体") is Decision.BLOCK


@pytest.mark.parametrize("age", [18, 21, 35, 70])
def test_adult_ages_are_not_taken_for_minors(age):
    assert not any(each.startswith("minors") for each in caught_by(f"a {age} year old man, nude statue"))
    assert not any(each.startswith("minors") for each in caught_by(f"{age}岁老人的裸体雕像"))


@pytest.mark.parametrize(
    "text",
    [
        "portrait of Barack Obama",
        "Taylor Swift on stage, photo",
        "Putin, oil painting",
        "特朗普的肖像",
        "拜登在演讲的照片",
    ],
)
def test_a_public_name_alone_does_not_block(text):
    assert decide(text) is Decision.ALLOW


@pytest.mark.parametrize("text", ["", " ", "\u200b", "🙂", "a", "画", "\n\n"])
def test_texts_that_say_nothing_are_allowed(text):
    assert decide(text) is Decision.ALLOW


@pytest.mark.parametrize(
    "unit",
    ["a", "child ", "fake ", "my ex ", "脸", "\u200b", "把她", '"', "remove her " * 3, "照片里的人", "é\u0301", "ﷺ"],
)
def test_the_longest_hostile_text_is_read_to_its_end(unit):
    text = (unit * TEXT_LIMIT)[: TEXT_LIMIT - 14] + "\n" + "a nude  child"
    assert len(text) == TEXT_LIMIT
    assert decide(text) is Decision.BLOCK


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=100))
def test_findings_never_repeat_a_text(text):
    secret = "wjkqzx" + "".join(c for c in text if c.isalpha())
    subject = TextSubject(name="prompt", text=f"{secret} a nude child")
    findings = RuleScreener(RULES).screen(subject)
    assert findings
    assert secret not in repr(findings)


def test_the_readme_lists_every_rule_with_its_title_and_decision():
    readme = resources.files("policy").joinpath("README.md").read_text("utf-8")
    listed = re.findall(r"^\| `([a-z_]+-\d\d)` \| (.+?) \| (\w+) \| (\w+) \|$", readme, flags=re.MULTILINE)
    rules = [(rule.id, rule.title, rule.severity.value, rule.actions[Stage.REQUEST].value) for rule in RULES.rules]
    assert listed == rules
