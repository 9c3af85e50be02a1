"""The fields of requests: types that judge what no range can, such as text, seeds and numbers of any length."""

import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from editing.operations import SEED
from policy import TEXT_LIMIT

LARGEST = 10**30
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Characters that show nothing although Unicode counts them as letters, marks or symbols."""
_VARIATIONS = ("\ufe00", "\ufe0f"), ("\U000e0100", "\U000e01ef")
_UNSEEN = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
_DIGITS = 20
"""Decimal digits of the largest seed; a longer text is not turned into a number at all."""


def limits(least_and_most: tuple[float, float]) -> dict[str, Any]:
    """A range, as JSON Schema says it; the range itself is judged by `editing`."""
    return {"minimum": least_and_most[0], "maximum": least_and_most[1]}


def only_invisible(text: str) -> bool:
    """Say whether a text has characters, and none that anybody could see: spaces, joiners, marks of direction ...

    Args:
        text: Any text.
    """
    return text != "" and all(map(_invisible, text))


def _invisible(character: str) -> bool:
    return (
        character.isspace()
        or character in _BLANK
        or unicodedata.category(character) in _UNSEEN
        or any(first <= character <= last for first, last in _VARIATIONS)
    )


def check_text(value: str) -> str:
    """Return a text that can be screened as it is.

    Args:
        value: As it came.

    Raises:
        PydanticCustomError: `text_too_long`, `text_invalid` (NUL, lone surrogates) or `text_invisible`.
    """
    if len(value) > TEXT_LIMIT:
        raise PydanticCustomError(
            "text_too_long",
            "text may have up to {limit} characters, got {value}; nothing is cut off before it is screened",
            {"limit": TEXT_LIMIT, "value": len(value)},
        )
    if "\0" in value or any(0xD800 <= ord(each) <= 0xDFFF for each in value):  # noqa: PLR2004 - surrogates
        raise PydanticCustomError("text_invalid", "text must be Unicode without NUL and lone surrogates", {})
    if only_invisible(value):
        raise PydanticCustomError(
            "text_invisible",
            "text holds {value} characters and none that anybody could see; write something, or leave it out",
            {"value": len(value)},
        )
    return value


def _seed(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise PydanticCustomError("request_invalid", "seed must be a whole number, or one as a decimal text", {})
    text = str(value) if isinstance(value, str) or abs(value) < 10**_DIGITS else "9" * (_DIGITS + 1)
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise PydanticCustomError("request_invalid", "seed must be a whole number, or one as a decimal text", {})
    if len(digits) > _DIGITS or not SEED[0] <= int(text) <= SEED[1]:
        raise PydanticCustomError(
            "seed_out_of_range",
            "seed must lie in 0..{limit}, got {value}",
            {"limit": str(SEED[1]), "value": text[:40]},
        )
    return int(text)


def _whole(value: int) -> int:
    if abs(value) > LARGEST:
        raise PydanticCustomError(
            "request_invalid", "a whole number may have up to {limit} digits", {"limit": len(str(LARGEST)) - 1}
        )
    return value


def _no_boolean(value: object) -> object:
    """A boolean would pass as 0 or 1: `n: true` asks for nothing that can be known."""
    if isinstance(value, bool):
        raise PydanticCustomError("request_invalid", "a number is wanted, got {value}", {"value": value})
    return value


Whole = Annotated[int, BeforeValidator(_no_boolean), AfterValidator(_whole)]
"""A whole number that every message can print; what it may be is judged by `editing`."""
Number = Annotated[float, BeforeValidator(_no_boolean)]
"""A number; what it may be is judged by `editing`."""
Text = Annotated[str, AfterValidator(check_text), Field(json_schema_extra={"maxLength": TEXT_LIMIT})]
Seed = Annotated[
    int,
    BeforeValidator(_seed),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]{1,20}$"}],
            "description": "Seed of the noise, 0..2^64-1; as text where your JSON numbers are not exact. "
            "Drawn and recorded if absent.",
        }
    ),
]
Picture = Annotated[
    str,
    Field(
        min_length=1,
        description="Base64 of a picture file (a data: URI is fine too), or the digest of an image of yours: "
        "64 hex digits, `sha256:` before them if you like.",
    ),
]
Strength = Annotated[
    Number | None,
    Field(json_schema_extra={"exclusiveMinimum": 0, "maximum": 1}, description="Share of the schedule that is run."),
]


class Shape(BaseModel):
    """Part of a request: what it does not know, it refuses."""

    model_config = ConfigDict(extra="forbid", frozen=True)
