import pytest

from policy import Decision, RuleError, RuleScreener, TextSubject
from policy.documents import Document
from policy.ruleset import parse_rule_set
from tests.policy.documents import (
    CHINESE,
    ENGLISH,
    NOTHING,
    REVIEW,
    category,
    language,
    operator,
    rule_fields,
    small_set,
    terms,
    written,
)

BOTH = (language("en"), language("zh"))


def caught(rule_set, text, **subject):
    return {match.rule.id for match in RuleScreener(rule_set).matches(TextSubject(name="prompt", text=text, **subject))}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": None}, "missing field id"),
        ({"id": "other-01"}, "id must be art-NN"),
        ({"id": "art-1"}, "id must be art-NN"),
        ({"title": None}, "missing field title"),
        ({"why": None}, "missing field why"),
        ({"reason": " "}, "reason must be a text that is not empty"),
        ({"severity": "dire"}, "severity must be one of critical, high"),
        ({"severity": ["high"]}, "severity must be one of"),
        ({"actions": {"request": "block"}}, "missing field input_image"),
        (
            {"actions": REVIEW | {"request": "maybe"}},
            "actions.request must be one of allow, review, block, got 'maybe'",
        ),
        ({"actions": REVIEW | {"reply": "block"}}, "unknown field reply"),
        ({"severity": "critical", "actions": REVIEW}, "severity critical means action block"),
        ({"severity": "notice", "actions": REVIEW}, "severity notice means action allow"),
        ({"languages": []}, "languages must hold at least one"),
        ({"languages": ["en", "zh", "fr"]}, "has no allow example in language fr"),
        ({"applies_to": ["poem"]}, "applies_to must be one of prompt"),
        ({"guards": ["fiction"]}, "severity high takes no such guards: fiction"),
        ({"severity": "critical", "guards": ["negation"]}, "takes no such guards"),
        ({"locked": "yes"}, "locked must be true or false"),
        ({"when": [{}]}, "has one of any, two, all"),
        ({"when": [{"any": ["lamp"], "two": ["lamp"]}]}, "has one of any, two, all"),
        ({"when": [{"all": ["lamp"]}]}, "all names two lists or more"),
        ({"when": [{"any": ["unheard"]}]}, "unknown term <unheard>"),
        ({"when": [{"any": ["lamp"], "within": 9}]}, "within goes with all"),
        ({"when": [{"all": ["lamp", "lamp"], "within": 0}]}, "lies in 1..400 bytes, got 0"),
        ({"when": [{"all": ["lamp", "lamp"], "near": 9}]}, "unknown field near"),
        ({"decision": "block"}, "unknown field decision"),
    ],
)
def test_a_malformed_rule_is_refused_by_name(changes, message):
    with pytest.raises(RuleError) as error:
        small_set(ENGLISH, lists={"lamp": ["lamp"]}, **changes)
    assert message in str(error.value)
    assert str(error.value).startswith("art.toml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"phrases": ["/(open/"]}, "invalid pattern"),
        ({"phrases": [r"/(a)\1/"]}, "invalid pattern"),
        ({"phrases": ["/(?=ahead)/"]}, "invalid pattern"),
        ({"phrases": ["/a{1001}/"]}, "invalid pattern"),
        ({"phrases": ["/x*/"]}, "matches the empty text"),
        ({"phrases": [""]}, "phrases must be a list of texts"),
        ({"phrases": "forbidden"}, "phrases must be a list"),
        ({"phrases": [1]}, "phrases must be a list"),
        ({"phrases": ["<unheard>"]}, "unknown term <unheard>"),
        ({"unless": ["/(/"]}, "invalid pattern"),
        ({"allow": []}, "has no allow example in language en"),
        ({"catch": []}, "has no catch example in language en"),
        ({"block": ["x"]}, "unknown field block"),
    ],
)
def test_a_malformed_language_part_is_refused_by_name(changes, message):
    with pytest.raises(RuleError, match="art") as error:
        small_set(changes)
    assert message in str(error.value)


