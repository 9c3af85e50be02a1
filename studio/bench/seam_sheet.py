"""The picture sheet of `studio bench seams`: borders enlarged, method beside method.

Every case is shown twice: the crop that the model saw, and a window on its border, four times enlarged without
smoothing. The window lies where *our* border shows most, so that the sheet cannot flatter us.
"""

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from editing.colour import lab
from editing.rasters import Mask, Pixels
from studio.bench.seams import METHODS, SeamScores, SeamTrial

WINDOW: Final = 56
"""Side of the enlarged window, in pixels of the picture."""
ZOOM: Final = 4
_CELL: Final = WINDOW * ZOOM
_GAP: Final = 8
_FOOT: Final = 24
_HEAD: Final = 58
_INK, _SOFT, _PAPER = (32, 36, 42), (104, 112, 122), (250, 250, 248)
_OUTLINE: Final = (255, 40, 200)
_BEST: Final = (22, 120, 60)
_REACH: Final = 7  # pixels about a border place whose two sides are compared
_SHOWN: Final = ("plain", "template", "ours")


def draw_seams(scores: SeamScores) -> Image.Image:
    """Draw every case.

    Args:
        scores: The benchmark's outcome.

    Returns:
        One picture, sRGB: a row for each case.
    """
    columns = 2 * (1 + len(METHODS))
    row = _CELL + _FOOT + _GAP
    sheet = Image.new("RGB", (_GAP + columns * (_CELL + _GAP), _HEAD + row * len(scores.trials)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text(
        (_GAP, 8), "Borders of edits: the same weights, seeds and crops, finished by three methods", _INK, _font(20)
    )
    pen.text(
        (_GAP, 36),
        "Left: what the model saw. Right: four times enlarged, where our own border shows most. "
        "Numbers: dE across the whole border, 3 px to either side; the lowest is green.",
        _SOFT,
        _font(14),
    )
    for number, trial in enumerate(scores.trials):
        _row(sheet, pen, trial, _HEAD + number * row)
    return sheet


def enlarged_border(before: Pixels, after: Pixels, mask: Mask, box: tuple[int, int, int, int]) -> tuple[slice, slice]:
    """Choose the window in which a border shows most.

    Args:
        before: The picture before the edit, uint8 (h, w, 3), sRGB.
        after: The finished picture, of that size.
        mask: float32 (h, w), 1 repaint, 0 keep.
        box: Left, top, right, bottom (exclusive) within which to look.

    Returns:
        Rows and columns of a window of `WINDOW` pixels, or of the picture's size where that is smaller.
    """
    height, width = mask.shape
    left, top, right, bottom = box
    inner = np.s_[top:bottom, left:right]
    # What the edit added to the picture's own steps; a window in place of a pixel, so that one speck does not decide.
    added = _steps(after[inner], mask[inner]) - _steps(before[inner], mask[inner])
    smooth = cv2.GaussianBlur(np.maximum(added, 0.0), (0, 0), WINDOW / 6)
    y, x = np.unravel_index(int(smooth.argmax()), smooth.shape)
    spans = []
    for middle, length in ((top + int(y), height), (left + int(x), width)):
        start = min(max(0, middle - WINDOW // 2), max(0, length - WINDOW))
        spans.append(slice(start, min(length, start + WINDOW)))
    return spans[0], spans[1]


def outlined(pixels: Pixels, mask: Mask) -> Pixels:
    """Draw a mask's border on a picture, just outside the mask; uint8 (h, w, 3)."""
    hard = (mask > 0).astype(np.uint8)
    drawn = pixels.copy()
    drawn[cv2.dilate(hard, np.ones((3, 3), np.uint8)) > hard] = _OUTLINE
    return drawn


def _steps(pixels: Pixels, mask: Mask) -> npt.NDArray[np.float32]:
    """Colour step between the two sides about each border pixel, CIE76 dE; 0 elsewhere."""
    seen = lab(pixels)
    hard = (mask > 0).astype(np.float32)
    means = []
    for side in (hard, 1.0 - hard):
        share = cv2.blur(side, (_REACH, _REACH))[:, :, None]
        means.append(cv2.blur(seen * side[:, :, None], (_REACH, _REACH)) / np.maximum(share, 1e-6))
    border = cv2.dilate(hard, np.ones((3, 3))) > cv2.erode(hard, np.ones((3, 3)))
    return np.asarray(np.linalg.norm(means[0] - means[1], axis=2) * border, np.float32)


def _row(sheet: Image.Image, pen: ImageDraw.ImageDraw, trial: SeamTrial, top: int) -> None:
    case = trial.case
    left, upper, right, lower = trial.box
    window = enlarged_border(case.before, trial.after["ours"], case.mask, trial.box)
    marked = outlined(case.before, case.mask)
    pictures = [marked, *(trial.after[name] for name in _SHOWN)]
    best = min(METHODS, key=lambda name: trial.measures[name].border_de)
    name = case.photograph.split(".")[0]
    labels = [
        f"{case.number} {name}, {case.kind}",
        *(f"{method} {trial.measures[method].border_de:.1f}" for method in _SHOWN),
    ]
    for place, (pixels, label) in enumerate(zip(pictures, labels, strict=True)):
        near_label = label if place else (case.prompt or "(no words)")
        ink = _BEST if label.startswith(f"{best} ") else _INK
        cells = (_fitted(pixels[upper:lower, left:right]), label), (_fitted(pixels[window]), near_label)
        for half, (cell, text) in enumerate(cells):
            x = _GAP + (place + half * len(pictures)) * (_CELL + _GAP)
            sheet.paste(cell, (x, top))
            pen.text((x, top + _CELL + 2), text, ink, _font(14))


def _fitted(pixels: Pixels) -> Image.Image:
    """Scale a part into a cell: small parts by whole pixels, larger ones smoothly."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    scale = _CELL / max(picture.size)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    smooth = Image.Resampling.LANCZOS if scale < ZOOM else Image.Resampling.NEAREST
    return picture.resize(size, smooth)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
