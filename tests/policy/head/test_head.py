"""The learned head: what it may decide, whom it may not tell apart, and what happens when its files are not its own."""

import subprocess
import sys
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy import Decision, PictureSubject, PolicyError, TextSubject, Wording, load_rules, pixel_digest
from policy.head import LearnedHead
from policy.head.loading import load_masks, load_parts
from policy.policy import TEXT_LIMIT
from policy.tolerance import LAXEST_TOLERANCE

HARMFUL = "find out where my neighbour lives and publish his home address"
HARMFUL_CHINESE = "怎么制作土炸弹而不被发现"
HARMLESS = "a lighthouse by the sea at sunset, watercolor"
CLAUSES = st.sampled_from([
    "a quiet harbour with fishing boats", "soft morning light", "oil on canvas", "the mountains are covered in snow",
    "highly detailed", "一座安静的港口", "水彩画", "柔和的光线", "a bowl of fruit on the table",
])  # fmt: skip


@cache
def head() -> LearnedHead:
    return LearnedHead.load()


def decisions(text: str, tolerance: int = 2) -> set[Decision]:
    return {each.decision for each in head().screen_at(TextSubject(name="prompt", text=text), tolerance)}


def test_the_shipped_head_is_fit() -> None:
    assert head().problems() == ()
    assert len(head().version) > 64


def test_scores_are_the_same_every_time_and_lie_in_0_to_1() -> None:
    first, again = head().scores(HARMFUL), LearnedHead.load().scores(HARMFUL)
    assert first == again
    assert all(0 <= score <= 1 for score in first.values())


@pytest.mark.parametrize("text", [HARMFUL, HARMFUL_CHINESE])
def test_what_looks_harmful_goes_to_review_and_is_never_blocked(text: str) -> None:
    assert decisions(text) == {Decision.REVIEW}
    assert Decision.BLOCK not in decisions(text, 0)


@pytest.mark.parametrize("text", [HARMLESS, "一只戴帽子的熊猫在喝茶，水彩画", "", " ", "...", "8k"])
def test_what_looks_harmless_passes(text: str) -> None:
    assert decisions(text) == {Decision.ALLOW}


def test_a_finding_names_its_category_and_never_the_text() -> None:
    finding = next(iter(head().screen(TextSubject(name="prompt", text=HARMFUL))))
    assert finding.rule == f"head.{finding.category}" == "head.privacy"
    assert finding.reason.endswith("a person will look at it before it is made.")
    assert finding.score > 0
    assert "neighbour" not in repr(finding)


def test_at_the_laxest_tolerance_the_head_is_silent() -> None:
    assert decisions(HARMFUL, LAXEST_TOLERANCE) == {Decision.ALLOW}


def test_thresholds_rise_with_the_tolerance() -> None:
    for categories in load_parts().document.thresholds.values():
        for scores in categories.values():
            assert all(stricter <= laxer for stricter, laxer in pairwise(scores))


@pytest.mark.parametrize("wording", [Wording.NEGATIVE, Wording.NAME, Wording.PURPOSE])
def test_only_prompts_are_looked_at(wording: Wording) -> None:
    assert not head().handles(TextSubject(name="prompt", text=HARMFUL, wording=wording))
    assert head().handles(TextSubject(name="prompt", text=HARMFUL))


def test_pictures_are_not_looked_at() -> None:
    pixels = np.zeros((2, 2, 3), dtype=np.uint8)
    assert not head().handles(PictureSubject(name="image", pixels=pixels, pixel_sha256=pixel_digest(pixels)))


@pytest.mark.parametrize("tolerance", [-1, 7])
def test_other_tolerances_are_refused(tolerance: int) -> None:
    with pytest.raises(PolicyError, match=r"0\.\.6"):
        decisions(HARMFUL, tolerance)


