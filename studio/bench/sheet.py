"""The picture sheet of `studio bench mini`: every judged picture, green rim if right and red if wrong."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from editing.rasters import Pixels
from studio.bench.mini import Judged

_CELL = 160  # side of a picture on the sheet, pixels
_INSET = 56  # side of what was given, pixels
_CAPTION = 26
_COLUMNS = 12
_RIGHT, _WRONG, _INK, _PAPER = (40, 160, 60), (210, 50, 50), (30, 30, 30), (250, 250, 250)
_BORDER_LIMIT = 6.0  # CIE dE, the target
_EDGE_LIMIT = 0.6  # F1, the target


def draw_judged(judged: Sequence[Judged]) -> Image.Image:
    """Draw what the judge saw.

    Args:
        judged: Pictures, grouped by operation.

    Returns:
        One picture, sRGB.
    """
    rows: list[Pixels] = []
    for operation in dict.fromkeys(one.operation for one in judged):
        group = [one for one in judged if one.operation == operation]
        rows.append(_heading(f"{operation}: mean {np.mean([one.score for one in group]):.3f}"))
        cells = [_cell(one) for one in group]
        for first in range(0, len(cells), _COLUMNS):
            row = cells[first : first + _COLUMNS]
            blank = np.full_like(row[0], _PAPER[0])
            rows.append(np.concatenate([*row, *[blank] * (_COLUMNS - len(row))], axis=1))
    return Image.fromarray(np.concatenate(rows))


def is_right(one: Judged) -> bool:
    """Say whether a score reaches its target."""
    if one.operation == "outpaint":
        return one.score <= _BORDER_LIMIT
    return one.score >= (_EDGE_LIMIT if one.operation.startswith("edges") else 1.0)


def _cell(one: Judged) -> Pixels:
    """Draw one picture with its prompt; what the engine was given is inset at half its size, at the bottom right."""
    both = _fit(one.after)
    if one.before is not None:
        inset = np.asarray(cv2.resize(_fit(one.before), (_INSET, _INSET), interpolation=cv2.INTER_AREA), np.uint8)
        both[-_INSET - 2 :, -_INSET - 2 :] = _PAPER[0]
        both[-_INSET:, -_INSET:] = inset
    framed = cv2.copyMakeBorder(both, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=_RIGHT if is_right(one) else _WRONG)
    caption = np.full((_CAPTION, framed.shape[1], 3), _PAPER[0], np.uint8)
    words = one.prompt.removesuffix(" background") or "(no words)"
    for line, text in enumerate((words[:27], words[27:54])):
        cv2.putText(caption, text, (3, 10 + 11 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.32, _INK, 1, cv2.LINE_AA)
    return np.concatenate([np.asarray(framed, np.uint8), caption])


def _fit(picture: Pixels) -> Pixels:
    """Scale a picture into a square cell, keeping its aspect."""
    scale = _CELL / max(picture.shape[:2])
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    cell = np.full((_CELL, _CELL, 3), _PAPER[0], np.uint8)
    cell[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return cell


def _heading(text: str) -> Pixels:
    band = np.full((28, _COLUMNS * (_CELL + 6), 3), _PAPER[0], np.uint8)
    cv2.putText(band, text, (6, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, _INK, 1, cv2.LINE_AA)
    return band
