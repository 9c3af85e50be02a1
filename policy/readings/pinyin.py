"""Chinese terms written by sound: pinyin, `se qing`, mixed, `nv人`, or other characters of the same sound. Pure.

Only terms of the lexicon are read so. A window must hold a Latin syllable, and in a text without Chinese characters
one that is no English word. Characters of the same sound are read only for terms of three characters or more, one of
which stands there as it should: shorter ones meet by accident.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from policy.readings.reading import Edit, Reading, read_with
from policy.readings.vocabulary import CHINESE, Vocabulary

_INITIALS = "zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw]"
_FINALS = (
    "iang|iong|uang|ang|eng|ing|ong|ian|iao|uai|uan|ai|ei|ui|ao|ou|iu|ie|ve|ue|er|an|en|in|un|vn|ua|uo|ia|a|o|e|i|u|v"
)
_SYLLABLE = re.compile(f"(?:{_INITIALS})?(?:{_FINALS})")
_LONGEST_SYLLABLE = 6
_UNIT = re.compile(rf"([a-z]+)[1-5]?|([{CHINESE}])")
_GAP = re.compile(r"[ '\-·]?")
_MOST_UNITS = 8
_SAFE_LETTERS = 5
_SAFE_TERM = 3
_MOST_READINGS = 4
_LONGEST_TOKEN = 60


class _Unit(NamedTuple):
    """A syllable or a character; `new` if a word or a character begins here, `odd` if it is of no English word."""

    start: int
    end: int
    sound: str
    character: str
    odd: bool
    linked: bool  # nothing but a space or a hyphen lies before it


class Pinyin:
    """Reads terms by sound."""

    def __init__(self, vocabulary: Vocabulary, readings: Mapping[str, str]) -> None:
        """Make the index.

        Args:
            vocabulary: What to read towards.
            readings: Characters' readings; see `tables.pinyin`.
        """
        self._vocabulary = vocabulary
        self._readings = readings
        self._sounds: dict[str, tuple[str, ...]] = {}
        self._terms: dict[tuple[str, ...], list[str]] = {}
        self._prefixes: set[tuple[str, ...]] = set()
        for term in sorted(vocabulary.chinese):
            if 1 < len(term) <= _MOST_UNITS:
                for sounds in self._ways(term):
                    self._terms.setdefault(sounds, []).append(term)
                    self._prefixes.update(sounds[:length] for length in range(1, len(sounds) + 1))

    def _ways(self, term: str) -> list[tuple[str, ...]]:
        choices = [self._sound(character)[:2] for character in term]
        if not all(choices):
            return []
        return list(product(*choices))[:_MOST_READINGS]

    def _sound(self, character: str) -> tuple[str, ...]:
        """Return a character's readings without tones, the commonest first; `ü` as `v`, as keyboards have it."""
        known = self._sounds.get(character)
        if known is None:
            raw = unicodedata.normalize("NFD", self._readings.get(str(ord(character)), "")).replace("u\u0308", "v")
            bare = "".join(c for c in raw if not unicodedata.combining(c))
            known = self._sounds[character] = tuple(dict.fromkeys(filter(None, bare.split(","))))
        return known

    def spelt(self, reading: Reading) -> Reading:
        """Return the reading with pinyin as characters, or itself."""
        text = reading.text
        mixed = not text.isascii()
        if not self._terms or not (mixed or self._vocabulary.odd_words(text) or _short_odd(text, self._vocabulary)):
            return reading
        return read_with(reading, "pinyin", self._edits(self._units(text), mixed=mixed, homophones=False))

    def sounded(self, reading: Reading) -> Reading:
        """Return the reading with characters of the same sound replaced, or itself."""
        if reading.text.isascii() or not self._terms:
            return reading
        return read_with(reading, "homophones", self._edits(self._units(reading.text), mixed=True, homophones=True))

    def _units(self, text: str) -> list[_Unit]:
        units: list[_Unit] = []
        end = -1
        for match in _UNIT.finditer(text):
            linked = end >= 0 and _GAP.fullmatch(text, end, match.start()) is not None
            if match[2]:
                sound = next(iter(self._sound(match[2])), "")
                units.append(_Unit(match.start(), match.end(), sound, match[2], odd=False, linked=linked))
            else:
                units += self._syllables(match, linked=linked)
            end = match.end()
        return units

    def _syllables(self, match: re.Match[str], *, linked: bool) -> list[_Unit]:
        word = match[1]
        odd = not self._vocabulary.is_word(word)
        cuts = _cut(word) if odd else []
        units = []
        start = match.start()
        for number, syllable in enumerate(cuts or [word]):
            last = number == len(cuts) - 1
            end = match.end() if last or not cuts else start + len(syllable)
            units.append(_Unit(start, end, syllable, "", odd=odd, linked=linked or number > 0))
            start = end
        return units

    def _edits(self, units: list[_Unit], *, mixed: bool, homophones: bool) -> list[Edit]:
        edits, index = [], 0
        while index < len(units):
            count, term = self._longest(units[index : index + _MOST_UNITS], mixed=mixed, homophones=homophones)
            if count:
                edits.append(Edit(units[index].start, units[index + count - 1].end, term))
            index += max(count, 1)
        return edits

    def _longest(self, units: list[_Unit], *, mixed: bool, homophones: bool) -> tuple[int, str]:
        found: tuple[int, str] = (0, "")
        sounds: tuple[str, ...] = ()
        for number, unit in enumerate(units):
            if number and not unit.linked:
                break
            sounds = (*sounds, unit.sound)
            if sounds not in self._prefixes:
                break
            for term in self._terms.get(sounds, ()):
                window = units[: number + 1]
                fits = _is_homophone(window, term) if homophones else _is_spelt(window, term, mixed=mixed)
                if fits:
                    found = (number + 1, term)
        return found


def _short_odd(text: str, vocabulary: Vocabulary) -> bool:
    return any(not vocabulary.is_word(match[1]) for match in _UNIT.finditer(text) if match[1])


def _is_spelt(window: list[_Unit], term: str, *, mixed: bool) -> bool:
    latin = [unit for unit in window if not unit.character]
    if not latin or any(unit.character and unit.character != meant for unit, meant in zip(window, term, strict=True)):
        return False
    if len(latin) < len(window):
        return True
    return any(unit.odd for unit in latin) and (mixed or sum(len(unit.sound) for unit in latin) >= _SAFE_LETTERS)


def _is_homophone(window: list[_Unit], term: str) -> bool:
    same = sum(unit.character == meant for unit, meant in zip(window, term, strict=True))
    return len(term) >= _SAFE_TERM and all(unit.character for unit in window) and 0 < same < len(term)


@lru_cache(maxsize=4096)
def _cut(word: str) -> list[str]:
    """Cut a word into syllables, as few as possible; nothing if it is not made of them. Linear."""
    if len(word) > _LONGEST_TOKEN:
        return []
    best: list[tuple[int, int] | None] = [(0, 0)]
    for end in range(1, len(word) + 1):
        choices = [
            (count[0] + 1, start)
            for start in range(max(0, end - _LONGEST_SYLLABLE), end)
            if (count := best[start]) is not None and _SYLLABLE.fullmatch(word, start, end)
        ]
        best.append(min(choices, default=None))
    pieces, end = [], len(word)
    while end:
        step = best[end]
        if step is None:
            return []
        pieces.append(word[step[1] : end])
        end = step[1]
    return pieces[::-1]
