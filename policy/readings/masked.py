"""Words with letters struck out: `n*ked`, `f**k`, `n_ked`. Pure.

The visible letters must fit a word of the lexicon, one sign for one letter. A struck-out vowel is the likeliest.
"""

import re
from itertools import product

from policy.readings.reading import Edit, Reading, read_with
from policy.readings.vocabulary import Vocabulary

_STRONG = "*_#%@$•●×■█◦○▓▒░□◼⬛∗＊✱✶★☆"
_WEAK = "-.?!~^·"
_SIGNS = re.escape(_STRONG + _WEAK)
_TOKEN = re.compile(rf"[a-z{_SIGNS}]{{3,}}")
_LETTERS = re.compile("[a-z]+")
_SHORTEST, _LONGEST = 3, 20
_SAFE_LENGTH = 5
_MOST_MEANINGS = 3
_MOST_TRIED = 3  # vowels to put in all ways: 125 ways
_COMMONER = 2  # times as common: enough of three letters, and where more than one is struck out
_MUCH_COMMONER = 20  # times as common: then the other word is meant, `m**n` is no disguise
_FEWEST_VISIBLE = 2  # one letter says nothing
_VOWELS = frozenset("aeiouy")


class Masked:
    """Fills struck-out letters towards one vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Make the index.

        Args:
            vocabulary: What to fill towards.
        """
        self._vocabulary = vocabulary
        self._starting: dict[tuple[int, str], list[str]] = {}
        self._ending: dict[tuple[int, str], list[str]] = {}
        for word in vocabulary.sorted_words:
            if _SHORTEST <= len(word) <= _LONGEST:
                self._starting.setdefault((len(word), word[0]), []).append(word)
                self._ending.setdefault((len(word), word[-1]), []).append(word)

    def filled(self, reading: Reading) -> Reading:
        """Return the reading with struck-out letters filled, or itself."""
        edits, known = [], dict[str, tuple[int, int, str] | None]()
        for match in _TOKEN.finditer(reading.text):
            token = match[0]
            if token.isalpha():
                continue
            if token not in known:
                known[token] = self._meant(token)
            meant = known[token]
            if meant is not None:
                edits.append(Edit(match.start() + meant[0], match.start() + meant[1], meant[2]))
        return read_with(reading, "masked", edits)

    def _meant(self, token: str) -> tuple[int, int, str] | None:
        """Return the stretch of a token that is a word, and the word."""
        pieces = _LETTERS.findall(token)
        if not pieces or (len(pieces) == 1 and self._vocabulary.is_word(pieces[0])):
            return None
        first, last = len(token) - len(token.lstrip(_WEAK)), len(token.rstrip(_WEAK))
        inner = token.strip(_STRONG + _WEAK)
        start = token.find(inner)
        spans = dict.fromkeys(((start, last), (first, start + len(inner)), (start, start + len(inner))))
        for fill in (
            self._without_signs,
            self._vowels,
            self._letters,
            self._ordinary,
        ):  # the likeliest first, over all spans
            for left, right in spans:
                masked = token[left:right]
                word = fill(masked) if self._is_masked(masked) else None
                if word:
                    return left, right, word
        return None

    def _is_masked(self, masked: str) -> bool:
        """Say whether signs stand for letters here: not in `t-shirt`, and not where too little is left to see."""
        if not _SHORTEST <= len(masked) <= _LONGEST or masked.isalpha():
            return False
        weak = any(character in _WEAK for character in masked)
        pieces = _LETTERS.findall(masked)
        if sum(map(len, pieces)) < _FEWEST_VISIBLE or (weak and len(masked) < _SAFE_LENGTH):
            return False
        whole = "".join(pieces)
        if len(pieces) == len(whole) and 2 * len(whole) - 1 == len(masked) and self._vocabulary.is_word(whole):
            return False  # a sign between every two letters, `h.i.s`, struck none of them out
        if len(whole) >= _SHORTEST and self._vocabulary.is_english(whole):  # a sign inside a word: `si**p**`
            return whole in self._vocabulary.words
        return not ((weak or "_" in masked) and all(self._vocabulary.is_word(piece) for piece in pieces))

    def _fits(self, masked: str) -> list[str]:
        visible = [(position, letter) for position, letter in enumerate(masked) if letter.isalpha()]
        return [word for word in self._candidates(masked) if all(word[at] == letter for at, letter in visible)]

    def _vowels(self, masked: str) -> str:
        """Return the words in which only vowels are struck out."""
        hidden = [position for position, letter in enumerate(masked) if not letter.isalpha()]
        fits = [word for word in self._fits(masked) if all(word[position] in _VOWELS for position in hidden)]
        if len(hidden) * 2 > len(masked) and len(fits) > 1:  # too little is left to tell
            return ""
        return " ".join(self._likely(masked, fits)[:_MOST_MEANINGS])

    def _likely(self, masked: str, fits: list[str]) -> list[str]:
        """Return the words that no much commoner English word with other vowels explains away."""
        hidden = [position for position, letter in enumerate(masked) if not letter.isalpha()]
        if not fits or len(hidden) > _MOST_TRIED:
            return fits
        count = self._vocabulary.count
        commonest = max(map(count, self._english(masked, hidden)), default=0)
        few = len(masked) == _SHORTEST or len(hidden) > 1
        times = _COMMONER if few else _MUCH_COMMONER
        return [word for word in fits if count(word) * times >= commonest]

    def _english(self, masked: str, hidden: list[int]) -> list[str]:
        """Return the English words with vowels in the places that are struck out."""
        found = []
        for vowels in product("aeiou", repeat=len(hidden)):
            letters = list(masked)
            for position, vowel in zip(hidden, vowels, strict=True):
                letters[position] = vowel
            word = "".join(letters)
            if self._vocabulary.is_english(word):
                found.append(word)
        return found

    def _letters(self, masked: str) -> str:
        """Return the word in which any letters are struck out: the only one, if most are."""
        fits = self._likely(masked, self._fits(masked))
        visible = sum(letter.isalpha() for letter in masked)
        return fits[0] if fits and (visible * 2 >= len(masked) or len(fits) == 1) else ""

    def _ordinary(self, masked: str) -> str:
        """Return the ordinary word that is meant, so that no other reading makes a rarer one of what is left of it."""
        hidden = [position for position, letter in enumerate(masked) if not letter.isalpha()]
        fits = self._english(masked, hidden) if len(hidden) <= _MOST_TRIED else []
        return max(fits, key=self._vocabulary.count, default="")

    def _without_signs(self, masked: str) -> str:
        """Return the word that is left without the signs, which were put between its letters."""
        whole = "".join(_LETTERS.findall(masked))
        return whole if whole in self._vocabulary.words and len(whole) > _SHORTEST else ""

    def _candidates(self, masked: str) -> list[str]:
        if masked[0].isalpha():
            return self._starting.get((len(masked), masked[0]), [])
        if masked[-1].isalpha():
            return self._ending.get((len(masked), masked[-1]), [])
        return []
