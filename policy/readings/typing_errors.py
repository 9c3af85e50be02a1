"""Words of the lexicon with letters repeated, or with one typing error. Pure.

Only words that are no English are repaired, only towards the lexicon, and only from five letters on: among shorter
words too many names lie one letter away. Of four letters, only two swapped ones are put back.

The index holds every word with each one of its letters left out (symmetric deletes), so that looking a word up costs
its length, not the lexicon's.
"""

import re
from itertools import groupby
from operator import ge

from policy.readings.reading import Edit, Reading, read_with
from policy.readings.vocabulary import Vocabulary

_SAFE_LENGTH = 5
_SWAP_LENGTH = 4
_LONGEST = 24
_MOST_MEANINGS = 3
_DOUBLE = re.compile(r"([a-z])\1")


class TypingErrors:
    """Repairs words towards one vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Make the index.

        Args:
            vocabulary: What to repair towards.
        """
        self._vocabulary = vocabulary
        self._without: dict[str, list[str]] = {}
        self._squeezed: dict[str, list[str]] = {}
        for word in vocabulary.sorted_words:
            if word.isascii() and word.isalpha():
                self._squeezed.setdefault(_squeeze(word), []).append(word)
                if len(word) >= _SAFE_LENGTH:
                    for shorter in _without_one(word):
                        self._without.setdefault(shorter, []).append(word)

    def unrepeated(self, reading: Reading) -> Reading:
        """Return the reading with repeated letters taken back, or itself."""
        if not _DOUBLE.search(reading.text):
            return reading
        edits = []
        for start, end, word in self._vocabulary.odd_words(reading.text):
            meant = self._unrepeated(word)
            if meant is not None:
                edits.append(Edit(start, end, meant))
        return read_with(reading, "repetition", edits)

    def repaired(self, reading: Reading) -> Reading:
        """Return the reading with typing errors repaired, or itself."""
        edits = []
        for start, end, word in self._vocabulary.odd_words(reading.text):
            meant = self._meant(word)
            if meant is not None:
                edits.append(Edit(start, end, meant))
        return read_with(reading, "typing_errors", edits)

    def _unrepeated(self, word: str) -> str | None:
        """Return the words that are one with its letters repeated: a `tteenn` may be ten or a teen."""
        if not _DOUBLE.search(word):
            return None
        runs = _runs(word)
        squeezed = self._squeezed.get(_squeeze(word), ())
        found = [meant for meant in squeezed if all(map(ge, runs, _runs(meant)))]
        return " ".join(found[:_MOST_MEANINGS]) or None

    def _meant(self, word: str) -> str | None:
        """Return the word that is one typing error away; the first letter is seldom the wrong one."""
        if not _SWAP_LENGTH <= len(word) <= _LONGEST:
            return None
        words = self._vocabulary.words
        for position in range(len(word) - 1):
            swapped = word[:position] + word[position + 1] + word[position] + word[position + 2 :]
            if swapped in words:
                return swapped
        found = [meant for meant in self._without.get(word, ()) if meant[0] == word[0]]  # a letter is missing
        for position, shorter in enumerate(_without_one(word)):
            inner = 0 < position < len(shorter)
            if shorter in words and position and len(shorter) >= (_SWAP_LENGTH if inner else _SAFE_LENGTH):
                found.append(shorter)  # one too many
            if len(word) >= _SAFE_LENGTH:
                found += [meant for meant in self._without.get(shorter, ()) if _one_differs(word, meant)]
        return found[0] if found else None


def _squeeze(word: str) -> str:
    return "".join(letter for letter, _ in groupby(word))


def _runs(word: str) -> list[int]:
    return [len(list(run)) for _, run in groupby(word)]


def _without_one(word: str) -> list[str]:
    return [word[:position] + word[position + 1 :] for position in range(len(word))]


def _one_differs(word: str, other: str) -> bool:
    """Say whether two words of one length differ in one letter, not the first."""
    if len(word) != len(other) or word[0] != other[0]:
        return False
    return sum(a != b for a, b in zip(word, other, strict=True)) == 1
