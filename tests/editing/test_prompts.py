"""Weights in prompts: what is one, what is text, what is refused."""

import re
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editing import OperationError
from editing.catalogue import find
from editing.checkpoints import Architecture
from editing.entries import CATALOGUE
from editing.prompts import (
    MAX_FAINT,
    MAX_PARTS,
    Part,
    Prompt,
    parse_prompt,
    plain_text,
    require_plain,
    texts_seen,
    weights_of,
)

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="():\\"), min_size=1, max_size=12)
SOLID = WORDS.filter(lambda text: not text.isspace())
ANY = st.text(st.sampled_from(list("ab ():.,\\123e-+\n<>é🎨")), max_size=60)


def escaped(text: str) -> str:
    return re.sub(r"([():])", r"\\\1", text)


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> list[tuple[str, float] | tuple[list, float]]:
    """Nested parts with their weights, as the syntax nests them."""
    inner = SOLID if depth == 0 else st.one_of(SOLID, trees(depth=depth - 1))
    found = draw(st.lists(st.tuples(inner, st.sampled_from([1.0, 0.5, 1.25])), min_size=1, max_size=3))
    return [(each, weight) for each, weight in found if each]


def written(tree: list, number: float | None = None) -> str:
    """The tree as a prompt; `number` stands in for every weight."""
    return "".join(
        f"({text if isinstance(text, str) else written(text, number)}:{number or weight})" for text, weight in tree
    )


def leaves(tree: list, outer: float = 1.0) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for text, weight in tree:
        product = outer * weight
        found += [(text, product)] if isinstance(text, str) else leaves(text, product)
    return found


@given(trees())
def test_nested_weights_multiply_and_the_parts_joined_are_the_plain_prompt(tree: list) -> None:
    prompt = parse_prompt(written(tree))
    assert prompt.plain == "".join(part.text for part in prompt.parts) == "".join(text for text, _ in leaves(tree))
    expected = [weight for text, weight in leaves(tree) for _ in text]
    given_out = [part.weight for part in prompt.parts for _ in part.text]
    assert given_out == pytest.approx(expected, abs=1e-6)
    assert all(one.weight != other.weight for one, other in zip(prompt.parts, prompt.parts[1:], strict=False))


@given(trees())
def test_a_weight_of_1_everywhere_is_the_plain_prompt(tree: list) -> None:
    prompt = parse_prompt(written(tree, 1))
    assert not prompt.weighted
    assert prompt.parts == (Part(prompt.plain),)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\\")))
def test_text_without_a_weight_or_an_escape_is_returned_unchanged(text: str) -> None:
    if not re.search(r":\s*[+-]?[\d.ni]", text, re.IGNORECASE):
        assert parse_prompt(text) == Prompt(text, (Part(text),) if text else ())


@given(ANY)
def test_any_text_at_all_can_be_escaped(text: str) -> None:
    prompt = parse_prompt(escaped(text))
    assert prompt.plain == text
    assert not prompt.weighted


@given(ANY)
def test_no_text_raises_anything_but_its_own_error(text: str) -> None:
    with suppress(OperationError):
        prompt = parse_prompt(text)
        assert "".join(part.text for part in prompt.parts) == prompt.plain
        assert texts_seen(text)[0] == text


