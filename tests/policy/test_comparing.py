"""What differs between two rule sets, in their documents and in what they answer."""

from policy.comparing import Change, by_direction, changes, compare_rules, recognition
from policy.evaluation import Answer
from policy.ruleset import parse_rule_set
from policy.verdict import Decision
from tests.policy.documents import CHINESE, ENGLISH, REVIEW, category, language, rule_fields, terms


def documents(*rules, english=ENGLISH, lists=None):
    named = [each["id"] for each in rules] or ["art-01"]
    return [
        category(*rules),
        language("en", dict.fromkeys(named, english)),
        language("zh", dict.fromkeys(named, CHINESE)),
        *([terms("en", **lists)] if lists else []),
    ]


def difference(before, after):
    rules = [parse_rule_set(each).rules for each in (before, after)]
    return compare_rules(*rules, (recognition(before), recognition(after)))


def answer(decision: str, *rules: str, category: str = "art") -> Answer:
    return Answer(decision=Decision(decision), category=category, rules=rules, score=0.5, by_screener={})


def test_a_rule_set_does_not_differ_from_itself() -> None:
    assert difference(documents(), documents()).to_json() == {"added": [], "removed": [], "changed": []}


def test_rules_added_removed_and_changed_are_told() -> None:
    first = documents(rule_fields(), rule_fields(id="art-02"))
    second = documents(rule_fields(actions=REVIEW, title="Another"), rule_fields(id="art-03"))
    found = difference(first, second)
    assert (found.added, found.removed) == (("art-03",), ("art-02",))
    (changed,) = found.changed
    assert (changed.rule, changed.fields) == ("art-01", ("title", "actions"))
    assert changed.actions["request"] == ("block", "review")


def test_another_phrase_is_another_recognition() -> None:
    more = ENGLISH | {"phrases": ["forbidden", "banned"]}
    (changed,) = difference(documents(), documents(english=more)).changed
    assert changed.fields == ("recognition",)


def test_a_term_of_a_list_that_a_rule_names_through_another_is_another_recognition() -> None:
    naming = ENGLISH | {"phrases": ["forbidden", "<outer> lamp"]}
    before = documents(english=naming, lists={"outer": ["<inner>"], "inner": ["red"], "unused": ["blue"]})
    after = documents(english=naming, lists={"outer": ["<inner>"], "inner": ["red", "green"], "unused": ["blue"]})
    unused = documents(english=naming, lists={"outer": ["<inner>"], "inner": ["red"], "unused": ["grey"]})
    assert [each.fields for each in difference(before, after).changed] == [("recognition",)]
    assert difference(before, unused).changed == ()


def test_examples_are_told_apart_from_what_is_recognised() -> None:
    (changed,) = difference(documents(), documents(english=ENGLISH | {"allow": ["a chair"]})).changed
    assert changed.fields == ("examples",)


def test_only_other_decisions_are_changes_and_stricter_ones_come_first() -> None:
    found = changes(
        [
            ("same", answer("review", "art-01"), answer("review", "art-02")),
            ("looser", answer("block", "art-01"), answer("allow", category="none")),
            ("stricter", answer("allow", category="none"), answer("block", "art-01")),
        ]
    )
    assert [(each.id, each.direction, each.category) for each in found] == [
        ("stricter", "allow -> block", "art"),
        ("looser", "block -> allow", "art"),
    ]
    assert [each.rules for each in found] == [("+art-01",), ("-art-01",)]
    assert by_direction(found) == {"allow -> block": {"art": 1}, "block -> allow": {"art": 1}}


def test_a_rule_that_changed_its_action_is_named() -> None:
    assert Change(id="1", before=answer("block", "art-01"), after=answer("review", "art-01")).rules == ("art-01",)
