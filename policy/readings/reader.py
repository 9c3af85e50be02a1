"""Makes the readings of a text."""

import re
import unicodedata

from policy.readings.lexicon import Lexicon
from policy.readings.reading import Edit, Reading, as_written, read_with

_DROPPED_CATEGORIES = frozenset({"Cf", "Cc", "Mn", "Me"})
_CHINESE = r"[\u3400-\u9fff\uf900-\ufaff]"
_SPACES = re.compile(rf"(?<={_CHINESE})\s+(?={_CHINESE})|\s\s+|[^\S ]|^\s+|\s+$")


class Reader:
    """Reads texts with one lexicon."""

    def __init__(self, lexicon: Lexicon) -> None:
        """Take the words to look for.

        Args:
            lexicon: Words of the rules.
        """
        self._lexicon = lexicon

    def read(self, text: str) -> tuple[Reading, ...]:
        """Return every reading of a text.

        Args:
            text: Any text without lone surrogates.

        Returns:
            One or more readings, no two with the same text. The first is the text as it was written.
        """
        written = as_written(text)
        canonical = _spaced(_folded(written))
        return (written,) if canonical.text == text else (written, canonical)


def _folded(written: Reading) -> Reading:
    text = written.text
    if text.isascii():  # as long as before, so no edits are needed to find the way back
        return Reading(name="canonical", text=text.lower(), parent=written)
    edits = []
    for position, character in enumerate(text):
        folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", character).casefold())
        kept = "".join(c for c in folded if c.isspace() or unicodedata.category(c) not in _DROPPED_CATEGORIES)
        if kept != character:
            edits.append(Edit(position, position + 1, kept))
    return read_with(written, "canonical", edits)


def _spaced(reading: Reading) -> Reading:
    edits = []
    for match in _SPACES.finditer(reading.text):
        inner = match.start() > 0 and match.end() < len(reading.text)
        between = inner and not re.fullmatch(_CHINESE, reading.text[match.start() - 1])
        edits.append(Edit(match.start(), match.end(), " " if between else ""))
    return read_with(reading, "canonical", edits)
