"""Words with letters struck out: `n*ked`, `f**k`, `n_ked`. Pure.

The visible letters must fit a word of the lexicon, one sign for one letter. A struck-out vowel is the likeliest.
"""

import re

from policy.readings.reading import Edit, Reading, read_with
from policy.readings.vocabulary import Vocabulary

_STRONG = "*_#%@$•●×■█◦○▓▒░□◼⬛∗＊✱✶★☆"
_WEAK = "-.?!~^·"
_SIGNS = re.escape(_STRONG + _WEAK)
_TOKEN = re.compile(rf"[a-z{_SIGNS}]*[{_SIGNS}][a-z{_SIGNS}]*")
_LETTERS = re.compile("[a-z]+")
_SHORTEST, _LONGEST = 3, 20
_SAFE_LENGTH = 5
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
        for left, right in dict.fromkeys(((start, start + len(inner)), (start, last), (first, start + len(inner)))):
            word = self._fill(token[left:right])
            if word is not None:
                return left, right, word
        return None

    def _fill(self, masked: str) -> str | None:
        if not _SHORTEST <= len(masked) <= _LONGEST or masked.isalpha():
            return None
        visible = [position for position, character in enumerate(masked) if character.isalpha()]
        weak = any(character in _WEAK for character in masked)
        pieces = _LETTERS.findall(masked)
        if len(visible) < 2 or (weak and len(masked) < _SAFE_LENGTH):  # noqa: PLR2004 # one letter says nothing
            return None
        if (weak or "_" in masked) and all(self._vocabulary.is_word(piece) for piece in pieces):
            return None
        fits = [word for word in self._candidates(masked) if all(word[at] == masked[at] for at in visible)]
        if len(visible) * 2 < len(masked) and len(fits) > 1:
            return None
        hidden = [position for position in range(len(masked)) if position not in visible]
        fits.sort(key=lambda word: sum(word[position] not in _VOWELS for position in hidden))
        if fits:
            return fits[0]
        whole = "".join(pieces)  # the signs may have been put between the letters
        return whole if whole in self._vocabulary.words and len(whole) > _SHORTEST else None

    def _candidates(self, masked: str) -> list[str]:
        if masked[0].isalpha():
            return self._starting.get((len(masked), masked[0]), [])
        if masked[-1].isalpha():
            return self._ending.get((len(masked), masked[-1]), [])
        return []