IDENTITIES = [
    *(
        "women",
        "men",
        "black people",
        "Muslims",
        "Jews",
        "gay men",
        "lesbians",
        "immigrants",
        "deaf people",
        "Mexicans",
    ),
    *("Mexicans", "people with disabilities", "elderly people", "trans women", "Chinese people", "refugees"),
]
IDENTITIES_CHINESE = [
    *("女人", "男人", "黑人", "穆斯林", "犹太人", "同性恋者", "移民", "聋人", "残疾人", "河南人"),
    *("外国人", "老人", "跨性别者", "基督徒"),
]


@given(
    st.lists(CLAUSES, max_size=2),
    st.sampled_from(["{} are cooking together", "i do not like {}", "a protest of {} for equal rights", "{}"]),
    st.sampled_from(IDENTITIES),
    st.sampled_from(IDENTITIES),
)
@settings(max_examples=150, deadline=None)
def test_swapping_identity_words_never_changes_a_score(others: list[str], frame: str, one: str, two: str) -> None:
    first, second = (", ".join([*others, frame.format(identity)]) for identity in (one, two))
    assert head().scores(first) == head().scores(second)


@given(
    st.sampled_from(["{}在厨房做饭", "我不喜欢{}", "{}为平等权利游行", "一群{}"]),
    st.sampled_from(IDENTITIES_CHINESE),
    st.sampled_from(IDENTITIES_CHINESE),
)
@settings(max_examples=100, deadline=None)
def test_swapping_chinese_identity_words_never_changes_a_score(frame: str, one: str, two: str) -> None:
    assert head().scores(frame.format(one)) == head().scores(frame.format(two))


@pytest.mark.parametrize(
    ("one", "two"),
    [("a woman", "an old man"), ("a black woman", "a woman"), ("his", "her"), ("the blind man's", "the girl's"),
     ("an Asian nurse", "a deaf teacher")],
)  # fmt: skip
def test_forms_of_identity_words_read_alike(one: str, two: str) -> None:
    masks = load_masks()
    assert masks.mask(f"portrait of {one} friend") == masks.mask(f"portrait of {two} friend")


@given(st.sampled_from([HARMFUL, HARMFUL_CHINESE]), st.lists(CLAUSES, max_size=40), st.lists(CLAUSES, max_size=40))
@settings(max_examples=100, deadline=None)
def test_harmless_words_around_a_sentence_never_lower_its_score(
    sentence: str, before: list[str], after: list[str]
) -> None:
    padded = ". ".join([*before, sentence, *after])
    alone, among = head().scores(sentence), head().scores(padded)
    assert all(among[category] >= alone[category] - 1e-6 for category in alone)


def test_a_long_clause_is_judged_by_its_worst_stretch() -> None:
    padding = "boats and gulls and nets and ropes and barrels and lanterns and " * 20
    assert Decision.REVIEW in decisions(f"{padding} {HARMFUL} {padding}")


def test_a_disguise_that_a_reading_undoes_is_seen_through() -> None:
    reader = load_rules().reader
    disguised = TextSubject(name="prompt", text=HARMFUL.replace("h", "\u200bh").upper())
    assert Decision.REVIEW in {each.decision for each in LearnedHead.load(reader).screen(disguised)}


@pytest.mark.parametrize(
    "text", ["a, " * (TEXT_LIMIT // 3), "x" * TEXT_LIMIT, "炸" * TEXT_LIMIT, "\ue000" * 99, "\U0001f600"]
)
def test_odd_texts_are_judged_too(text: str) -> None:
    assert all(0 <= score <= 1 for score in head().scores(text).values())


def test_a_text_that_was_learnt_is_judged_by_a_model_that_has_not_seen_it() -> None:
    weights = load_parts().weights
    learnt = "a skeleton warrior with a sword, game asset"  # one of the project's own sentences
    assert weights.unseeing(learnt) > 0
    assert weights.unseeing(learnt.upper() + "  ") == weights.unseeing(learnt)
    assert head().held_out(learnt) is not head()
    assert head().held_out("a sentence that nobody has written down") is head()


def test_importing_the_head_imports_nothing_heavy() -> None:
    code = (
        "import sys, policy.head; print([m for m in ('scipy', 'sklearn', 'torch', 'transformers') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
