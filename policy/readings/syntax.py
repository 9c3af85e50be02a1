"""Signs that programs read and people do not: weights, BREAK, LoRA tags, Markdown, and words put together from parts.

Pure. What stood in one word is put together only if the parts alone are not words: `(wea:1.3)(pon:1.2)` is a weapon,
`(red:1.2)(car:1.1)` stays two words.
"""

import re
from collections.abc import Mapping
from itertools import islice

from policy.readings.reading import Edit, Reading, Span, read_with, without_overlaps
from policy.readings.vocabulary import Vocabulary

_TRIGGER = re.compile(r"[()\[\]{}<>*_`~|\\\"'+=]|\bbreak\b|\band\b|:\d|#")
_WEIGHT = r"\s?:\s?-?\d{0,2}(?:\.\d{0,4})?"
# In this order: a tag, a link, a weight before its bracket, a weight after one, keywords, brackets and marks.
_MARK = re.compile(
    rf"<(?P<kind>lora|lyco|hypernet|embedding|ti):(?P<named>[^<>:\n]{{1,100}})(?::[^<>\n]{{0,40}})?>"
    r"|\]\((?:https?:|/|#)[^()\s]{0,200}\)"
    rf"|{_WEIGHT}(?:{_WEIGHT})?[)\]}}]+"
    r"|[)\]}]+[-+]?\d?\.\d{1,4}|[)\]}][-+]{1,5}"
    r"|(?<=[a-z])(?:\+{2,6}|-{2,6})(?![a-z-])"
    r"|\s?\b(?P<keyword>break|addcomm|addcol|addrow)\b\s?| and "
    r"|[()\[\]{}]+"
    r"|<!--[^<>]{0,200}-->"
    r"|</?(?:b|i|u|s|em|strong|span|code|del|ins|mark|sup|sub|br|p|div|a|font|small|big|wbr)(?:\s[^<>]{0,100})?/?>"
    r"|\\(?=[()\[\]{}*_`~#<>:])"
    r"|\*{1,3}|_{2,3}|`{1,3}|~~|\|\||(?<=[a-z])\|(?=[a-z])|(?:^|(?<=\n))[#>]{1,6}\s"
)
_EDGE_BEFORE = re.compile(r"[^\W\d_]+$")
_EDGE_AFTER = re.compile(r"[^\W\d_]+")
_LONGEST_EDGE = 24
_TWO_LETTERS = 2

_QUOTED = r"(?:\"[^\"\n]{1,60}\"|'[^'\n]{1,60}'|“[^”\n]{1,60}”|‘[^’\n]{1,60}’|`[^`\n]{1,60}`|「[^」\n]{1,60}」)"
_SUM = re.compile(rf"{_QUOTED}(?:\s{{0,2}}(?:\+|\.|&|,|\|\||and|plus|和|加)?\s{{0,2}}{_QUOTED})+")
_PART = re.compile(_QUOTED)
_ASSIGNED = re.compile(
    rf"\b([a-z_]\w{{0,15}})\s{{0,2}}(?::=|=|:|\bis\b|\bare\b|\bbe\b|\bequals\b|是|为|等于)\s{{0,2}}({_QUOTED})"
)
_JOINED = r"\s{0,2}(?:\+|\.|&|\|\||,|plus|and)\s{0,2}"
_MOST_NAMES = 40


def without_syntax(reading: Reading, vocabulary: Vocabulary) -> Reading:
    """Return the reading without weights, tags, brackets and Markdown, or itself."""
    text = reading.text
    if not _TRIGGER.search(text):
        return reading
    edits, end = [], -1
    for start, stop, named in _marks(reading):
        between = "" if start == end else _between(text, start, stop, vocabulary)
        read_as = f" {named} " if named else between
        if read_as != text[start:stop]:
            edits.append(Edit(start, stop, read_as))
        end = stop
    return read_with(reading, "syntax", edits)