def test_a_rule_that_nothing_can_match_is_refused():
    with pytest.raises(RuleError, match=r"art-01 needs a phrase or a \[\[rules.when\]\]"):
        small_set({"phrases": []}, chinese={"phrases": []})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (category(title=None), "art.toml: missing field title"),
        (category(name="art", category="poetry"), "category must be the file's name, got 'poetry'"),
        (category(version="1"), "version must be YYYY.MM.DD"),
        (category(version=20260101), "version must be YYYY.MM.DD"),
        (category(rules=[]), "rules must hold at least one table"),
        (category(rules=["x"]), "rules must be a list of tables"),
        (category(author="x"), "unknown field author"),
        (category(rule_fields(), rule_fields()), "art-01: id already used in art.toml"),
    ],
)
def test_a_malformed_category_is_refused_by_name(document, message):
    with pytest.raises(RuleError) as error:
        parse_rule_set([document, *BOTH])
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (language("en", language="fr"), "language must be the folder's, en"),
        (language("en", {"art-02": ENGLISH}), "there is no rule art-02 in category art"),
        (language("en", category="poetry"), "there is no rule art-01 in category poetry"),
        (language("en", {"art-01": "x"}), "must be a table"),
        (language("en", ["x"]), "rules must be a table"),
        (terms(lamp=[]), "lamp must hold at least one"),
        (terms(lamp=["/(/"]), "invalid pattern"),
        (terms(lamp=["<lamp>"]), "term <lamp> refers to itself"),
        (terms(lamp=["<wick>"], wick=["<lamp>"]), "refers to itself"),
        (terms(Lamp=["x"]), "a name is made of a-z"),
        (terms("en", "yesterday", lamp=["x"]), "version must be"),
    ],
)
def test_a_malformed_language_document_is_refused_by_name(document, message):
    others = [each for each in BOTH if each.name != document.name]
    with pytest.raises(RuleError) as error:
        parse_rule_set([category(), document, *others])
    assert message in str(error.value)


TEXT = """version = "2026.01.01"
language = "en"
category = "art"

[rules.art-01]
phrases = ["fine", 'regex']
allow = ["a lamp"]
catch = [
  "a fine lamp",
  "what a day",
]
"""


def test_errors_say_the_file_and_the_line():
    broken = written("en/art.toml", TEXT.replace("'regex'", r"'/\bopen(/'"))
    with pytest.raises(RuleError, match=r"^en/art\.toml:6: invalid pattern"):
        parse_rule_set([category(rule_fields(languages=["en"])), broken])
    missing = parse_rule_set([category(rule_fields(languages=["en"])), written("en/art.toml", TEXT)])
    with pytest.raises(RuleError, match=r"^en/art\.toml:10: art-01 misses its catch example"):
        missing.check_examples()
    wrong = written(
        "art.toml", 'version = "2026.01.01"\ncategory = "art"\ntitle = "A"\nsummary = "B"\n[[rules]]\nid = "art-01"\n'
    )
    with pytest.raises(RuleError, match=r"^art\.toml:6: art-01: missing field actions"):
        parse_rule_set([wrong])


def test_one_phrase_is_enough_and_so_is_one_condition():
    rules = small_set(
        {"phrases": ["attic"]},
        lists={"lamp": ["lamp", "lantern"], "oil": ["oil", "wick"]},
        when=[{"all": ["lamp", "oil"]}, {"any": ["oil"]}],
    )
    assert caught(rules, "the attic")
    assert caught(rules, "a wick")
    assert not caught(rules, "a lantern")


def test_all_lists_must_occur_in_any_order():
    rules = small_set(
        {"phrases": []}, lists={"lamp": ["lamp"], "oil": ["oil", "wick"]}, when=[{"all": ["lamp", "oil"]}]
    )
    assert caught(rules, "wick of a lamp")
    assert caught(rules, "lamp with a wick")
    assert not caught(rules, "lamp and lamp")


def test_one_word_that_is_in_both_lists_is_no_co_occurrence():
    rules = small_set({"phrases": []}, lists={"one": ["lamp", "oil"], "two": ["lamp"]}, when=[{"all": ["one", "two"]}])
    assert not caught(rules, "a lamp")
    assert caught(rules, "a lamp and its oil")


def test_distance_counts_where_it_is_said():
    lists = {"lamp": ["lamp"], "oil": ["oil"]}
    rules = small_set({"phrases": []}, lists=lists, when=[{"all": ["lamp", "oil"], "within": 12}])
    assert caught(rules, "lamp with some oil")
    assert not caught(rules, "lamp with something that is not oil")
    assert caught(rules, "lamp, then nothing for a long time, then lamp oil")


def test_two_different_terms_are_needed_where_two_are_asked_for():
    rules = small_set({"phrases": []}, lists={"lamp": ["lamp", "lantern", "candle"]}, when=[{"two": ["lamp"]}])
    assert not caught(rules, "a lamp, a lamp and lamps")
    assert caught(rules, "a lamp and a candle")


