"""Words written as one: `nakedgirl`, `NakedGirl`, `naked_girl`, as in hashtags and names of files. Pure."""

import re

from policy.readings.reading import Edit, Reading, read_with
from policy.readings.vocabulary import Vocabulary

_UNDERSCORE = re.compile(r"(?<=[^\W_])_+(?=[^\W_])")
_WORD = re.compile(r"[a-z]+")
_GLUED_TO_DIGITS = re.compile(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])")
_NAMED = re.compile(r"[a-z]{3}\d|\d[a-z]{3}")
_LONG_ENOUGH = 7
_SAFE_LENGTH = 4
_SHORTEST = 3
_LONG_ROW = 12
_MOST_STRANGE = 6  # one letter in so many may belong to no word


def apart(reading: Reading, vocabulary: Vocabulary) -> Reading:
    """Return the reading with words written as one taken apart, or itself."""
    text = reading.text
    edits = [Edit(match.start(), match.end(), " ") for match in _UNDERSCORE.finditer(text)]
    if _NAMED.search(text):
        edges = _GLUED_TO_DIGITS.finditer(text)
        edits += [Edit(edge.start(), edge.end(), " ") for edge in edges if _named(edge, text, vocabulary)]
    for start, end, word in vocabulary.odd_words(text):
        if len(word) >= _LONG_ENOUGH:
            pieces = vocabulary.segment(word)
            if _makes_sense(pieces, vocabulary):
                edits.append(Edit(start, end, " ".join(pieces)))
    return read_with(reading, "words_apart", sorted(edits))


def _named(match: re.Match[str], text: str, vocabulary: Vocabulary) -> bool:
    """Say whether a word of the lexicon touches digits here."""
    before = _WORD.search(text[max(0, match.start() - 20) : match.start()][::-1])
    after = _WORD.match(text, match.start())
    left = before[0][::-1] if before and before.start() == 0 else ""
    return left in vocabulary.words or (after is not None and after[0] in vocabulary.words)


def _makes_sense(pieces: list[str], vocabulary: Vocabulary) -> bool:
    """Say whether all pieces are words, one of them of the lexicon or the row long; or nearly all of a long row."""
    if vocabulary.is_sentence(pieces):
        return True
    wanted = max((len(piece) for piece in pieces if piece in vocabulary.words), default=0)
    if all(vocabulary.is_word(piece) for piece in pieces):
        shortest = min(map(len, pieces))
        return shortest >= _SHORTEST and wanted >= _SAFE_LENGTH + (shortest == _SHORTEST)
    strange = sum(len(piece) for piece in pieces if not vocabulary.is_word(piece))
    letters = sum(map(len, pieces))
    return letters >= _LONG_ROW and wanted > _SAFE_LENGTH and strange * _MOST_STRANGE <= letters
