"""Words with something between their letters: `n a k e d`, `n.a.k.e.d`, `na-ked`, and gaps in Chinese words. Pure.

Single letters in a row are joined to any English words, as the likeliest cut into words has it: nobody writes so by
accident. Longer pieces may be words by themselves, and are joined only to a word that rules name.
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain, pairwise

from policy.readings.leetspeak import PLAIN
from policy.readings.reading import Edit, Reading, read_with, without_overlaps
from policy.readings.vocabulary import CHINESE, Vocabulary

_UNIT = "[a-z0-9@$]"
_BETWEEN = rf"[^a-z0-9@${CHINESE}]"
_ROW = re.compile(rf"(?<!{_UNIT})(?<!{_UNIT}'){_UNIT}(?:{_BETWEEN}{{1,4}}{_UNIT}(?!{_UNIT})){{2,}}")
_UNITS = re.compile(_UNIT)
_GAP_IN_ROW = re.compile(f"{_BETWEEN}{{1,4}}")
_PIECE = re.compile(r"[a-z]+")
_IN_TERM = rf"[a-z0-9{CHINESE}]"
_GAP = re.compile(rf"(?<={_IN_TERM})(?:[^\w\s]{{1,3}}|_{{1,3}}| (?=[a-z0-9])|(?<=[a-z0-9]) )(?={_IN_TERM})")
_AGE = re.compile("(?:[0-9]{1,2}|[一二两三四五六七八九十]{1,3})周?岁")  # a term that no list can hold
_EACH_IN_BRACKETS = re.compile(rf"(?:([【\[(<{{「『《〔〖])[{CHINESE}][】\])>}}」』》〕〗]){{2,}}")
_BRACKETED = re.compile(rf"[^{CHINESE}]([{CHINESE}])[^{CHINESE}]")
_STOPS = re.compile("[,;:!?、。…]")
_APOSTROPHES = "'’`"
_LONGEST_GAP = 3
_MOST_PIECES = 6
_LONGEST_WORD = 20
_SAFE_LENGTH = 5
_SAFE_GLUED = 4
_SAFE_OF_WORDS = 6
_SAFE_BESIDE = 6
_SPACE, _MARK, _HYPHEN = 1, 2, 3
_HYPHENS = "-_.*~·"
_SAFE_TERM = 3


def joined(reading: Reading, vocabulary: Vocabulary) -> Reading:
    """Return the reading with separated letters joined, or itself."""
    rows = list(_ROW.finditer(reading.text))
    edits = _rows(rows, vocabulary)
    edits += _pieces(reading.text, rows, vocabulary)
    edits += _each_in_brackets(reading.text)
    edits += _chinese_gaps(reading.text, vocabulary)
    return read_with(reading, "separators", without_overlaps(edits))


def _rows(rows: list[re.Match[str]], vocabulary: Vocabulary) -> list[Edit]:
    """Single letters in a row."""
    edits = []
    for row in rows:
        for start, end in _stretches(row):
            units = _UNITS.findall(row.string, start, end)
            words = vocabulary.in_row("".join(units).translate(PLAIN)) if len(units) > 1 else None
            letters = sum(map(str.isalpha, units))
            # A year or a size is no word: `1 7 7 0 s`.
            if words is not None and (letters * 2 >= len(units) or _says_much(words, vocabulary)):
                edits.append(Edit(start, end, words))
    return edits


def _stretches(row: re.Match[str]) -> Iterator[tuple[int, int]]:
    """Yield the stretches of a row; another gap than most, with a space in it, parts words: `n.o c.l.o.t.h.e.s`."""
    gaps = list(_GAP_IN_ROW.finditer(row.string, row.start(), row.end()))
    usual = Counter(gap[0] for gap in gaps).most_common(1)[0][0]
    start = row.start()
    for gap in gaps:
        if gap[0] != usual and " " in gap[0]:
            yield start, gap.start()
            start = gap.end()
    yield start, row.end()


def _says_much(words: str, vocabulary: Vocabulary) -> bool:
    return any(len(word) >= _SAFE_GLUED and word in vocabulary.words for word in words.split(" "))


def _pieces(text: str, rows: list[re.Match[str]], vocabulary: Vocabulary) -> list[Edit]:
    """Pieces of a word, at least one of which is no word by itself; not the letters of a row, which are read whole."""
    taken = {place for row in rows for place in range(row.start(), row.end())}
    pieces = [match for match in _PIECE.finditer(text) if match.start() not in taken]
    tokens = [(match.start(), match.end(), match[0]) for match in pieces]
    odd = [not vocabulary.is_word(word) for _, _, word in tokens]
    linked = [_links(text[left[1] : right[0]]) for left, right in pairwise(tokens)]
    edits: list[Edit] = []
    index = 0
    while index < len(tokens) - 1:
        few = slice(index, index + _MOST_PIECES)
        count = _longest_join(tokens[few], odd[few], linked[few], vocabulary)
        if count:
            last = tokens[index + count - 1]
            word = "".join(token[2] for token in tokens[index : index + count])
            edits.append(Edit(tokens[index][0], last[1], word))
        index += max(count, 1)
    return edits


def _links(gap: str) -> int:
    """Say how a gap may lie inside a word: 0 not at all, as a space, a mark, or a hyphen."""
    if gap == " ":
        return _SPACE
    if not 0 < len(gap) <= _LONGEST_GAP or any(c.isspace() or c.isalnum() or c in _APOSTROPHES for c in gap):
        return 0
    return _HYPHEN if gap in _HYPHENS else _MARK


def _longest_join(tokens: list[tuple[int, int, str]], odd: list[bool], linked: list[int], words: Vocabulary) -> int:
    """Return how many pieces, from the first on, make a word of the lexicon; 0 if none do."""
    found, word = 0, tokens[0][2]
    shortest = len(word)
    for index in range(1, len(tokens)):
        if not linked[index - 1] or len(word) > _LONGEST_WORD:
            break
        word += tokens[index][2]
        shortest = min(shortest, len(tokens[index][2]))
        enough = _enough(odd[: index + 1], linked[:index], shortest)
        # A word that only counts beside others is no disguise where the pieces are words: `sun light`.
        if word not in words.words:
            enough = max(enough, _SAFE_BESIDE)
        if len(word) >= enough and (word in words.named or (all(odd[: index + 1]) and words.is_english(word))):
            found = index + 1
    return found


def _enough(odd: list[bool], linked: list[int], shortest: int) -> int:
    """Return how long a word must be to be put together from these pieces."""
    if _SPACE in linked and shortest == 1:  # what is left of `person's word`
        return _LONGEST_WORD + 1
    if not any(odd):  # `top-less`, but no `to day`
        return _SAFE_OF_WORDS if min(linked) == _HYPHEN else _LONGEST_WORD + 1
    return _SAFE_LENGTH if _SPACE in linked and not all(odd) else _SAFE_GLUED


def _each_in_brackets(text: str) -> list[Edit]:
    """Characters each in brackets of its own: nobody quotes so."""
    rows = _EACH_IN_BRACKETS.finditer(text) if not text.isascii() else ()
    return [Edit(row.start(), row.end(), _BRACKETED.sub(r"\1", row[0])) for row in rows]


def _chinese_gaps(text: str, vocabulary: Vocabulary) -> list[Edit]:
    """Signs between Chinese characters where a term of the lexicon lies across them."""
    if text.isascii():
        return []
    gaps = [(match.start(), match.end()) for match in _GAP.finditer(text)]
    if not gaps:
        return []
    bare, after, position = [], {}, 0  # `after`: place in the bare text -> the gap that lay there
    length = 0
    for start, end in gaps:
        bare.append(text[position:start])
        length += start - position
        after[length] = (start, end)
        position = end
    bare.append(text[position:])
    kept = set()
    whole = "".join(bare)
    for start, end in chain(vocabulary.terms_in(whole), (age.span() for age in _AGE.finditer(whole))):
        inside = [after[place] for place in range(start + 1, end) if place in after]
        if inside and _may_cross(text, inside, end - start):
            kept.update(inside)
    return [Edit(start, end, "") for start, end in sorted(kept)]


def _may_cross(text: str, gaps: list[tuple[int, int]], term: int) -> bool:
    """A full stop ends a phrase, unless it stands between all characters of a longer term; a comma, of any.

    Of 568 honest Chinese texts with commas, none has a comma inside a term in such a way that a rule then holds.
    """
    if not any(_STOPS.search(text, start, end) for start, end in gaps):
        return True
    commas = all(text[start:end] == "," for start, end in gaps)
    return len(gaps) == term - 1 and (commas or term >= _SAFE_TERM)
