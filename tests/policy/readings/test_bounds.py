"""Whatever is written: few readings, no two alike, none long, every span of them leading back, in linear time."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.readings import Reader, Span
from policy.readings.reader import MOST_GROWTH, MOST_READINGS
from tests.policy.readings.test_disguises import CHINESE, ENGLISH
from tests.policy.readings.words import LEXICON

READER = Reader(LEXICON)
PIECES = st.sampled_from(
    [*ENGLISH.values(), *CHINESE.values(), " ", "a", "(", ")", "*", "&#", "\\u", '"', "=", "+", "女", "\ufdfa"]
)


def canonical_of(text: str) -> str:
    return next((each.text for each in READER.read(text) if each.name == "canonical"), text)


TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=8).map("".join),
    st.text(alphabet="nakedwxo.* -_031:()[]\"'+=;&#%\\/|<>u{}色情女干裸 ", max_size=60),
)


@settings(max_examples=250, deadline=None)
@given(text=TEXTS, data=st.data())
def test_every_span_of_every_reading_lies_in_the_original(text: str, data: st.DataObject) -> None:
    readings = READER.read(text)
    assert readings[0].text == text
    assert len({reading.text for reading in readings}) == len(readings) <= MOST_READINGS
    for reading in readings:
        assert len(reading.text) <= MOST_GROWTH * max(len(text), len(canonical_of(text)), 1)
        start = data.draw(st.integers(0, len(reading.text)))
        end = data.draw(st.integers(start, len(reading.text)))
        origin = reading.origin(Span(start, end))
        assert 0 <= origin.start <= origin.end <= len(text)
        assert reading.origin(Span(0, len(reading.text))).end <= len(text)


@settings(max_examples=30, deadline=None)
@given(text=TEXTS)
def test_reading_is_deterministic(text: str) -> None:
    again = Reader(LEXICON)
    assert [(r.name, r.text, r.edits) for r in READER.read(text)] == [
        (r.name, r.text, r.edits) for r in again.read(text)
    ]


@settings(max_examples=100, deadline=None)
@given(text=TEXTS)
def test_no_reading_holds_a_surrogate_or_a_nul_that_was_not_written(text: str) -> None:
    for reading in READER.read(text):
        reading.text.encode()
        assert "\0" not in reading.text or "\0" in text


WORST = {
    "one long word": "x", "words as one": "nakedgirl", "doubled letters": "aabb",
    "spaced": "n a k e d ", "junk spaced": "x q z ", "stars": "*", "starred": "a*b ",
    "brackets": "(a", "opening": "(", "weights": "(wea:1.3)(pon:1.2)", "colons": ": : ",
    "quotes": '"nak" + "ed" ', "open quotes": '"a', "sums": "a+b+",
    "assigned": 'a = "nak"; b = "ed"; a+b ', "base64": "bmFrZWQ= ", "hex": "6e 61 6b ",
    "percent": "%6e", "HTML": "&#110;", "ampersands": "&", "escapes": "\\u006e", "bits": "01",
    "numbers": "110 97 ", "dots": ".", "hyphens": "-", "leetspeak": "1l1i1l1!1 ",
    "long leetspeak": "a1", "drawn": "/\\|)", "marks": "n\u0301\u0302", "invisible": "n\u200b",
    "Chinese": "一个美丽的女孩在公园里散步", "gaps": "色-情.", "split": "女干强女干", "mixed": "nv人 se qing ",
    "pinyin": "xian", "glued pinyin": "seqing", "tags": "<lora:", "angles": "<b ", "links": "](",
    "apostrophes": "a'", "spaces": " ", "underscores": "a_b", "ligatures": "\ufdfa", "emoji": "n😀",
    "terms": "炸弹裸体毒品同性恋恐怖分子",
}  # fmt: skip


def seconds(text: str) -> float:
    """Return the processor time that one reading takes, the best of three."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        READER.read(text)
        best = min(best, time.process_time() - start)
    return best


@pytest.mark.parametrize("unit", WORST.values(), ids=WORST.keys())
def test_the_longest_texts_are_read_in_linear_time(unit: str) -> None:
    whole = (unit * 4000)[:4000]
    assert seconds(whole) < 4.0 * seconds(whole[:2000]) + 0.01  # twice in theory; a square would be four times and more
    assert seconds(whole) < 0.25  # 0.05 on a quiet machine


def test_an_ordinary_prompt_costs_little() -> None:
    prompt = (
        "portrait of an old sailor with a weathered face, oil on canvas, dramatic light, by the sea, 8k, detailed, "
    )
    assert seconds(prompt * 3) < 0.004
