import pytest

from policy.matching import AllOf, AnyOf, Counts, ReadText, TwoOf
from policy.patterns import Pattern

LAMP = Pattern([r"\blamp\b"], where="here")
OIL = Pattern([r"\boil\b", "油"], where="here")
ALL = Counts()


def stretches(condition, text):
    read = ReadText(text.encode())
    return [read.raw[start:end].decode() for start, end in condition.spans_in(read, ALL)]


def test_spans_are_found_once_and_remembered():
    read = ReadText(b"lamp lamp")
    assert read.spans(LAMP) is read.spans(LAMP)
    assert [tuple(span) for span in read.spans(LAMP)] == [(0, 4), (5, 9)]


def test_blanking_moves_nothing():
    read = ReadText(b"a lamp of oil")
    assert read.without(LAMP).raw == b"a      of oil"
    assert read.without(Pattern(["zzz"], where="here")) is read
    assert read.without(LAMP) is read.without(LAMP)


def test_the_nearest_occurrences_stand_together():
    text = "oil" + " " * 200 + "a lamp with oil" + " " * 200 + "lamp"
    assert stretches(AllOf((LAMP, OIL), 12), text) == ["lamp", "oil"]
    assert stretches(AllOf((LAMP, OIL), 2), text) == []
    assert stretches(AllOf((LAMP, OIL)), text) == ["oil", "lamp", "oil", "lamp"]


def test_three_lists_stand_together_only_if_all_are_near():
    wick = Pattern([r"\bwick\b"], where="here")
    assert stretches(AllOf((LAMP, OIL, wick), 20), "lamp, oil and a wick") == ["lamp", "oil", "wick"]
    assert stretches(AllOf((LAMP, OIL, wick), 20), "lamp and oil, many words later a wick") == []


def test_a_chinese_character_counts_three_bytes():
    assert stretches(AllOf((LAMP, OIL), 6), "lamp灯灯油") == ["lamp", "油"]
    assert stretches(AllOf((LAMP, OIL), 5), "lamp灯灯油") == []


def test_plurals_are_not_two_different_terms():
    either = Pattern([r"\blamps?\b", r"\boil\b"], where="here")
    assert stretches(TwoOf(either), "lamp and lamps") == []
    assert stretches(TwoOf(either), "lamp and oil") == ["lamp", "oil"]
    assert stretches(AnyOf(either), "lamp and lamps") == ["lamp", "lamps"]


@pytest.mark.parametrize(
    "text", ["kiss, kissing", "kisses and kissed", "a body of bodies", "Barack Obama, Obama", "lap laps"]
)
def test_forms_and_parts_of_a_term_are_no_second_one(text):
    words = Pattern([r"\b(?:kiss(?:es|ed|ing)?|bod(?:y|ies)|(?:barack )?obama|laps?|lamp)\b"], where="here")
    assert stretches(TwoOf(words), text) == []
    assert len(stretches(TwoOf(words), f"{text} lamp")) > 1


def test_of_three_lists_the_nearest_is_not_always_the_one_that_stands_with_the_others():
    wick = Pattern([r"\bwick\b"], where="here")
    text = "oil          lamp          wick oil"
    assert stretches(AllOf((LAMP, OIL, wick), 20), text) == ["lamp", "wick", "oil"]
    assert stretches(AllOf((LAMP, OIL, wick), 14), text) == []


def test_a_word_of_both_lists_does_not_stand_beside_itself():
    either = Pattern([r"\blick(?:ing)?\b", r"\blamp\b"], where="here")
    lick = Pattern([r"\blick(?:ing)?\b"], where="here")
    for within in (None, 40):
        assert stretches(AllOf((lick, either), within), "licking ice, lick") == []
        assert stretches(AllOf((lick, either), within), "licking a lamp") == ["licking", "lamp"]
