"""Words with letters repeated, and words of the lexicon with one typing error. Pure.

Letters repeated again and again are taken back whatever the word then is: nobody hits so many keys twice. For a typing
error, only words that are no English are repaired, only towards the lexicon, and only from five letters on: shorter
words have too many names one letter away, so that of four letters the first and the last must be right. A word is left
alone where a much commoner English word is as near.

The index holds every word with each one of its letters left out (symmetric deletes), so that looking a word up costs
its length, not the lexicon's.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, islice, product
from math import gcd
from operator import ge

from policy.readings.reading import Edit, Reading, read_with
from policy.readings.vocabulary import Vocabulary

_SAFE_LENGTH = 5
_SWAP_LENGTH = 4
_LONGEST = 24
_SHORTEST = 3  # `prn`: a vowel may be missing, where there is none
_VOWELS = frozenset("aeiouy")
_SAFE_BESIDE = 5  # letters of a word that only counts beside others
_MOST_MEANINGS = 3
_MOST_WAYS = 64  # to take repeated letters back
_RARER = 5  # times as rare as the likeliest meaning: then another is not meant, too
_MUCH_COMMONER = 20  # times as common: then the other word is meant, `lottss` are no loots
_COMMONER = 2.5  # the same where a vowel is missing: `slpping` is rather slipping than slapping
_SWAPS_COUNT = 20  # times as much as another error: all letters are there
_COMPOUND = 4  # letters of each part of a word put together that no dictionary holds
_DOUBLE = re.compile(r"([a-z])\1")


class TypingErrors:
    """Repairs words towards one vocabulary."""

    def __init__(self, vocabulary: Vocabulary, common: Mapping[str, Sequence[str]]) -> None:
        """Make the index.

        Args:
            vocabulary: What to repair towards.
            common: Common English words by what is left of them without one letter; see `tables.common_english`.
        """
        self._vocabulary = vocabulary
        self._common = common
        self._without: dict[str, list[str]] = {}
        self._squeezed: dict[str, list[str]] = {}
        long = (word for word in vocabulary.named - vocabulary.words if len(word) >= _SAFE_BESIDE)
        self._words = vocabulary.words.union(long)
        for word in sorted(self._words):
            self._squeezed.setdefault(_squeeze(word), []).append(word)
            if len(word) >= _SWAP_LENGTH:
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
        likely = self._vocabulary.count(_squeeze(word)) if self._vocabulary.is_english(_squeeze(word)) else 0
        found = [meant for meant in found if self._vocabulary.count(meant) * _MUCH_COMMONER >= likely]
        return " ".join(found[:_MOST_MEANINGS]) or self._drawn_out(word)

    def _drawn_out(self, word: str) -> str | None:
        """Return the English word whose letters are repeated again and again: `weaaariiing`, `wweeaarriinngg`."""
        runs = [(letter, len(list(run))) for letter, run in groupby(word)]
        twice = sum(length > 1 for _, length in runs)
        if twice * 2 < len(runs) and all(length == 1 + (length > 1) for _, length in runs):
            return None
        common = gcd(*(length for _, length in runs))
        if common > 1 and self._vocabulary.is_word(even := "".join(c * (n // common) for c, n in runs)):
            return even
        ways = product(*((c, c + c) if n > 2 else (c * n, c) if n > 1 else (c,) for c, n in runs))  # noqa: PLR2004 # a run
        found = ["".join(way) for way in islice(ways, _MOST_WAYS)]
        return max(filter(self._vocabulary.is_word, found), key=self._vocabulary.count, default=None)

    def _meant(self, word: str) -> str | None:
        """Return the word that is one typing error away; the first letter is seldom the wrong one."""
        if not _SHORTEST <= len(word) <= _LONGEST or (len(word) == _SHORTEST and not _VOWELS.isdisjoint(word)):
            return None
        words = self._words
        for position in range(len(word) - 1 if len(word) >= _SWAP_LENGTH else 0):
            swapped = word[:position] + word[position + 1] + word[position] + word[position + 2 :]
            if swapped in words:
                return swapped if self._is_likely(word, swapped, _SWAPS_COUNT) else None
        found = [meant for meant in self._without.get(word, ()) if _begins_alike(word, meant)]  # a letter is missing
        for position, shorter in enumerate(_without_one(word)):
            inner = 0 < position < len(shorter)
            if shorter in words and position and len(shorter) >= (_SWAP_LENGTH if inner else _SAFE_LENGTH):
                found.append(shorter)  # one too many
            if len(word) > _SHORTEST:
                found += [meant for meant in self._without.get(shorter, ()) if _one_differs(word, meant)]
        likely = [meant for meant in dict.fromkeys(found) if self._is_likely(word, meant)]
        likely.sort(key=self._vocabulary.count, reverse=True)
        least = self._vocabulary.count(likely[0]) / _RARER if likely else 0
        telling = [each for each in likely if each in self._vocabulary.words and self._vocabulary.count(each) >= least]
        return " ".join(telling[:_MOST_MEANINGS] or likely[:1]) or None

    def _is_likely(self, word: str, meant: str, weight: int = 1) -> bool:
        """Say whether no much commoner English word is one typing error away, and the word is no compound."""
        count, is_english = self._vocabulary.count, self._vocabulary.is_english
        # A word that only counts beside others must be the likeliest of all.
        limit = count(meant) * weight * (_MUCH_COMMONER if meant in self._vocabulary.words else 1)
        if any(count(other) > limit for other in self._common_near(word)):
            return False
        if len(meant) > len(word) >= _SAFE_LENGTH and any(
            count(other) > _COMMONER * count(meant) for other in self._with_vowel(word)
        ):
            return False
        pieces = self._vocabulary.segment(word)
        return not all(len(piece) >= _COMPOUND and is_english(piece) for piece in pieces)

    def _with_vowel(self, word: str) -> Iterator[str]:
        """Yield the English words that a vowel is missing of."""
        for position in range(1, len(word)):
            for vowel in "aeiou":
                other = word[:position] + vowel + word[position:]
                if self._vocabulary.is_english(other):
                    yield other

    def _common_near(self, word: str) -> Iterator[str]:
        """Yield the common English words one typing error away."""
        yield from self._common.get(word, ())
        for shorter in _without_one(word):
            if self._vocabulary.is_english(shorter):
                yield shorter
            for other in self._common.get(shorter, ()):
                if _one_differs(word, other):
                    yield other


def _squeeze(word: str) -> str:
    return "".join(letter for letter, _ in groupby(word))


def _runs(word: str) -> list[int]:
    return [len(list(run)) for _, run in groupby(word)]


def _without_one(word: str) -> list[str]:
    return [word[:position] + word[position + 1 :] for position in range(len(word))]


def _begins_alike(word: str, meant: str) -> bool:
    """Say whether the first letter is right, and of a short word the last one, too."""
    return word[0] == meant[0] and (len(meant) >= _SAFE_LENGTH or word[-1] == meant[-1])


def _one_differs(word: str, other: str) -> bool:
    """Say whether two words of one length differ in one letter, not the first."""
    if len(word) != len(other) or not _begins_alike(word, other):
        return False
    return sum(a != b for a, b in zip(word, other, strict=True)) == 1