def _marks(reading: Reading) -> list[tuple[int, int, str]]:
    """Return marks, those that touch each other as one."""
    merged: list[tuple[int, int, str]] = []
    for match in _MARK.finditer(reading.text):
        if match["keyword"] and not _is_keyword(reading, match):
            continue
        named = (match["named"] or "").replace("_", " ")
        if merged and merged[-1][1] == match.start() and not named and not merged[-1][2]:
            merged[-1] = (merged[-1][0], match.end(), "")
        else:
            merged.append((match.start(), match.end(), named))
    return merged


def _is_keyword(reading: Reading, match: re.Match[str]) -> bool:
    """Say whether a keyword was written as one, in capitals: people break things, too."""
    written = reading
    while written.parent is not None:
        written = written.parent
    start, end = reading.origin(Span(*match.span("keyword")))
    return written.text[start:end].isupper()


def _between(text: str, start: int, stop: int, vocabulary: Vocabulary) -> str:
    """Return what a mark is read as: nothing inside a word and at a word's edge, a space between two words."""
    mark = text[start:stop]
    before = _EDGE_BEFORE.search(text[max(0, start - _LONGEST_EDGE) : start])
    after = _EDGE_AFTER.match(text[stop : stop + _LONGEST_EDGE])
    if before is None or after is None:
        return mark if mark == " and " else ""
    left, right = before[0], after[0]
    if not (left + right).isascii():
        return mark if mark == " and " else "" if not left[-1].isascii() and not right[0].isascii() else " "
    if len(left + right) == _TWO_LETTERS or (min(len(left), len(right)) == 1 and not {left, right} & {"a", "i"}):
        return "" if mark.strip() == mark else " "  # letters in brackets: `n(a)k(e)d`
    both = vocabulary.is_word(left) and vocabulary.is_word(right)
    telling = left in vocabulary.words or right in vocabulary.words
    if mark == " and ":  # a keyword that is a word, too
        return "" if left + right in vocabulary.words and not both else mark
    # `(hid:1.3)(den:1.2)`; but two words of which one is a rule's stay two, or the other could hide it.
    whole = left + right
    one_word = whole in vocabulary.named or (vocabulary.is_word(whole) and not (both and telling))
    return "" if one_word or (mark.strip("*_`~\\") == "" and not both) else " "


def put_together(reading: Reading, vocabulary: Vocabulary) -> Reading:
    """Return the reading with quoted parts put together, `"nak" + "ed"`, and named parts, `a + b`; or itself."""
    text = reading.text
    if _PART.search(text) is None:
        return reading
    assigned = [(match[1], match[2][1:-1]) for match in _ASSIGNED.finditer(text)]
    values = dict(assigned)
    edits = []
    for match in _SUM.finditer(text):
        parts = [part[1:-1] for part in _PART.findall(match[0])]
        whole = "".join(part.strip() for part in parts)
        if "+" in match[0] or vocabulary.said(whole) - set().union(*map(vocabulary.said, parts)):
            edits.append(Edit(match.start(), match.end(), whole))
    if len(values) > 1:
        edits = without_overlaps([*edits, *_added_up(text, values)])
    if len(assigned) > 1 and not edits:
        edits = _listed(text, "".join(value for _, value in assigned), vocabulary)
    return read_with(reading, "put_together", edits)


def _added_up(text: str, values: Mapping[str, str]) -> list[Edit]:
    """Return parts that are named and added up, put together; what names them goes, its quotes say nothing."""
    known = "|".join(sorted(map(re.escape, islice(values, _MOST_NAMES)), key=len, reverse=True))
    bare, name = rf"\b(?:{known})\b", re.compile(rf"\b(?:{known})\b")
    expression = re.compile(rf"(?<![\w\"']){bare}(?:{_JOINED}{bare})+|(?:\{{(?:{known})\}}){{2,}}")
    edits = [
        Edit(match.start(), match.end(), "".join(values[each] for each in name.findall(match[0])))
        for match in expression.finditer(text)
    ]
    return [*(Edit(*match.span(), "") for match in _ASSIGNED.finditer(text)), *edits] if edits else []


def _listed(text: str, whole: str, vocabulary: Vocabulary) -> list[Edit]:
    """Parts that are named and never added up in a way that is understood: all of them, in order, after the text."""
    return [Edit(len(text), len(text), f" {whole}")] if vocabulary.speaks(whole) else []
