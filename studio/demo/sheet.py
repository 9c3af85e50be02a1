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
TILE: Final = 128
"""Side of a picture in a table: the size at which flux-mini draws."""
TILE_GAP: Final = 6
TILE_HEAD: Final = 20
TILE_FOOT: Final = 50


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

    @property
    def height(self) -> int:
        """Pixels this panel is high."""
        return HEAD + CELL[1] + FOOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table.

    Attributes:
        head: What it is about.
        pictures: From top to bottom.
        foot: What was asked, in at most three lines.
    """

    head: str
    pictures: Sequence[Image.Image]
    foot: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Many small pictures in columns of one story each.

    Attributes:
        title: What they are about.
        table: Its columns, all of one height; up to nine beside each other.
        note: How to read a column.
        columns: Cells this panel takes.
    """

    title: str
    table: Sequence[Column]
    note: str = ""
    columns: int = 4

    @property
    def height(self) -> int:
        """Pixels this panel is high."""
        tiles = max(len(column.pictures) for column in self.table)
        return HEAD + TILE_HEAD + tiles * (TILE + TILE_GAP) + TILE_FOOT + (24 if self.note else 0)


def draw_sheet(panels: Sequence[Panel | Table], *, columns: int = 4) -> Image.Image:
    """Lay panels out in rows of at most `columns` cells.

    Args:
        panels: What to show, in order.
        columns: Cells in a row.

    Returns:
        The sheet, RGB.
    """
    rows = _rows(panels, columns)
    width = GAP + columns * (CELL[0] + GAP)
    heights = [max(panel.height for panel in row) for row in rows]
    height = 64 + sum(heights) + len(rows) * GAP + GAP
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP, 14), "Studio", INK, _font(28))
    pen.text((GAP + 108, 24), "generated, edited, screened and recorded on this machine", SOFT, _font(15))
    top = 64
    for row, row_height in zip(rows, heights, strict=True):
        left = GAP
        for panel in row:
            span = panel.columns * (CELL[0] + GAP) - GAP
            if isinstance(panel, Table):
                _table(sheet, pen, panel, (left, top, span))
            else:
                _panel(sheet, pen, panel, (left, top, span))
            left += span + GAP
        top += row_height + GAP
    return sheet


def _rows(panels: Sequence[Panel | Table], columns: int) -> list[list[Panel | Table]]:
    rows: list[list[Panel | Table]] = [[]]
    for panel in panels:
        if sum(each.columns for each in rows[-1]) + panel.columns > columns:
            rows.append([])
        rows[-1].append(panel)
    return rows


def _panel(sheet: Image.Image, pen: ImageDraw.ImageDraw, panel: Panel, place: tuple[int, int, int]) -> None:
    left, top, span = place
    bottom = top + panel.height
    _card(pen, panel.title, (left, top, left + span, bottom), STOP if panel.text else INK)
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


def _table(sheet: Image.Image, pen: ImageDraw.ImageDraw, panel: Table, place: tuple[int, int, int]) -> None:
    left, top, span = place
    bottom = top + panel.height
    _card(pen, panel.title, (left, top, left + span, bottom), INK)
    x = left + 10
    for column in panel.table:
        y = top + HEAD
        pen.text((x, y), column.head, SOFT, _font(13))
        y += TILE_HEAD
        for picture in column.pictures:
            sheet.paste(picture.convert("RGB").resize((TILE, TILE), Image.Resampling.LANCZOS), (x, y))
            y += TILE + TILE_GAP
        for line in _wrap(column.foot, TILE, pen, 12)[:3]:
            pen.text((x, y), line, INK, _font(12))
            y += 15
        x += TILE + TILE_GAP
    if panel.note:
        pen.text((left + 10, bottom - 22), _shorten(panel.note, span - 20, pen), SOFT, _font(13))


def _card(pen: ImageDraw.ImageDraw, title: str, box: tuple[int, int, int, int], ink: tuple[int, int, int]) -> None:
    pen.rounded_rectangle(box, 8, CARD, LINE)
    pen.text((box[0] + 10, box[1] + 8), title, ink, _font(17))


def _fit(picture: Image.Image) -> Image.Image:
    scale = min((CELL[0] - 8) / picture.width, CELL[1] / picture.height)
    if 1.0 <= scale < EXACT:
        return picture.convert("RGB")
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def _wrap(text: str, width: int, pen: ImageDraw.ImageDraw, size: int = 15) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if pen.textlength(longer, _font(size)) > width:
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
