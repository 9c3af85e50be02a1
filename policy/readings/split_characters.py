"""Chinese characters taken apart, `女干` for 奸, put together where a term of the lexicon then stands there. Pure.

Many pairs are honest: `女子` is a woman, not 好. So a pair is read as one character only inside a term of two
characters or more.
"""

from collections.abc import Mapping

from policy.readings.reading import Edit, Reading, read_with
from policy.readings.vocabulary import Vocabulary

_SAFE_LENGTH = 2


class SplitCharacters:
    """Puts characters together."""

    def __init__(self, ways: Mapping[str, str]) -> None:
        """Take the table.

        Args:
            ways: How a character is written taken apart, with the character; see `tables.split_characters`.
        """
        self._ways = ways
        self._lengths: dict[str, tuple[int, ...]] = {}
        for way in sorted(ways, key=len, reverse=True):
            known = self._lengths.get(way[0], ())
            if len(way) not in known:
                self._lengths[way[0]] = (*known, len(way))

    def read(self, reading: Reading, vocabulary: Vocabulary) -> Reading:
        """Return the reading with characters put together, or itself."""
        if reading.text.isascii():
            return reading
        whole = read_with(reading, "split_characters", self._all(reading.text))
        if whole is reading:
            return reading
        kept = self._meant(whole, vocabulary)
        return whole if len(kept) == len(whole.edits) else read_with(reading, "split_characters", kept)

    def _all(self, text: str) -> list[Edit]:
        edits, position = [], 0
        while position < len(text):
            length = next(
                (n for n in self._lengths.get(text[position], ()) if text[position : position + n] in self._ways), 0
            )
            if length:
                part = text[position : position + length]
                edits.append(Edit(position, position + length, self._ways[part]))
            position += max(length, 1)
        return edits

    def _meant(self, whole: Reading, vocabulary: Vocabulary) -> list[Edit]:
        """Return the edits whose character is part of a term."""
        places, shift = {}, 0
        for edit in whole.edits:
            places[edit.start - shift] = edit
            shift += edit.end - edit.start - 1
        kept = set[Edit]()
        for start, end in vocabulary.terms_in(whole.text):
            if end - start >= _SAFE_LENGTH:
                kept.update(places[place] for place in range(start, end) if place in places)
        return sorted(kept)
