"""The contact sheet: panels of pictures with a title and a line of text each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageDraw, ImageFont

CELL: Final = (300, 225)
"""Room for one picture, in pixels."""
EXACT: Final = 1.05
"""Pictures that fill the room to within this factor are shown pixel for pixel: enlargements stay what they are."""
GAP: Final = 14
HEAD: Final = 34
FOOT: Final = 44
INK: Final = (32, 36, 42)
SOFT: Final = (104, 112, 122)
PAPER: Final = (250, 250, 248)
CARD: Final = (255, 255, 255)
LINE: Final = (224, 226, 230)
STOP: Final = (178, 34, 34)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One story: pictures side by side, what they show, and what was asked.

    Attributes:
        title: The operation.
        pictures: (label, picture) from left to right; none for a panel of text.
        note: What was asked.
        text: Lines shown in place of pictures.
        cells: Room it takes where it has no pictures.
    """

    title: str
    pictures: Sequence[tuple[str, Image.Image]] = ()
    note: str = ""
    text: Sequence[str] = ()
    cells: int = 2

    @property
    def columns(self) -> int:
        """Cells this panel takes."""
        return len(self.pictures) or self.cells


def draw_sheet(panels: Sequence[Panel], *, columns: int = 4) -> Image.Image:
    """Lay panels out in rows of at most `columns` cells.

    Args:
        panels: What to show, in order.
        columns: Cells in a row.

    Returns:
        The sheet, RGB.
    """
    rows = _rows(panels, columns)
    width = GAP + columns * (CELL[0] + GAP)
    height = 64 + len(rows) * (HEAD + CELL[1] + FOOT + GAP) + GAP
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP, 14), "Studio", INK, _font(28))
    pen.text((GAP + 108, 24), "generated, edited, screened and recorded on this machine", SOFT, _font(15))
    for row_number, row in enumerate(rows):
        top = 64 + row_number * (HEAD + CELL[1] + FOOT + GAP)
        left = GAP
        for panel in row:
            span = panel.columns * (CELL[0] + GAP) - GAP
            _panel(sheet, pen, panel, (left, top, span))
            left += span + GAP
    return sheet


def _rows(panels: Sequence[Panel], columns: int) -> list[list[Panel]]:
    rows: list[list[Panel]] = [[]]
    for panel in panels:
        if sum(each.columns for each in rows[-1]) + panel.columns > columns:
            rows.append([])
        rows[-1].append(panel)
    return rows


def _panel(sheet: Image.Image, pen: ImageDraw.ImageDraw, panel: Panel, place: tuple[int, int, int]) -> None:
    left, top, span = place
    bottom = top + HEAD + CELL[1] + FOOT
    pen.rounded_rectangle((left, top, left + span, bottom), 8, CARD, LINE)
    pen.text((left + 10, top + 8), panel.title, STOP if panel.text else INK, _font(17))
    for index, (label, picture) in enumerate(panel.pictures):
        cell_left = left + index * (CELL[0] + GAP)
        shown = _fit(picture)
        x = cell_left + (CELL[0] - shown.width) // 2
        y = top + HEAD + (CELL[1] - shown.height) // 2
        sheet.paste(shown, (x, y))
        pen.text((cell_left + 10, top + HEAD + CELL[1] + 4), label, SOFT, _font(13))
    y = top + HEAD + 6
    for text in panel.text:
        for line in _wrap(text, span - 20, pen):
            pen.text((left + 10, y), line, INK, _font(15))
            y += 21
        y += 8
    if panel.note:
        pen.text((left + 10, bottom - 20), _shorten(panel.note, span - 20, pen), INK, _font(13))


def _fit(picture: Image.Image) -> Image.Image:
    scale = min((CELL[0] - 8) / picture.width, CELL[1] / picture.height)
    if 1.0 <= scale < EXACT:
        return picture.convert("RGB")
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def _wrap(text: str, width: int, pen: ImageDraw.ImageDraw) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if pen.textlength(longer, _font(15)) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _shorten(text: str, width: int, pen: ImageDraw.ImageDraw) -> str:
    while pen.textlength(text, _font(13)) > width:
        text = text[:-4].rstrip() + "..."
    return text


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