@pytest.mark.parametrize(
    "text",
    ["a man :)", "(a man)", "16:9", "(16:9)", "at 12:30)", "(Mark 3:16,18)", "(see: note)", "(see: 3 cats)",
     "sad :( :-(", "(v:1.2.3)", "((nested) brackets)", "( unclosed", "closed )", "(see: note", "f(x): y",
     "() : ()", "C:\\cats", "(neon\uff1a1.3)", "<word> and <word_1>", "  spaces  stay \n"],
)  # fmt: skip
def test_ordinary_language_is_text(text: str) -> None:
    assert parse_prompt(text) == Prompt(text, (Part(text),))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a (neon glow:1.3) b", [("a ", 1.0), ("neon glow", 1.3), (" b", 1.0)]),
        ("((neon:1.2) glow:1.5)", [("neon", 1.8), (" glow", 1.5)]),
        ("(a:0)(b:3)(c:.5)(d:2.)", [("a", 0.0), ("b", 3.0), ("c", 0.5), ("d", 2.0)]),
        ("(a: 1.3 )", [("a", 1.3)]),
        ("(a man (see: note), neon:1.3)", [("a man (see: note), neon", 1.3)]),
        (r"(a \(b\):1.3)", [("a (b)", 1.3)]),
        ("(route 66:2.0)", [("route 66", 2.0)]),
        ("k(x:1.1)ill", [("k", 1.0), ("x", 1.1), ("ill", 1.0)]),
        (":( (neon:1.3)", [(":( ", 1.0), ("neon", 1.3)]),
        ("(a <dog> here:1.2)", [("a <dog> here", 1.2)]),
        ("((a:1.2):2.5)", [("a", 3.0)]),
        ("(a:1.2)(b:1.2)", [("ab", 1.2)]),
    ],
)
def test_weights_are_read(text: str, parts: list[tuple[str, float]]) -> None:
    assert parse_prompt(text).parts == tuple(Part(*each) for each in parts)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a (neon glow:1.3", "prompt_brackets_unbalanced"),
        ("a (neon glow:1.3, b", "prompt_brackets_unbalanced"),
        ("(a (b:1.2):1.3", "prompt_brackets_unbalanced"),
        ("neon glow:1.3)", "prompt_brackets_unbalanced"),
        ("(a:1.2):1.3)", "prompt_brackets_unbalanced"),
        ("(a:3.01)", "prompt_weight_out_of_range"),
        ("(a:-1)", "prompt_weight_out_of_range"),
        ("(a:1,3)", "prompt_weight_out_of_range"),
        ("(a:1e400)", "prompt_weight_out_of_range"),
        ("(a:nan)", "prompt_weight_out_of_range"),
        ("(a:-inf)", "prompt_weight_out_of_range"),
        ("((a:2):2)", "prompt_weight_out_of_range"),
        ("(a:" + "9" * 5000 + ")", "prompt_weight_out_of_range"),
        ("(:1.3)", "prompt_part_empty"),
        ("(  :1.3)", "prompt_part_empty"),
        ("(a:1.2) " * MAX_PARTS, "prompt_parts_too_many"),
        ("".join(f"(a:{index / 100:.2f})" for index in range(MAX_FAINT + 1)), "prompt_weights_too_many"),
    ],
)
def test_what_is_meant_as_a_weight_and_cannot_be_one_is_refused(text: str, code: str) -> None:
    with pytest.raises(OperationError) as raised:
        parse_prompt(text, place="negative_prompt")
    assert (raised.value.code, raised.value.field) == (code, "negative_prompt")
    assert len(str(raised.value)) < 300


def test_an_unbalanced_weight_is_shown_with_its_place() -> None:
    with pytest.raises(OperationError) as raised:
        parse_prompt("a cat on a chair, (neon glow:1.3 behind it")
    assert raised.value.value == 18
    assert "(neon glow:1.3" in str(raised.value)


@pytest.mark.parametrize(
    "text",
    ["(" * 20_000, "(a:" * 20_000, "(" * 20_000 + "a" + ":1.0)" * 20_000, ")" * 40_000, ": " * 20_000,
     ":" + " " * 40_000, ":" + "1" * 40_000, "(a:1 " * 20_000, "(1:" * 20_000, "\\(" * 20_000],
)  # fmt: skip
def test_hostile_brackets_take_linear_time(text: str) -> None:
    before = time.process_time()
    with suppress(OperationError):
        parse_prompt(text)
    assert time.process_time() - before < 1.0  # a quadratic reader takes minutes


def test_a_left_out_part_never_joins_its_neighbours_to_a_new_word() -> None:
    prompt = parse_prompt("k(x:0)ill")
    assert prompt.without(1) == "k ill"
    assert prompt.without(0, 2) == " x "


def test_plain_text_is_what_the_tokenizers_see() -> None:
    assert plain_text("(k:1.1)ill \\(a\\)") == "kill (a)"


def test_the_words_seen_include_what_remains_as_the_weakest_parts_go() -> None:
    assert texts_seen("a (b:0.5)c (d:0.1) e") == (
        "a (b:0.5)c (d:0.1) e", "a bc d e", "a bc   e", "a bc  e", "a  c   e", "a c  e",
    )  # fmt: skip
    assert texts_seen("a (b:1.5) c") == ("a (b:1.5) c", "a b c")


def test_the_words_seen_stay_few_for_the_worst_of_prompts() -> None:
    # One part fewer than there may be: a word before them is a part, too.
    worst = "".join(f"(a:{index % MAX_FAINT / 100:.2f})" for index in range(MAX_PARTS - 1))
    assert len(texts_seen(worst)) <= 2 * MAX_FAINT + 2
    assert len(texts_seen(f"<b>{worst}", ("b",))) <= 3 * (2 * MAX_FAINT + 2)


def test_a_token_over_two_parts_weighs_the_mean_of_its_characters() -> None:
    prompt = parse_prompt("ab(cd:2.0)")
    assert weights_of(prompt, [(0, 2), (1, 4), (2, 4), (0, 0)]) == [1.0, pytest.approx(5 / 3), 2.0, 1.0]


def test_weights_are_refused_where_nothing_takes_them() -> None:
    language = next(each for each in CATALOGUE.values() if each.architecture is Architecture.FLUX2)
    require_plain("a (plain) prompt, (weight:1.0)", language)
    require_plain("a (red:1.2) star", find("flux-mini"))
    with pytest.raises(OperationError) as raised:
        require_plain("a (red:1.2) star", language)
    assert raised.value.code == "prompt_weights_unsupported"
