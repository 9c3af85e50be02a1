"""Chinese terms written by sound: pinyin, `se qing`, mixed, `nv人`, or other characters of the same sound. Pure.

Only terms of the lexicon are read so. A window must hold a Latin syllable, and in a text without Chinese characters
one that is no English word. Characters of the same sound are read only for terms of three characters or more, one of
which stands there as it should: shorter ones meet by accident. Of three, the first and the last must be right where
nothing else in the text is disguised: at an edge the other character may belong to the word beside, `犹太老师`.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from itertools import product
from operator import eq
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
_LATIN = re.compile("[a-z]")
_GAP = re.compile(r"[ '\-·]?")
_MOST_UNITS = 8
_FEWEST_LETTERS, _SAFE_LETTERS = 4, 5  # where Chinese is spoken, and where it is not
_FEWEST_WORDS = 4
_SAFE_TERM = 3
_MOST_READINGS = 4
_PLAIN = frozenset({"as_written", "canonical"})
_HONEST = frozenset({("xiao", "xue")})
"""Sounds of everyday words, `小学`, that a term of the rules has, too."""


class _Unit(NamedTuple):
    """A syllable or a character; `new` if a word or a character begins here, `odd` if it is of no English word."""

    start: int
    end: int
    sound: str
    character: str
    odd: bool
    linked: bool  # nothing but a space or a hyphen lies before it


class _Node:
    """A place in the tree of sounds: the terms that end here and the sounds that may follow."""

    __slots__ = ("after", "terms")

    def __init__(self) -> None:
        self.after: dict[str, _Node] = {}
        self.terms: list[str] = []

    def add(self, sounds: tuple[str, ...], term: str) -> None:
        node = self
        for sound in sounds:
            node = node.after.setdefault(sound, _Node())
        node.terms.append(term)


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
        self._terms, self._long_terms = _Node(), _Node()
        for term in sorted(vocabulary.chinese):
            if 1 < len(term) <= _MOST_UNITS:
                ways = [way for way in self._ways(term) if way not in _HONEST]
                for sounds in ways:
                    self._terms.add(sounds, term)
                if ways and len(term) >= _SAFE_TERM:
                    self._long_terms.add(ways[0], term)  # rare readings make too many words sound alike

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
        mixed = not text.isascii() or self._is_pinyin(text)
        if not _LATIN.search(text) or not (mixed or _has_odd_word(text, self._vocabulary)):
            return reading
        return read_with(reading, "pinyin", self._edits(self._units(text), mixed=mixed))

    def _is_pinyin(self, text: str) -> bool:
        """Say whether a text is Chinese in Latin letters: nearly all syllables, most of them no English words."""
        words = [match[1] for match in _UNIT.finditer(text) if match[1]]
        odd = sum(not self._vocabulary.is_word(word) for word in words)
        if odd * 2 < len(words) or len(words) < _FEWEST_WORDS:
            return False
        return sum(bool(_cut(word)) for word in words) * 5 >= len(words) * 4

    def sounded(self, reading: Reading) -> Reading:
        """Return the reading with characters of the same sound replaced, or itself."""
        if reading.text.isascii():
            return reading
        text, edits, position = reading.text, list[Edit](), 0
        disguised = reading.name not in _PLAIN
        while position < len(text):
            meant = self._homophone(text, position)
            if meant and (disguised or _is_inside(text[position : position + len(meant)], meant)):
                edits.append(Edit(position, position + len(meant), meant))
            position += max(len(meant), 1)
        return read_with(reading, "homophones", edits)

    def _homophone(self, text: str, start: int) -> str:
        """Return the longest term that sounds like the text here, with a character in its place but not all."""
        found = ""
        node: _Node | None = self._long_terms
        for end in range(start, len(text)):
            sounds = self._sounds.get(text[end]) or self._sound(text[end])
            node = node.after.get(sounds[0]) if node is not None and sounds else None
            if node is None:
                break
            for term in node.terms:
                if any(map(eq, term, text[start : end + 1])):
                    found = term
        written = text[start : start + len(found)]
        return "" if written in self._vocabulary.chinese else found

    def _units(self, text: str) -> list[_Unit]:
        units: list[_Unit] = []
        end = -1
        for match in _UNIT.finditer(text):
            linked = match.start() == end or (end >= 0 and _GAP.fullmatch(text, end, match.start()) is not None)
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

    def _edits(self, units: list[_Unit], *, mixed: bool) -> list[Edit]:
        edits: list[Edit] = []
        for index in range(len(units)):
            count, term = self._longest(units[index : index + _MOST_UNITS], mixed=mixed)
            start, end = units[index].start, units[index + count - 1].end
            if not count or (edits and end <= edits[-1].end):
                continue
            if edits and start < edits[-1].end:  # two terms share a syllable: both may be meant
                last = edits.pop()
                start, term = last.start, f"{last.replacement} {term}"
            edits.append(Edit(start, end, term))
        return edits

    def _longest(self, units: list[_Unit], *, mixed: bool) -> tuple[int, str]:
        found: tuple[int, str] = (0, "")
        node: _Node | None = self._terms
        for number, unit in enumerate(units):
            node = node.after.get(unit.sound) if node is not None and (unit.linked or not number) else None
            if node is None:
                break
            window = units[: number + 1]
            fits = [term for term in node.terms if _is_spelt(window, term, mixed=mixed)]
            if fits:  # terms that sound the same are all meant
                found = (number + 1, " ".join(fits[:_MOST_READINGS]))
        return found


def _is_inside(written: str, meant: str) -> bool:
    """Say whether a term is long, or a character differs only within it."""
    return len(meant) > _SAFE_TERM or (written[0] == meant[0] and written[-1] == meant[-1])


def _has_odd_word(text: str, vocabulary: Vocabulary) -> bool:
    return any(not vocabulary.is_word(match[1]) for match in _UNIT.finditer(text) if match[1])


def _is_spelt(window: list[_Unit], term: str, *, mixed: bool) -> bool:
    latin = [unit for unit in window if not unit.character]
    if not latin or any(unit.character and unit.character != meant for unit, meant in zip(window, term, strict=True)):
        return False
    if len(latin) < len(window):
        return True
    letters = sum(len(unit.sound) for unit in latin)
    return letters >= _FEWEST_LETTERS if mixed else letters >= _SAFE_LETTERS and any(unit.odd for unit in latin)


@lru_cache(maxsize=4096)
def _cut(word: str) -> list[str]:
    """Cut a word into syllables, as few as possible; nothing if it is not made of them. Linear."""
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
