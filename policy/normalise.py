"""The readings of a text that rules are matched against.

Pure and deterministic. A rule matches if it matches any reading, so a reading can add matches but never hide one; the
text as it was written is always among them. Stronger readings (traditional to simplified, look-alike letters,
encodings) are added to `readings`, and nothing else needs to know.
"""

import re
import unicodedata
from dataclasses import dataclass

_SPACE = re.compile(r"\s+")
_DROPPED_CATEGORIES = frozenset({"Cf", "Cc", "Mn", "Me"})
_CHINESE = r"[\u3400-\u9fff\uf900-\ufaff]"
_SPACE_BETWEEN_CHINESE = re.compile(rf"(?<={_CHINESE}) (?={_CHINESE})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One way to read a text.

    Attributes:
        name: `as_written`, `normalised`, ...; goes into findings.
        text: The text read this way.
    """

    name: str
    text: str


def normalise(text: str) -> str:
    """Undo what changes how a text is written but not how it reads.

    Args:
        text: Any text without lone surrogates.

    Returns:
        The text with full-width and other compatibility forms unified (NFKC), case folded, zero-width, control and
        combining characters removed, runs of space collapsed to one, and none between Chinese characters.
    """
    # Decomposed first, so that accents become combining marks that can be dropped; folding can yield new
    # compatibility forms, hence the second round.
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    kept = "".join(
        " " if character.isspace() else character
        for character in folded
        if character.isspace() or unicodedata.category(character) not in _DROPPED_CATEGORIES
    )
    collapsed = _SPACE.sub(" ", unicodedata.normalize("NFKC", kept)).strip()
    return _SPACE_BETWEEN_CHINESE.sub("", collapsed)


def readings(text: str) -> tuple[Reading, ...]:
    """Return every reading of a text.

    Args:
        text: Any text without lone surrogates.

    Returns:
        One or more readings, no two with the same text. The first is the text as it was written, but for runs of white
        space, which become one space.
    """
    # Unified white space keeps the patterns simple, and a line break inside a phrase from undoing an exception.
    as_written = Reading(name="as_written", text=_SPACE.sub(" ", text).strip())
    normalised = Reading(name="normalised", text=normalise(text))
    return (as_written,) if normalised.text == as_written.text else (as_written, normalised)
