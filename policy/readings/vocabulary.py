"""The lexicon beside ordinary English: what is a word, and where a row of letters falls into words. Pure."""

import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from policy.readings.lexicon import Lexicon

CHINESE = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
"""Ranges of Chinese characters, for the inside of a character class."""

_WORD = re.compile(r"[a-z]+")
_ODD = re.compile(r"[a-z]{3,}(?![a-z]|['’](?!s\b))")  # not the `couldn` of `couldn't`
_LONGEST_PIECE = 16
_LOG_OF_ALL = math.log(5.6e11)  # words counted for the English list
_UNLISTED_COUNT = 100_000
_COMMON_COUNT = 5_000_000  # about the ten thousand commonest words
_UNLISTED_COST = 11.0  # of a word of the lexicon that the English list does not hold: that of a rare word
_LETTER_COST = 16.0  # of a letter that belongs to no word: dearer than any word
_FRAGMENT = 2  # the English list holds abbreviations of this length; only these are taken for words
_SHORT_WORDS = "a i am an as at be by do go he if in is it me my no of oh on or so to up us we"
_SAFE_IN_ROW = 4
_SAFE_AMONG_WORDS = 3
_SHORTEST_ROW = 2
_FAR_COMMONER = 1_000  # times as common: `a swarm`, but `about`
_SHORT_SENTENCE = 6  # letters, where somebody set them apart: nobody does so by accident
_SENTENCE = 10  # letters from which a row that falls into words is no accident, however ordinary the words are
_LETTERS_PER_WORD = 2.75  # at least, on average: nearly every row falls into `a`, `no` and `us`


class Token(NamedTuple):
    """A run of letters.

    Attributes:
        start: First code point.
        end: One past the last.
        word: The letters.
    """

    start: int
    end: int
    word: str


def _is_plain_word(word: str) -> bool:
    return len(word) > _FRAGMENT and word.isascii() and word.isalpha()


def _beginning_with(stems: Iterable[str], english: Iterable[str]) -> set[str]:
    """Return the stems, and the English words that begin with one of them."""
    ordered = sorted(english) if stems else []
    found = set(stems)
    for stem in stems:
        found.update(ordered[bisect_left(ordered, stem) : bisect_left(ordered, stem + "\uffff")])
    return found


class Vocabulary:
    """What the readings know about words."""

    def __init__(self, lexicon: Lexicon, english: Mapping[str, int]) -> None:
        """Take the words.

        Args:
            lexicon: Words of the rules.
            english: Ordinary words with how often they occur; see `tables.english`.
        """
        rare = {word for word in lexicon.beside if english.get(word, 0) < _COMMON_COUNT}
        words = lexicon.words | rare | _beginning_with(lexicon.stems, english)
        self.words = frozenset(filter(_is_plain_word, words))
        self.named = self.words.union(filter(_is_plain_word, lexicon.beside))
        self.chinese = lexicon.chinese
        self._english = english
        self._short = frozenset(_SHORT_WORDS.split(" "))
        self._lengths: dict[str, tuple[int, ...]] = {}
        for term in sorted(lexicon.chinese, key=len, reverse=True):
            known = self._lengths.get(term[:1], ())
            if len(term) not in known:
                self._lengths[term[:1]] = (*known, len(term))

    def is_english(self, word: str) -> bool:
        """Say whether a word is ordinary English, which no reading changes."""
        return word in self._short if len(word) <= _FRAGMENT else word in self._english

    def is_word(self, word: str) -> bool:
        """Say whether a word is ordinary English or one of the lexicon."""
        return word in self.words or self.is_english(word)

    def count(self, word: str) -> int:
        """Return how often a word occurs in English texts; what is not listed counts little."""
        return self._english.get(word, _UNLISTED_COUNT)

    def odd_words(self, text: str) -> list[Token]:
        """Return the words of three letters or more that are neither English nor in the lexicon.

        Args:
            text: Lower case.
        """
        return [
            Token(match.start(), match.end(), match[0])
            for match in _ODD.finditer(text)
            if match[0] not in self._english and match[0] not in self.words
        ]

    def segment(self, letters: str) -> list[str]:
        """Cut a row of letters into its likeliest words; linear in its length.

        Args:
            letters: Without spaces.

        Returns:
            The pieces, in order; a letter that belongs to no word stands alone.
        """
        best: list[tuple[float, int]] = [(0.0, 0)]
        for end in range(1, len(letters) + 1):
            choices = [(best[end - 1][0] + _LETTER_COST, end - 1)]
            for start in range(max(0, end - _LONGEST_PIECE), end):
                piece = letters[start:end]
                if self.is_word(piece):
                    choices.append((best[start][0] + self._cost(piece), start))
            best.append(min(choices))
        pieces, end = [], len(letters)
        while end:
            start = best[end][1]
            pieces.append(letters[start:end])
            end = start
        return pieces[::-1]

    def _cost(self, word: str) -> float:
        """Return minus the logarithm of a word's share of English texts."""
        count = self._english.get(word)
        return _UNLISTED_COST if count is None else _LOG_OF_ALL - math.log(count)

    def in_row(self, letters: str) -> str | None:
        """Return a row of letters that stood apart as words, if it is made of such, or holds one of the lexicon.

        Args:
            letters: Without spaces.
        """
        is_word = letters in self.words or (len(letters) >= _SHORTEST_ROW and self.is_english(letters))
        rest = letters[1:] if letters[0] in "ai" and len(letters) > _SAFE_IN_ROW else ""
        if self.is_word(rest) and (not is_word or self.count(rest) > _FAR_COMMONER * self.count(letters)):
            return f"{letters[0]} {rest}"  # `a s w a r m`, not `as warm`
        if is_word:
            return letters
        pieces = self.segment(letters)
        if self.is_sentence(pieces, least=_SHORT_SENTENCE):
            return " ".join(pieces)
        enough = _SAFE_AMONG_WORDS if all(map(self.is_word, pieces)) else _SAFE_IN_ROW
        wanted = any(len(piece) >= enough and piece in self.words for piece in pieces)
        return " ".join(pieces) if wanted else None

    def is_sentence(self, pieces: Sequence[str], least: int = _SENTENCE) -> bool:
        """Say whether the pieces of a row of letters are words that somebody wrote without spaces.

        Args:
            pieces: The likeliest; see `segment`.
            least: Letters from which that is no accident.
        """
        letters = sum(map(len, pieces))
        enough = letters >= max(least, _LETTERS_PER_WORD * len(pieces))
        return enough and all(map(self.is_word, pieces))

    def terms_in(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where Chinese terms of the lexicon stand: start and end, overlapping ones too."""
        lengths = self._lengths
        for start, character in enumerate(text):
            for length in lengths.get(character, ()):
                if text[start : start + length] in self.chinese:
                    yield start, start + length

    def said(self, text: str) -> set[str]:
        """Return what a text says of the lexicon: words, and Chinese terms of two characters or more."""
        words = {match[0] for match in _WORD.finditer(text)} & self.words
        return words | {text[start:end] for start, end in self.terms_in(text) if end - start > 1}

    def speaks(self, text: str) -> bool:
        """Say whether a text says anything of the lexicon."""
        return bool(self.said(text))

    @cached_property
    def sorted_words(self) -> tuple[str, ...]:
        """Words of the lexicon in a fixed order, so that a choice among them is the same on every run."""
        return tuple(sorted(self.words))
