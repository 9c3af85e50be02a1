"""What a disguise is: a deterministic change to the words that matter, or to the whole text. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from zlib import crc32

from policy import TextSubject
from policy.readings import Span

ENGLISH, CHINESE = "en", "zh"
BOTH = frozenset({ENGLISH, CHINESE})

Change = Callable[[str], str]
Apply = Callable[[str, Sequence[Span]], str]


class Family(StrEnum):
    """What kind of disguise it is; goals are set per family."""

    CHARACTER = "character"
    TYPING = "typing"
    MASKING = "masking"
    ENCODING = "encoding"
    SYNTAX = "syntax"
    CONTEXT = "context"
    CHINESE = "chinese"
    FIELDS = "fields"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disguise:
    """One way to hide words of one text.

    Attributes:
        name: For tables.
        family: What kind it is.
        languages: Of the texts it makes sense for: `en`, `zh`.
        apply: From the text and the stretches to hide, in order and apart, to the disguised text.
        lossless: Whether somebody who knows the disguise can undo it without guessing.
    """

    name: str
    family: Family
    languages: frozenset[str]
    apply: Apply
    lossless: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSplit:
    """One way to spread a text over several fields of one request.

    Attributes:
        name: For tables.
        apply: From the text and the stretches that matter to the texts of the request.
    """

    name: str
    apply: Callable[[str, Sequence[Span]], tuple[TextSubject, ...]]
    family: Family = Family.FIELDS
    languages: frozenset[str] = BOTH


def words(change: Change) -> Apply:
    """Make a disguise of what happens to one word.

    Args:
        change: From a word to the disguised one.
    """

    def apply(text: str, targets: Sequence[Span]) -> str:
        pieces, position = [], 0
        for start, end in targets:
            pieces += [text[position:start], change(text[start:end])]
            position = end
        return "".join([*pieces, text[position:]])

    return apply


def whole(change: Change) -> Apply:
    """Make a disguise of what happens to a whole text.

    Args:
        change: From the text to the disguised one.
    """

    def apply(text: str, targets: Sequence[Span]) -> str:
        del targets
        return change(text)

    return apply


def pick(word: str, count: int) -> int:
    """Choose one of `count` places in a word: the same at every run, another for another word."""
    return crc32(word.encode()) % count
