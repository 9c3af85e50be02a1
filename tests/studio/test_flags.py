"""Flags in prompts, aspect ratios, and what of a weighted prompt the policy sees."""

import pytest

from editing import OperationError
from editing.prompts import texts_seen
from policy import Decision, Policy, TextSubject
from studio.jobs.flags import parse_ratio, settle_size, size_for, take_flags


def code_of(*arguments: object) -> str:
    with pytest.raises(OperationError) as raised:
        take_flags(*arguments)
    return raised.value.code


@pytest.mark.parametrize(
    "prompt",
    ["", "a cat", "a cat  ", "rock -- paper -- scissors", "well-known", "a --seed 7 cat", "the --ar option of a tool",
     "a \u2013 no, two", "ratio 16:9", "x--ar 16:9"],
)  # fmt: skip
def test_a_prompt_without_flags_stays_as_it_is_to_the_character(prompt: str) -> None:
    assert take_flags("generate", prompt, {"n": 1}) == (prompt, {"n": 1})


@pytest.mark.parametrize(
    "flag", ["--ar 16:9", "--aspect 16:9", "--AR 16:9", "--ar=16:9", "--ar16:9", "\u2014ar 16:9", "--ar 16:09 "]
)
def test_an_aspect_ratio_is_always_understood(flag: str) -> None:
    assert take_flags("generate", f"a (red:1.2) cat {flag}", {}) == ("a (red:1.2) cat", {"aspect_ratio": "16:9"})


def test_other_flags_are_understood_only_when_asked_for() -> None:
    prompt = "a cat --ar 3:2 --seed 7 --steps 20 --no dogs, cars --no fog"
    assert take_flags("instruct", prompt, {"n": 1}, True) == (
        "a cat",
        {"n": 1, "aspect_ratio": "3:2", "seed": 7, "steps": 20, "negative_prompt": "dogs, cars, fog"},
    )
    assert take_flags("instruct", prompt, {}) == (
        "a cat --seed 7 --steps 20 --no dogs, cars --no fog",
        {"aspect_ratio": "3:2"},
    )


@pytest.mark.parametrize("value", ["16x9", "16/9", "0:1", "9:1", "65:64", "1:9", "wide", "", "16:9)", "1.5:1", "1:2:3"])
def test_an_unknown_ratio_is_refused_with_examples(value: str) -> None:
    with pytest.raises(OperationError) as raised:
        take_flags("generate", f"a cat --ar {value}", {})
    assert raised.value.code == "aspect_ratio_unknown"
    assert "16:9" in raised.value.limit


@pytest.mark.parametrize("operation", ["img2img", "inpaint", "outpaint", "erase"])
def test_a_ratio_is_refused_where_the_picture_has_a_size(operation: str) -> None:
    assert code_of(operation, "a cat --ar 16:9", {}) == "prompt_flag_unsupported"
    with pytest.raises(OperationError) as raised:
        settle_size(operation, {"aspect_ratio": "16:9"}, 1024**2, 2048**2)
    assert raised.value.code == "prompt_flag_unsupported"


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ("a cat --stylize 100", "prompt_flag_unknown"),
        ("a cat --seed", "prompt_flag_value_invalid"),
        ("a cat --seed -1", "prompt_flag_value_invalid"),
        ("a cat --seed ٣", "prompt_flag_value_invalid"),
        ("a cat --steps 1e3", "prompt_flag_value_invalid"),
        ("a cat --seed " + "9" * 5000, "prompt_flag_value_invalid"),
        ("a cat --no", "prompt_flag_value_invalid"),
        ("a cat --seed 7 on a chair", "prompt_flag_misplaced"),
        ("a cat --seed 7 --seed 8", "prompt_flag_conflict"),
    ],
)
def test_what_cannot_be_understood_is_refused(prompt: str, code: str) -> None:
    assert code_of("generate", prompt, {}, True) == code


def test_a_ratio_before_other_words_is_refused_and_not_painted() -> None:
    assert code_of("generate", "a cat --ar 16:9 on a chair", {}) == "prompt_flag_misplaced"