def test_english_matches_whole_words_and_chinese_anywhere():
    rules = small_set({"phrases": ["lamp"]}, chinese={"phrases": ["灯"]})
    assert not caught(rules, "lampoon")
    assert caught(rules, "红灯笼")
    assert caught(rules, "一个lamp在桌上")


def test_an_exception_excuses_its_own_phrase_and_nothing_else():
    rules = small_set({"unless": ["not forbidden"]})
    assert not caught(rules, "this is not forbidden")
    assert caught(rules, "this is not forbidden, that is forbidden")


def test_an_exception_cannot_join_what_it_separates():
    rules = small_set({"unless": ["/zzz/"]})
    assert not caught(rules, "forzzzbidden")


NEGATION = {"negation": ["no", "without"], "no_negation": ["no doubt"]}


def test_a_negation_right_before_excuses_an_occurrence_and_no_other():
    rules = small_set({}, lists=NEGATION, guards=["negation"])
    assert not caught(rules, "no forbidden things")
    assert not caught(rules, "without any visibly forbidden lamp")
    assert caught(rules, "no, forbidden things")
    assert caught(rules, "no doubt forbidden things")
    assert caught(rules, "no forbidden things but a forbidden lamp")
    assert caught(rules, "there is no end to it, and then came the forbidden lamp")


def test_a_rule_without_the_guard_honours_no_negation():
    assert caught(small_set({}, lists=NEGATION), "no forbidden things")


def test_a_context_excuses_a_soft_rule_altogether():
    rules = small_set({}, lists={"fiction": ["game art"]}, guards=["fiction"], severity="medium", actions=REVIEW)
    assert not caught(rules, "game art of a forbidden city")
    assert caught(rules, "a forbidden city")


def test_a_rule_reads_the_texts_it_applies_to():
    rules = small_set({}, applies_to=["purpose"])
    assert not caught(rules, "forbidden")
    assert caught(rules, "forbidden", wording="purpose")


def test_matches_say_where_in_the_original_they_are():
    text = "The  ＦＯＲＢＩＤＤＥＮ lamp"
    (match,) = RuleScreener(small_set({})).matches(TextSubject(name="prompt", text=text))
    assert [text[start:end] for start, end in match.spans] == ["ＦＯＲＢＩＤＤＥＮ"]


def test_stretches_that_overlap_are_told_where_they_are():
    lists = {"gown": ["silk gown"], "night": ["gown", "night"]}
    rules = small_set({"phrases": []}, lists=lists, when=[{"all": ["gown", "night"]}])
    text = "é silk gown at night"
    (match,) = RuleScreener(rules).matches(TextSubject(name="prompt", text=text))
    assert {text[start:end] for start, end in match.spans} == {"silk gown", "gown", "night"}


def test_a_notice_allows_and_says_why():
    rules = small_set({}, severity="notice", actions=NOTHING)
    (finding,) = RuleScreener(rules).screen(TextSubject(name="prompt", text="forbidden"))
    assert (finding.decision, finding.reason) == (Decision.ALLOW, "This is not made here.")


def test_what_the_dial_allows_is_noted_but_no_notice():
    rules = small_set({}, severity="low", actions=REVIEW)
    (finding,) = RuleScreener(rules).screen_at(TextSubject(name="prompt", text="forbidden"), 6)
    assert (finding.rule, finding.decision, finding.reason) == ("art-01", Decision.ALLOW, "")


def test_a_language_is_added_by_a_folder_alone():
    french = language("fr", {"art-01": {"phrases": ["interdit"], "allow": ["une lampe"], "catch": ["lampe interdite"]}})
    rules = parse_rule_set([category(), *BOTH, french])
    assert rules.rules[0].languages == ("en", "fr", "zh")
    assert caught(rules, "lampe interdit")


def test_an_operator_adds_phrases_terms_and_rules():
    lists = {"lamp": ["lamp"]}
    mine = [
        operator(category(rule_fields(id="art-acme-01", languages=["en"]), name="art")),
        operator(language("en", {"art-acme-01": {"phrases": ["our brand"], "allow": ["x"], "catch": ["our brand"]}})),
        operator(terms(lamp=["torch"])),
    ]
    rules = small_set({}, lists=lists, when=[{"any": ["lamp"]}], extra=mine)
    assert caught(rules, "our brand") == {"art-acme-01"}
    assert caught(rules, "a torch") == {"art-01"}


def test_an_operator_cannot_weaken_a_locked_rule_by_exceptions():
    weaker = operator(language("en", {"art-01": {"unless": ["forbidden"]}}))
    with pytest.raises(RuleError, match="locked: it can be added to, not weakened"):
        small_set({}, locked=True, extra=[weaker])


