import pytest

from policy import RuleError
from policy.ruleset import parse_rule_set
from tests.policy.documents import rule_document, rule_fields

VOCABULARY = {"version": "2026.01.02", "terms": {"lamp": {"en": ["lamps?", "lantern"], "zh": ["灯"]}}}


def only_rule(**changes):
    return parse_rule_set({"vocabulary": VOCABULARY, "minors": rule_document(**changes)}).rules[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"any": ["(open"]}, "minors: minors-01: invalid pattern"),
        ({"any": [r"(a)\1"]}, "minors: minors-01: invalid pattern"),
        ({"any": ["(?=ahead)"]}, "minors: minors-01: invalid pattern"),
        ({"any": ["a{1001}"]}, "minors: minors-01: invalid pattern"),
        ({"any": ["(?:(?:a{100}){100}){100}"]}, "minors: minors-01: invalid pattern"),
        ({"any": ["x*"]}, "matches the empty text"),
        ({"any": [""]}, "any must be a list of one or more texts"),
        ({"any": []}, "any must be a list of one or more texts"),
        ({"any": "forbidden"}, "any must be a list"),
        ({"any": [1]}, "any must be a list"),
        ({"any": ["<unheard>"]}, "minors: minors-01: unknown term <unheard>"),
        ({"any": None}, "needs any, all or both"),
        ({"all": [["forbidden"]]}, "all must be a list of two or more lists"),
        ({"all": ["forbidden", "lamp"]}, "all must be a list of one or more texts"),
        ({"all": [["forbidden"], []]}, "all must be a list of one or more texts"),
        ({"unless": []}, "unless must be a list"),
        ({"id": None}, "rule number 1: missing field id"),
        ({"id": "other-01"}, "id must be minors-NN"),
        ({"id": "minors-1"}, "id must be minors-NN"),
        ({"title": None}, "minors: minors-01: missing field title"),
        ({"reason": " "}, "reason must be a text that is not empty"),
        ({"reason": 3}, "reason must be a text that is not empty"),
        ({"decision": "allow"}, "decision must be block or review"),
        ({"decision": "maybe"}, "decision must be block or review"),
        ({"severity": "high"}, "minors: minors-01: unknown field severity"),
        ({"allow": None}, "missing field allow"),
        ({"block": None}, "missing field block"),
        ({"block": []}, "block must be a list"),
        ({"allow": ["a lamp"]}, "allow needs an English and a Chinese example"),
        ({"block": ["禁止的灯"]}, "block needs an English and a Chinese example"),
    ],
)
def test_a_malformed_rule_is_refused_by_name(changes, message):
    with pytest.raises(RuleError) as caught:
        parse_rule_set({"minors": rule_document(**changes)})
    assert message in str(caught.value)
    assert str(caught.value).startswith("minors: ")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "minors: missing field category"),
        (rule_document() | {"category": "privacy"}, "category must be the file's name"),
        (rule_document() | {"version": "1"}, "version must be YYYY.MM.DD"),
        (rule_document() | {"version": 20260101}, "version must be YYYY.MM.DD"),
        (rule_document() | {"rules": []}, "rules must be a list"),
        (rule_document() | {"rules": ["x"]}, "rule number 1 must be a table"),
        (rule_document() | {"author": "x"}, "unknown field author"),
        (rule_document(rule_fields(), rule_fields()), "minors-01: id already used in minors"),
    ],
)
def test_a_malformed_document_is_refused_by_name(document, message):
    with pytest.raises(RuleError) as caught:
        parse_rule_set({"minors": document})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "terms",
    [
        [],
        {"lamp": []},
        {"lamp": {"en": ["lamp"]}},
        {"lamp": {"en": [], "zh": ["灯"]}},
        {"lamp": {"en": ["("], "zh": ["灯"]}},
    ],
)
def test_a_malformed_vocabulary_is_refused_by_name(terms):
    with pytest.raises(RuleError, match=r"^vocabulary: "):
        parse_rule_set({"vocabulary": {"version": "2026.01.01", "terms": terms}})


def test_any_one_pattern_is_enough():
    rule = only_rule(any=["cellar", "attic"], all=[["<lamp>"], ["oil"]])
    assert rule.catches("the attic")
    assert rule.catches("oil for the lantern")
    assert not rule.catches("a lantern")


def test_all_groups_must_occur_in_any_order():
    rule = only_rule(any=None, all=[["<lamp>"], ["oil", "wick"]])
    assert rule.catches("wick of a lamp")
    assert rule.catches("lamp with a wick")
    assert not rule.catches("lamp and lantern")


def test_a_name_alone_is_one_signal_of_two():
    rule = only_rule(any=None, all=[["napoleon"], ["arrested"]])
    assert not rule.catches("portrait of Napoleon")
    assert rule.catches("Napoleon arrested")


def test_english_terms_match_whole_words_and_chinese_ones_anywhere():
    rule = only_rule(any=["<lamp>"])
    assert not rule.catches("lampoon")
    assert rule.catches("红灯笼")
    assert rule.catches("一个lamp在桌上")


def test_an_exception_excuses_its_own_phrase_and_nothing_else():
    rule = only_rule(unless=["not forbidden"])
    assert not rule.catches("this is not forbidden")
    assert rule.catches("this is not forbidden, that is forbidden")


def test_an_exception_cannot_join_what_it_separates():
    rule = only_rule(any=["forbidden"], unless=["not forbidden", "zzz"])
    assert not rule.catches("not forbidden, forzzzbidden")


def test_version_is_the_newest_and_the_digest_follows_the_content():
    first = parse_rule_set({"vocabulary": VOCABULARY, "minors": rule_document()})
    same = parse_rule_set({"minors": rule_document(), "vocabulary": VOCABULARY})
    other = parse_rule_set({"vocabulary": VOCABULARY, "minors": rule_document(title="Another title")})
    assert first.version == "2026.01.02"
    assert first.digest == same.digest != other.digest


def test_versions_compare_as_numbers():
    later = rule_document() | {"version": "2026.01.02.10"}
    earlier = VOCABULARY | {"version": "2026.01.02.9"}
    assert parse_rule_set({"vocabulary": earlier, "minors": later}).version == "2026.01.02.10"