@pytest.mark.parametrize(
    ("flag", "field", "same", "other"),
    [("--seed 7", "seed", 7, 8), ("--seed 7", "seed", "7", "70"), ("--steps 20", "steps", 20, 21),
     ("--no fog", "negative_prompt", "fog", "rain"), ("--ar 16:9", "aspect_ratio", "32:18", "4:3")],
)  # fmt: skip
def test_a_flag_and_a_field_say_the_same_or_are_refused(flag: str, field: str, same: object, other: object) -> None:
    assert take_flags("generate", f"a cat {flag}", {field: same}, True) == ("a cat", {field: same})
    with pytest.raises(OperationError) as raised:
        take_flags("generate", f"a cat {flag}", {field: other}, True)
    assert (raised.value.code, raised.value.field) == ("prompt_flag_conflict", field)
    assert "rain" not in str(raised.value)


def test_an_operation_without_a_prompt_has_no_flags() -> None:
    assert take_flags("erase", None, {"seed": 1}, True) == (None, {"seed": 1})


@pytest.mark.parametrize("native", [128**2, 1024**2])
@pytest.mark.parametrize("ratio", ["1:1", "3:2", "4:3", "16:9", "21:9", "9:16", "1:8", "8:1", "64:63"])
def test_a_ratio_gives_a_size_of_about_the_native_area(ratio: str, native: int) -> None:
    width, height = size_for(ratio, native, 2 * native)
    wide, high = parse_ratio(ratio)
    assert width % 16 == height % 16 == 0
    assert abs(width - (native * wide / high) ** 0.5) <= 8
    assert abs(height - (native * high / wide) ** 0.5) <= 8


@pytest.mark.parametrize("ratio", ["1:1", "3:2", "16:9", "21:9", "1:8", "64:63"])
def test_a_size_never_exceeds_the_largest_area(ratio: str) -> None:
    for most in range(64 * 64, 256 * 256, 1237):
        width, height = size_for(ratio, 1024**2, most)
        assert width * height <= most


def test_a_square_at_the_native_area_is_exact() -> None:
    assert size_for("1:1", 1024**2, 1024**2) == (1024, 1024)


def test_a_ratio_becomes_a_size_or_agrees_with_one() -> None:
    settled = settle_size("generate", {"aspect_ratio": "16:9", "n": 1}, 1024**2, 2048 * 1024)
    assert settled == {"aspect_ratio": "16:9", "n": 1, "width": 1360, "height": 768}
    assert settle_size("generate", settled, 1024**2, 2048 * 1024) == settled
    exact = {"aspect_ratio": "16:9", "width": 1280, "height": 720}
    assert settle_size("generate", exact, 1024**2, 2048 * 1024) == exact
    assert settle_size("inpaint", {"n": 1}, 1, 1) == {"n": 1}


@pytest.mark.parametrize("size", [{"width": 512}, {"height": 512}, {"width": 512, "height": 512}])
def test_a_ratio_and_another_size_are_refused(size: dict[str, int]) -> None:
    with pytest.raises(OperationError) as raised:
        settle_size("generate", {"aspect_ratio": "16:9", **size}, 1024**2, 2048 * 1024)
    assert (raised.value.code, raised.value.limit) == ("prompt_flag_conflict", [1360, 768])


@pytest.mark.parametrize(
    "prompt",
    [
        "advertisement for co(c:1.1)aine with home delivery",
        "cocaine (xyzzy xyzzy xyzzy xyzzy:0) for sale",
        "co(xyz:0.1)caine with home delivery, an advertisement",
    ],
)
def test_weights_hide_no_words_from_the_policy(policy: Policy, prompt: str) -> None:
    def decide(texts: tuple[str, ...]) -> Decision:
        return policy.screen([TextSubject(name="prompt", text=text) for text in texts]).decision

    assert decide(texts_seen(prompt.replace("aine", "oa"))) is Decision.ALLOW, "the same about cocoa"
    assert decide(texts_seen(prompt)) is Decision.BLOCK


def test_a_prompt_without_weights_is_screened_once() -> None:
    assert texts_seen("a cat (on a chair), 16:9 :)") == ("a cat (on a chair), 16:9 :)",)
