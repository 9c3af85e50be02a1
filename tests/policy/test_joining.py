import pytest

from policy import Decision, Policy, RuleError, TextSubject, Wording
from policy.joining import JOINED, JOINED_IN_TURNS, JOINED_TIGHTLY, JOINED_WITH_NEGATIVE, WISH
from tests.policy.documents import operator, small_set, terms

LISTS = terms(young=["youngster"], bare=["bare", "naked"], covering=["clothes", "censored"])
PAIR = [{"all": ["young", "bare"]}]
CRITICAL = small_set({"phrases": ["forbidden lamp"]}, extra=[LISTS], severity="critical", when=PAIR)
HIGH = small_set({"phrases": ["forbidden lamp"]}, extra=[LISTS], when=PAIR)


def found(rule_set, *texts):
    verdict = Policy(rule_set, []).screen(texts)
    return verdict.decision, {f.subject for f in verdict.findings if f.rule == "art-01"}


def prompt(text, name="prompt", wording=Wording.PROMPT, **fields):
    return TextSubject(name=name, text=text, wording=wording, **fields)


def negative(text):
    return prompt(text, "negative_prompt", Wording.NEGATIVE)


def test_what_is_split_over_texts_is_found_in_all_of_them_together():
    decision, subjects = found(HIGH, prompt("a youngster"), prompt("naked", "prompt_2"))
    assert (decision, JOINED in subjects) == (Decision.BLOCK, True)


def test_a_word_split_over_texts_is_found_too():
    decision, subjects = found(HIGH, prompt("a forbid"), prompt("den lamp", "prompt_2"))
    assert (decision, subjects) == (Decision.BLOCK, {JOINED_TIGHTLY})


def test_a_name_of_a_file_counts_with_the_prompt():
    decision, _ = found(HIGH, prompt("a youngster"), prompt("naked", "loras[0]", Wording.NAME))
    assert decision is Decision.BLOCK


def test_an_alternative_reading_is_not_joined_again():
    decision, _ = found(HIGH, prompt("a youngster"), prompt("naked", "prompt as read", alternative=True))
    assert decision is Decision.ALLOW


def test_a_purpose_is_not_joined():
    decision, _ = found(HIGH, prompt("a youngster"), prompt("naked", "purpose", Wording.PURPOSE))
    assert decision is Decision.ALLOW


@pytest.mark.parametrize("rule_set", [HIGH, CRITICAL])
def test_a_negative_prompt_by_itself_refuses_nothing_and_leaves_a_note(rule_set):
    decision, subjects = found(rule_set, prompt("a street"), negative("forbidden lamp, naked youngster"))
    assert (decision, subjects) == (Decision.ALLOW, {"negative_prompt"})


def test_a_note_says_nothing_to_the_caller():
    verdict = Policy(HIGH, []).screen([prompt("a street"), negative("forbidden lamp")])
    assert verdict.notices == verdict.reasons == ()


def test_a_critical_rule_counts_the_prompt_and_the_negative_prompt_together():
    assert found(CRITICAL, prompt("a youngster"), negative("naked")) == (Decision.BLOCK, {JOINED_WITH_NEGATIVE})
    assert found(HIGH, prompt("a youngster"), negative("naked"))[0] is Decision.ALLOW


def test_a_phrase_that_goes_on_in_the_negative_prompt_counts_for_every_rule():
    decision, subjects = found(HIGH, prompt("this is a forbidden"), negative("lamp, blurry"))
    assert (decision, subjects) == (Decision.BLOCK, {JOINED_WITH_NEGATIVE})


@pytest.mark.parametrize(
    "text", ["clothes", "blurry, clothes, ugly", "CENSORED", "not bare", "no naked skin", "without bare"]
)
def test_what_a_negative_prompt_asks_for_is_read_as_a_wish(text):
    decision, subjects = found(HIGH, prompt("a youngster"), negative(text))
    assert (decision, WISH in subjects) == (Decision.BLOCK, True)


@pytest.mark.parametrize("text", ["torn clothes", "ugly, blurry", "clothes of wool", "knot bare"])
def test_an_ordinary_negative_prompt_is_no_wish(text):
    assert found(HIGH, prompt("a youngster"), negative(text))[0] is Decision.ALLOW


@pytest.mark.parametrize(
    "text",
    [
        "(clothes:1.5)",
        "((clothes))",
        "clothes:1.4",
        "[clothes], bad hands",
        '"clothes"',
        "clothes!",
        "cl0thes",
        "ｃｌｏｔｈｅｓ",
        "clothes BREAK blur",
        "clothes and shoes",
        "blur | clothes",
        "**clothes**",
    ],
)
def test_a_weight_or_a_disguise_does_not_hide_the_covering_that_is_unwanted(text):
    assert found(CRITICAL, prompt("a youngster"), negative(text)) == (Decision.BLOCK, {WISH})
    assert found(CRITICAL, prompt("a street"), negative(text))[0] is Decision.ALLOW


UNWANTED = terms(young=["youngster"], bare=["bare", "naked"], unwanted=["naked", "youngster"])
CAREFUL = small_set({}, extra=[UNWANTED], severity="critical", when=PAIR)


@pytest.mark.parametrize("text", ["naked", "blurry, naked, ugly", "(naked:1.4), youngster", "NAKED | text"])
def test_asking_for_less_of_what_nobody_wants_is_no_split_text(text):
    assert found(CAREFUL, prompt("a youngster"), negative(text))[0] is Decision.ALLOW


@pytest.mark.parametrize("text", ["bare", "naked on a bed", "blurry, all naked", "wholly\nbare"])
def test_anything_else_in_a_negative_prompt_still_counts_for_a_critical_rule(text):
    assert found(CAREFUL, prompt("a youngster"), negative(text))[0] is Decision.BLOCK


def test_no_operator_adds_to_what_a_negative_prompt_may_name():
    with pytest.raises(RuleError, match="<unwanted> excepts texts from art-01, which is locked"):
        small_set({}, extra=[UNWANTED, operator(terms(unwanted=["bare"]))], severity="critical", when=PAIR)


def test_less_censoring_is_a_wish_to_see_all_but_not_nakedness():
    lists = terms(young=["youngster"], bare=["naked"], shown=["uncensored"], covering=["clothes"], censoring=["mosaic"])
    naked = small_set({}, extra=[lists], when=[{"all": ["young", "bare"]}])
    shown = small_set({}, extra=[lists], when=[{"all": ["young", "shown"]}])
    asked = prompt("a youngster"), negative("blurry, mosaic")
    assert found(naked, *asked)[0] is Decision.ALLOW
    assert found(shown, *asked) == (Decision.BLOCK, {WISH})


def test_words_given_to_two_texts_in_turns_are_found():
    decision, subjects = found(HIGH, prompt("lamp that shines"), prompt("one forbidden thing", "prompt_2"))
    assert decision is Decision.ALLOW
    decision, subjects = found(HIGH, prompt("this forbidden thing"), prompt("is lamp bright", "prompt_2"))
    assert (decision, subjects) == (Decision.BLOCK, {JOINED_IN_TURNS})