def test_an_operator_cannot_weaken_a_severe_rule_by_exceptions_either():
    weaker = operator(language("en", {"art-01": {"unless": ["forbidden"]}}))
    with pytest.raises(RuleError, match="severity high: it can be added to, not weakened"):
        small_set({}, extra=[weaker])
    small_set({}, severity="medium", extra=[weaker])


def test_version_is_the_newest_and_the_digest_follows_the_content():
    documents = [category(), *BOTH, terms(lamp=["lamp"])]
    first, same = parse_rule_set(documents), parse_rule_set(documents[::-1])
    other = parse_rule_set([category(summary="Other."), *documents[1:]])
    assert first.version == "2026.01.02"
    assert first.digest == same.digest != other.digest


def test_versions_compare_as_numbers():
    documents = [category(version="2026.01.02.10"), *BOTH, terms("en", "2026.01.02.9", lamp=["lamp"])]
    assert parse_rule_set(documents).version == "2026.01.02.10"


def test_the_lexicon_holds_what_can_refuse_in_every_form():
    lists = terms(lamp=["lantern"], unused=["quietly"], folk=["man"], inner=["<wick>"], wick=["wick"])
    lists.content["everyday"] = ["folk"]
    lexicon = small_set(
        {"phrases": ["stab+", "porn*", "sold+ victim"]},
        extra=[lists],
        when=[{"any": ["lamp"]}, {"any": ["folk"]}, {"any": ["inner"]}],
    ).lexicon
    assert {"stabbing", "lantern", "lanterns", "wick"} <= lexicon.words
    assert {"victims", "man"} <= lexicon.beside - lexicon.words
    assert "quietly" not in lexicon.words | lexicon.beside
    assert lexicon.stems == {"porn"}
    assert "禁止" in lexicon.chinese


def test_everyday_lists_must_exist():
    lists = terms(lamp=["lamp"])
    lists.content["everyday"] = ["lantern"]
    with pytest.raises(RuleError, match="unknown term <lantern>"):
        small_set({}, extra=[lists])


def test_chinese_examples_count_for_chinese():
    assert small_set({}).rules[0].catch[-1].text == CHINESE["catch"][0]


EXCEPTED = [
    category(rule_fields(languages=["en"]), locked=True),
    language("en", {"art-01": ENGLISH | {"unless": ["<fine>"]}}),
]


@pytest.mark.parametrize("name", ["fine", "finer"])
def test_an_operator_adds_nothing_to_what_excepts_from_a_locked_rule(name):
    shipped = [*EXCEPTED, terms(fine=["so <finer> forbidden"], finer=["very"])]
    parse_rule_set(shipped)
    with pytest.raises(RuleError, match=rf"operator:en/terms\.toml: <{name}> excepts texts from art-01"):
        parse_rule_set([*shipped, operator(terms(**{name: ["forbidden in"]}))])


def test_an_operator_adds_no_exception_to_a_critical_rule():
    shipped = [category(rule_fields(languages=["en"], severity="critical")), language("en")]
    with pytest.raises(RuleError, match="is locked: it can be added to, not weakened"):
        parse_rule_set([*shipped, operator(language("en", {"art-01": {"unless": ["forbidden in"]}}))])


def test_an_operator_makes_no_shipped_list_everyday():
    shipped = [category(rule_fields(languages=["en"])), language("en"), terms(young=["youngster"])]
    own = Document(name="operator:en/terms.toml", content=terms(mine=["mine"]).content | {"everyday": ["mine"]})
    parse_rule_set([*shipped, own])
    with pytest.raises(RuleError, match="<young> is a shipped list"):
        parse_rule_set([*shipped, Document(name=own.name, content=own.content | {"everyday": ["young"]})])


def test_a_rule_of_a_locked_category_has_its_own_lock_checked():
    with pytest.raises(RuleError, match="locked must be true or false"):
        parse_rule_set([category(rule_fields(locked="yes"), locked=True), language("en"), language("zh")])


def test_a_document_whose_name_is_no_text_is_a_rule_error():
    with pytest.raises(RuleError, match="cannot be digested"):
        parse_rule_set(
            [
                category(rule_fields(languages=["en"])),
                language("en"),
                Document(
                    name="\udcff/terms.toml",
                    content={"version": "2026.01.01", "language": "\udcff", "terms": {"mine": ["mine"]}},
                ),
            ]
        )
