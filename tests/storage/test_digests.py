import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import InvalidValueError, canonical_json, sha256_hex
from storage.pages import read_cursor, write_cursor

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-(2.0**53) + 1, 2.0**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def test_the_digest_of_known_bytes() -> None:
    assert sha256_hex(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@given(st.dictionaries(TEXT, JSON, max_size=5))
def test_canonical_json_says_the_same_whatever_the_order_of_keys(body: dict[str, object]) -> None:
    reordered = dict(reversed(body.items()))
    assert canonical_json(body) == canonical_json(reordered)
    again = json.loads(canonical_json(body))
    assert again == body
    assert canonical_json(again) == canonical_json(body)


def test_canonical_json_sorts_by_utf16_as_the_standard_says() -> None:
    assert canonical_json({"\ufb33": 1, "\U0001f600": 2, "a": 1e-7}) == '{"a":1e-7,"\U0001f600":2,"\ufb33":1}'.encode()


@pytest.mark.parametrize(
    "body",
    [{"x": float("nan")}, {"x": 2**53}, {"x": 2.0**53}, {"x": -1e300}, {"x": b""}, {"x": {1}}, {1: 2}, {"\ud800": 1}],
)
def test_what_has_no_canonical_form_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(InvalidValueError, match="canonical"):
        canonical_json(body)


def test_a_body_nested_without_end_is_refused() -> None:
    body: dict[str, object] = {}
    body["self"] = body
    with pytest.raises(InvalidValueError, match="canonical"):
        canonical_json(body)


@given(st.integers(0, 10**18 - 1))
def test_a_cursor_reads_as_it_was_written(sequence: int) -> None:
    assert read_cursor("jobs", write_cursor("jobs", sequence)) == sequence


@given(st.text(max_size=30))
def test_no_text_is_taken_for_a_cursor_by_accident(text: str) -> None:
    try:
        sequence = read_cursor("jobs", text)
    except InvalidValueError:
        return
    assert write_cursor("jobs", sequence) == text.rstrip("=")
