"""Letters that look like Latin ones: a Cyrillic `а`, a turned `ɐ`, a small capital. Pure.

A word with Latin letters in it, or one made of nothing but look-alikes, is read in Latin letters. A word with a letter
that looks like no Latin one is honest Russian or Greek and stays.
"""

import re
from collections.abc import Mapping

from policy.readings.reading import Edit, Reading, read_with
from policy.readings.vocabulary import CHINESE, Vocabulary

_WORD = re.compile(rf"[^\s!-@\[-`{{-~{CHINESE}]+")

# What the Unicode table leaves out: letters turned upside down, small capitals, and a few used in leetspeak.
_TURNED = dict(zip("ɐqɔpǝɟƃɥᴉɾʞʅɯuodbɹsʇnʌʍxʎz", "abcdefghijklmnopqrstuvwxyz", strict=True))
_STANDING = {**_TURNED, "l": "l", "ı": "i", "i": "i", "ן": "l", "ɓ": "g", "ɡ": "b", "ʃ": "l"}  # what else people take
_FEWEST_TURNED = 3
_MORE = {
    **{turned: letter for turned, letter in _TURNED.items() if not turned.isascii()},
    **dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnopqrstuvwyz", strict=True)),
    "ø": "o", "đ": "d", "ħ": "h", "ł": "l", "ŧ": "t", "ı": "i", "ſ": "s", "æ": "ae", "œ": "oe", "ß": "ss", "ð": "d",
    "α": "a", "β": "b", "γ": "y", "δ": "d", "ε": "e", "η": "n", "ι": "i", "κ": "k", "μ": "u", "ν": "v", "ο": "o",
    "ρ": "p", "σ": "o", "ς": "s", "τ": "t", "υ": "u", "χ": "x", "ω": "w", "°": "o", "¢": "c", "€": "e", "£": "l",
    "¥": "y", "₦": "n", "₭": "k", "ⱥ": "a", "ɇ": "e", "ƙ": "k", "ɖ": "d", "ɗ": "d", "ի": "h", "ո": "n", "ս": "u",
    "օ": "o", "ց": "g", "հ": "h", "ґ": "r", "ь": "b", "г": "r", "л": "n", "ш": "w", "щ": "w", "п": "n", "и": "u",
    "я": "r", "з": "e", "є": "e", "Ꭺ": "a",
}  # fmt: skip


class Confusables:
    """Reads look-alikes as Latin letters."""

    def __init__(self, look_alikes: Mapping[str, str]) -> None:
        """Take the table.

        Args:
            look_alikes: Characters with the Latin letter they look like.
        """
        self._letters = {**look_alikes, **_MORE}

    def read(self, reading: Reading, vocabulary: Vocabulary) -> Reading:
        """Return the reading with look-alikes as Latin letters, or itself."""
        if reading.text.isascii():
            return reading
        edits = []
        for match in _WORD.finditer(reading.text):
            word = match[0]
            if word.isascii():
                continue
            standing = _turned(word)[::-1]
            if len(standing) >= _FEWEST_TURNED and vocabulary.is_word(standing):  # on its head, read from its end
                edits.append(Edit(match.start(), match.end(), standing))
                continue
            for start, latin in self._latin(word, vocabulary):
                edits.append(Edit(match.start() + start, match.start() + start + 1, latin))
        return read_with(reading, "confusables", edits)

    def _latin(self, word: str, vocabulary: Vocabulary) -> list[tuple[int, str]]:
        """Return which places of a word hold which Latin letters."""
        turned = _turned(word)
        if turned and vocabulary.is_word(turned):
            return [(position, letter) for position, letter in enumerate(turned) if letter != word[position]]
        foreign = [(position, character) for position, character in enumerate(word) if not character.isascii()]
        honest = any(character.isalpha() and character not in self._letters for _, character in foreign)
        if honest and not any(character.isascii() and character.isalpha() for character in word):
            return []
        return [(position, self._letters[character]) for position, character in foreign if character in self._letters]


def _turned(word: str) -> str:
    """Return a word that may stand on its head as it would stand on its feet, or nothing; plain letters turn, too."""
    return "".join(map(_STANDING.__getitem__, word)) if all(character in _STANDING for character in word) else ""
