"""The canonical reading: what changes how a text is written but not how it reads, undone. Pure.

Compatibility forms unified (NFKC), lower case, no accents, no invisible characters, simplified characters, single
spaces, none between Chinese characters. `cleaned` is the part of it that keeps letters' case, which encodings need.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping

from policy.readings.reading import Edit, Reading, read_with
from policy.readings.vocabulary import CHINESE

_DROPPED_CATEGORIES = frozenset({"Cf", "Cc", "Mn", "Me", "Cn", "Co"})
_LONGEST_EXPANSION = 4  # a ligature of eighteen letters would let a text grow; none of them belongs to a rule's script
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")  # letters and symbols by category, blank on the screen
_SPACES = re.compile(rf"(?<=[{CHINESE}])\s+(?=[{CHINESE}])|\s\s+|[^\S ]|^\s+|\s+$")
_CHINESE = re.compile(f"[{CHINESE}]")

# Letters drawn as pictures, which NFKC leaves alone: flags' letters, white letters on circles and squares. The tag
# characters are an invisible ASCII; they are made readable, not dropped.
_DRAWN = {
    **{0x1F1E6 + i: chr(ord("a") + i) for i in range(26)},
    **{0x1F150 + i: chr(ord("a") + i) for i in range(26)},
    **{0x1F170 + i: chr(ord("a") + i) for i in range(26)},
    **{0xE0020 + i: chr(0x20 + i) for i in range(0x5F)},
}

# What word processors and phones write for the signs of a keyboard: the rules have only those.
_TYPESET = {
    **dict.fromkeys(map(ord, "’‘‛ʼʹ′´"), "'"),
    **dict.fromkeys(map(ord, "‐‑‒–—―−"), "-"),
}
_REPLACED = _DRAWN | _TYPESET


class Canonical:
    """Makes canonical readings."""

    def __init__(self, simplified: Mapping[str, str]) -> None:
        """Take the table of characters.

        Args:
            simplified: Traditional characters with the simplified ones.
        """
        self._simplified = simplified
        self._clean: dict[str, str] = {}
        self._fold: dict[str, str] = {}

    def cleaned(self, reading: Reading) -> Reading:
        """Unify compatibility forms and drop what cannot be seen; letters keep their case."""
        if reading.text.isascii() and reading.text.isprintable():
            return reading
        return _changed(reading, self._cleaned)

    def canonical(self, reading: Reading) -> Reading:
        """Return the canonical reading of a text; it keeps the reading's name if that has one of its own."""
        text = reading.text
        if text.isascii() and text.isprintable():  # as long as before, so no edits are needed to find the way back
            folded = Reading(name=_name(reading), text=text.lower(), parent=reading)
        else:
            folded = _changed(reading, self._folded)
        return spaced(folded)

    def _cleaned(self, character: str) -> str:
        known = self._clean.get(character)
        if known is None:
            known = self._clean[character] = _clean(character)
        return known

    def _folded(self, character: str) -> str:
        known = self._fold.get(character)
        if known is None:
            clean = _clean(_clean(character).casefold())  # folding can yield compatibility forms again
            known = self._fold[character] = "".join(self._simplified.get(each, each) for each in clean)
        return known


def _clean(text: str) -> str:
    kept = []
    for character in text:
        if ord(character) in _REPLACED:
            kept.append(_REPLACED[ord(character)])
            continue
        unified = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", character))
        if len(unified) > _LONGEST_EXPANSION:
            unified = character
        kept += [c for c in unified if c.isspace() or not _is_invisible(c)]
    return unicodedata.normalize("NFC", "".join(kept))


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in _DROPPED_CATEGORIES or character in _FILLERS


def _name(reading: Reading) -> str:
    return "canonical" if reading.name == "as_written" else reading.name


def _changed(reading: Reading, change: Callable[[str], str]) -> Reading:
    edits = []
    for position, character in enumerate(reading.text):
        changed = change(character)
        if changed != character:
            edits.append(Edit(position, position + 1, changed))
    return read_with(reading, _name(reading), edits)


def spaced(reading: Reading) -> Reading:
    """Return the reading with single spaces, and none between Chinese characters."""
    edits = []
    text = reading.text
    for match in _SPACES.finditer(text):
        inner = match.start() > 0 and match.end() < len(text)
        between = inner and not (_CHINESE.match(text[match.start() - 1]) and _CHINESE.match(text[match.end()]))
        edits.append(Edit(match.start(), match.end(), " " if between else ""))
    return read_with(reading, _name(reading), edits)
