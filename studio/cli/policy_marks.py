"""A text with stretches marked, for a terminal: highlighted, and underlined with carets for those without colour."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

MARK = "bold black on yellow"

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_STAND_IN = "·"
_MARGIN = 8
"""Cells of text shown before and after a marked stretch when the rest is left out."""


def marked(text: str, spans: Iterable[tuple[int, int]], width: int) -> list[Text]:
    """Lay out a text in rows with what is marked.

    What cannot be seen stands as `·`, so that disguises show and no text steers the terminal.

    Args:
        text: Any text.
        spans: Stretches to mark, in code points, end excluded; may overlap.
        width: Cells a row may have, 20 or more.

    Returns:
        Rows of the text, each that holds a mark followed by a row of carets. Rows without marks are left out where the
        text takes more than three; `...` stands for them.
    """
    marks = [False] * len(text)
    for start, end in spans:
        for position in range(max(start, 0), min(end, len(text))):
            marks[position] = True
    rows = list(_rows([_shown(character) for character in text], width))
    short = len(rows) <= 3  # noqa: PLR2004 - said above
    lines: list[Text] = []
    left_out = False
    for start, end in rows:
        kept = marks[start:end]
        if not any(kept) and not short:
            left_out = True
            continue
        if left_out:
            lines.append(Text("...", style="dim"))
        left_out = False
        lines += _row(text[start:end], kept)
    if left_out:
        lines.append(Text("...", style="dim"))
    return lines


def _shown(character: str) -> str:
    return _STAND_IN if unicodedata.category(character) in _HIDDEN else character


def _rows(shown: Sequence[str], width: int) -> Iterator[tuple[int, int]]:
    """Yield first and last code point of each row: broken at a space if there is one late enough, else anywhere."""
    start = 0
    while start < len(shown):
        cells, end = 0, start
        while end < len(shown) and cells + cell_len(shown[end]) <= width:
            cells += cell_len(shown[end])
            end += 1
        if end < len(shown):
            late = [place for place in range(max(start + 1, end - _MARGIN * 2), end) if shown[place - 1] == " "]
            end = late[-1] if late else max(end, start + 1)
        yield start, end
        start = end


def _row(piece: str, marks: Sequence[bool]) -> list[Text]:
    line, carets = Text(), ""
    for character, mark in zip(piece, marks, strict=True):
        shown = _shown(character)
        line.append(shown, style=MARK if mark else "")
        carets += ("^" if mark else " ") * cell_len(shown)
    return [line, Text(carets.rstrip(), style="yellow")] if any(marks) else [line]
