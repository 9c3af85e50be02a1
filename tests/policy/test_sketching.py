"""Sketches: prompts that say nearly the same have nearly the same numbers, and the numbers say nothing."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import combinations
from statistics import median

import numpy as np
import pytest

from policy import PictureSubject, RuleSet, Subject, TextSubject, Wording, load_rules, pixel_digest
from policy.sketching import Sketcher
from policy.volume import DISTANCE, FURTHEST, Sketch

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BRIDGE = "a smiling crowd of citizens with signs that say vote for the new bridge, bright daylight, newspaper photo"
CHINESE = "一群市民举着支持新大桥的标语，阳光明媚，新闻照片"


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules()


@pytest.fixture(scope="module")
def sketcher(rules: RuleSet) -> Sketcher:
    return Sketcher(rules, b"s" * 32)


def prompt(text: str) -> TextSubject:
    return TextSubject(name="prompt", text=text)


def picture(name: str, level: int = 0) -> PictureSubject:
    pixels = np.full((2, 2, 3), level, np.uint8)
    return PictureSubject(name=name, pixels=pixels, pixel_sha256=pixel_digest(pixels))


def drawn(sketcher: Sketcher, *subjects: Subject | str) -> Sketch:
    sketch = sketcher.sketch([prompt(each) if isinstance(each, str) else each for each in subjects], NOW)
    assert sketch is not None
    return sketch


def apart(sketcher: Sketcher, one: str, other: str) -> int:
    first, second = drawn(sketcher, one).prompt, drawn(sketcher, other).prompt
    assert first is not None
    assert second is not None
    return (first ^ second).bit_count()


@pytest.mark.parametrize("text", [BRIDGE, CHINESE])
@pytest.mark.parametrize(
    "change", [str.upper, lambda t: t + "!! #12", lambda t: t.replace(" ", "  "), lambda t: f"7 {t}"]
)
def test_case_signs_and_numbers_make_no_other_prompt(sketcher: Sketcher, text: str, change: object) -> None:
    assert apart(sketcher, text, change(text)) == 0  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BRIDGE.replace("bridge", "{}"), ("bridge", "tunnel", "school", "park", "mayor", "road")),
        (CHINESE.replace("大桥", "{}"), ("大桥", "隧道", "学校", "公园", "道路", "医院")),
        ("a watercolor icon of a {}, white background, game asset", ("fox", "castle", "bear", "sword", "boat", "tree")),
    ],
)
def test_a_template_with_other_words_in_it_is_near_but_not_the_same(
    sketcher: Sketcher, rules: RuleSet, text: str, words: Sequence[str]
) -> None:
    """A set of icons is honest work; a flood of slogans is counted by the rule that is about such."""
    distances = [apart(sketcher, text.format(one), text.format(other)) for one, other in combinations(words, 2)]
    (wide,) = {rule.distance for rule in rules.volume if rule.about}
    assert min(distances) > DISTANCE
    assert median(distances) <= wide


@pytest.mark.parametrize(
    "other",
    ["a red circle on sand", "a portrait of a fox in the style of an old botanical print", "一只猫在草地上睡觉"],
)
def test_other_prompts_are_far(sketcher: Sketcher, other: str) -> None:
    assert apart(sketcher, BRIDGE, other) > FURTHEST


def test_without_the_secret_the_numbers_are_others(rules: RuleSet, sketcher: Sketcher) -> None:
    person = f"{BRIDGE} and Taylor Swift"
    one, other = drawn(sketcher, person), drawn(Sketcher(rules, b"t" * 32), person)
    assert one.prompt is not None
    assert other.prompt is not None
    assert (one.prompt ^ other.prompt).bit_count() > 16
    assert one.likenesses.isdisjoint(other.likenesses)
    assert (
        drawn(sketcher, person, picture("image")).pictures
        != drawn(Sketcher(rules, b"t" * 32), person, picture("image")).pictures
    )
    with pytest.raises(ValueError, match="at least 32 bytes, got 3"):
        Sketcher(rules, b"abc")


@pytest.mark.parametrize(
    ("text", "people"),
    [
        ("a fox in the snow", 0),
        ("a mayor opens a school, with a judge and a diplomat", 0),
        ("Taylor Swift in a garden", 1),
        ("taylor swift, TAYLOR SWIFT and Taylor Swift's guitar", 1),
        ("Leonardo DiCaprio, and DiCaprio's hat", 1),
        ("Emma Watson beside Emma Stone", 2),
        ("马斯克和泰勒斯威夫特在公园", 2),
        ("my neighbour and my boss", 2),
    ],
)
def test_people_are_counted_once_by_name_and_offices_are_nobody(sketcher: Sketcher, text: str, people: int) -> None:
    assert len(drawn(sketcher, text).likenesses) == people


def test_whoever_is_in_the_picture_is_told_apart_by_the_picture(sketcher: Sketcher) -> None:
    words = "put a hat on the woman in this photo"
    first, again, other = (drawn(sketcher, words, picture("image", level)) for level in (1, 1, 2))
    assert first.likenesses == again.likenesses != other.likenesses
    assert len(first.likenesses | other.likenesses) == 2
    assert drawn(sketcher, "remove the background", picture("image")).likenesses == frozenset()


def test_the_mask_is_no_part_of_what_is_shown(sketcher: Sketcher) -> None:
    words = "a hat"
    plain = drawn(sketcher, words).pictures
    assert plain is None
    assert drawn(sketcher, words, picture("mask", 3)).pictures is None
    with_one, with_other = (drawn(sketcher, words, picture("image"), picture("mask", level)) for level in (3, 4))
    assert with_one.pictures == with_other.pictures != None  # noqa: E711 - a chain


def test_names_of_files_depict_somebody_and_negative_prompts_and_purposes_do_not(sketcher: Sketcher) -> None:
    def likenesses(wording: Wording) -> int:
        return len(drawn(sketcher, "a hat", TextSubject(name="x", text="taylor swift", wording=wording)).likenesses)

    assert [likenesses(each) for each in (Wording.NAME, Wording.NEGATIVE, Wording.PURPOSE)] == [1, 0, 0]


def test_topics_are_those_that_the_volume_rules_ask_for(sketcher: Sketcher, rules: RuleSet) -> None:
    asked = {name for rule in rules.volume for name in rule.about}
    assert drawn(sketcher, BRIDGE).topics == {"vote_process", "public_opinion"} & asked
    assert drawn(sketcher, "a discount banner for a shoe shop").topics == frozenset()


@pytest.mark.parametrize("subjects", [[], [prompt("")], [prompt("2026 ... !!")], [picture("image")]])
def test_nothing_said_is_no_sketch(sketcher: Sketcher, subjects: Sequence[Subject]) -> None:
    assert sketcher.sketch(subjects, NOW) is None
