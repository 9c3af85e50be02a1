"""Digits and signs that stand for letters: `n4k3d`, `$ex`. Pure.

Only a word that then is one of the lexicon, or English of four letters or more, is read so: `3d`, `8k`, `1980s` and
product codes stay what they are.
"""

import re
from itertools import chain, islice, product

from policy.readings.reading import Edit, Reading, read_with
from policy.readings.vocabulary import Vocabulary

_LETTERS = {
    "0": "o", "1": "il", "2": "z", "3": "e", "4": "a", "5": "s", "6": "gb", "7": "t", "8": "b", "9": "gq",
    "@": "a", "$": "s", "!": "il", "|": "li", "+": "t", "(": "c", "<": "c", "^": "a", "%": "x", "¡": "i", "§": "s",
    "{": "c", "[": "c", "#": "h",
}  # fmt: skip
PLAIN = {ord(sign): letters[0] for sign, letters in _LETTERS.items()}
"""Translation of single signs to the letter that each stands for most often."""

_SIGNS = re.escape("".join(_LETTERS))
_TOKEN = re.compile(rf"[a-z{_SIGNS}]+")
_SIGN = re.compile(f"[{_SIGNS}]")
_MEASURE = re.compile(r"[$#]?\d+(?:st|nd|rd|th|s|d|k|x|m|mm|cm|km|px|p|fps|am|pm|ft|kg|g|w|v|mp|gb|mb|hz|ml|bit)?")
_DRAWINGS = re.compile(r"/\\|\\/|\|\)|\|<|\|3|\|\\\||\(\)|\|-\||\|_\||\]\[")
_DRAWN = {
    "/\\": "a",
    "\\/": "v",
    "|)": "d",
    "|<": "k",
    "|3": "b",
    "|\\|": "n",
    "()": "o",
    "|-|": "h",
    "|_|": "u",
    "][": "i",
}
_BRACKETS = "(<^%{[#"  # letters only inside a word
_EDGES = f"!|+{_BRACKETS}"
_MOST_SIGNS = 3  # for one letter
_MOST_TRIES = 16
_SHORTEST = 3
_SAFE_ENGLISH = 4
_SAFE_LENGTH = 5
_LONGEST = 40


def letters_for_signs(reading: Reading, vocabulary: Vocabulary) -> Reading:
    """Return the reading with leetspeak as letters, or itself."""
    text = reading.text
    if not _SIGN.search(text) and "\\" not in text:
        return reading
    tokens = [match for match in _TOKEN.finditer(text) if not match[0].isalpha() and len(match[0]) <= _LONGEST]
    edits = [edit for match in tokens if (edit := _edit(match.start(), match[0], vocabulary)) is not None]
    if edits and len(edits) < len(tokens):  # where some is leetspeak, more may be
        bold = (_edit(match.start(), match[0], vocabulary, bold=True) for match in tokens)
        edits = [edit for edit in bold if edit is not None]
    read = read_with(reading, "leetspeak", edits)
    return _drawn(read, vocabulary)


def _edit(start: int, token: str, vocabulary: Vocabulary, *, bold: bool = False) -> Edit | None:
    """Read a token whole, or without the signs at its edges, which may be punctuation."""
    left = len(token) - len(token.lstrip(_EDGES))
    right = len(token.rstrip(_EDGES))
    if token[left:right].isalpha() and vocabulary.is_word(token[left:right]):
        return None
    outer = len(token) - len(token.lstrip(_BRACKETS)), len(token.rstrip(_BRACKETS))
    for first, last in dict.fromkeys(((left, right), (outer[0], right), (left, outer[1]), outer)):
        part = token[first:last]
        word = None if part.isalpha() else _word(part, vocabulary, bold=bold)
        if word is not None:
            return Edit(start + first, start + last, word)
    return None


def _word(token: str, vocabulary: Vocabulary, *, bold: bool = False) -> str | None:
    """Return the word that a token means; `bold`: a short one, too, and one that could be a measure."""
    letters = sum(character.isalpha() for character in token)
    if len(token) < _SHORTEST or (_MEASURE.fullmatch(token) and not (bold and token[-1] == "x")):
        return None
    if not letters or (len(token) - letters > _MOST_SIGNS * letters and len(token) < _SAFE_LENGTH):
        return None
    odd_sign = any(sign in token for sign in _BRACKETS)
    tries = ["".join(letters) for letters in islice(product(*(_LETTERS.get(c, c) for c in token)), _MOST_TRIES)]
    long_enough = len(token) >= (_SHORTEST if bold else _SAFE_ENGLISH)
    backwards = (word for word in tries if long_enough and word[::-1] in vocabulary.words)
    english = (word for word in tries if long_enough and not odd_sign and vocabulary.is_english(word))
    wanted = (word for word in tries if word in vocabulary.words)
    return next(chain(wanted, backwards, english), None)


def _drawn(reading: Reading, vocabulary: Vocabulary) -> Reading:
    """Letters drawn with several signs."""
    text = reading.text
    if not _DRAWINGS.search(text):
        return reading
    edits, position = [], 0
    for token in text.split(" "):
        if _DRAWINGS.search(token) and len(token) <= _LONGEST:
            word = _DRAWINGS.sub(lambda match: _DRAWN[match[0]], token)
            meant = word if word in vocabulary.words else _word(word, vocabulary)
            if meant in vocabulary.words:
                edits.append(Edit(position, position + len(token), meant or ""))
        position += len(token) + 1
    return read_with(reading, "leetspeak", edits)
