"""An independent judge of the LoRAs' styles: is it drawn so, and does it still show what was asked for?"""

import cv2
import numpy as np
import numpy.typing as npt

from editing.mini.drawing import Picture
from editing.mini.judge import SMALLEST_PATCH, kind_of

_NIGHT = 64  # levels: a ground behind neon is darker
_LIT = 16  # levels above the ground, of the strongest channel: the dimmest tube
_REACH = 31  # pixels within which a tube outshines its own glow
_SHARE = 0.45
_CORE = 0.8  # of the depth of its deepest pixel: what is deeper is a shape's middle
_HOLLOW = 0.5  # of the middle; a tube leaves it dark
_CONTRAST = 40.0  # levels between one band of a striped shape and the next
_BAND = 8  # pixels, as `editing.mini.styles` draws them


def neon_kinds(picture: Picture) -> list[str] | None:
    """Read the neon tubes of a picture.

    Args:
        picture: uint8 (h, w, 3), sRGB.

    Returns:
        The shapes that its tubes draw, from left to right, each of `KINDS` or "unclear"; None if it is not drawn in
        neon: the ground is bright, nothing glows, or a shape is filled.
    """
    light = cv2.medianBlur(picture, 3).max(axis=-1).astype(np.int16)
    ground = int(np.median(light))
    if ground > _NIGHT:
        return None
    above = np.clip(light - ground, 0, 255).astype(np.uint8)
    brightest = cv2.dilate(above, np.ones((_REACH, _REACH), np.uint8))
    lit = ((above > _LIT) & (above > _SHARE * brightest)).astype(np.uint8)  # its glow is half as bright as a tube
    contours, _ = cv2.findContours(lit, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    found: list[tuple[float, str]] = []
    for each in contours:
        contour = np.asarray(each, np.int32)
        inside = _filled(contour, lit.shape)
        if inside.mean() < SMALLEST_PATCH:
            continue
        depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
        if lit[depth >= _CORE * depth.max()].mean() > _HOLLOW:
            return None
        found.append((float(contour[:, 0, 0].mean()), kind_of(contour)))
    return [kind for _, kind in sorted(found)] or None


def striped_share(picture: Picture, covered: npt.NDArray[np.bool_]) -> float:
    """Say how much of a picture's shapes is striped as the LoRA was taught.

    Args:
        picture: uint8 (h, w, 3), sRGB.
        covered: bool (h, w), where shapes are.

    Returns:
        Share, 0..1, of the borders between two bands at which the colour steps.
    """
    seen = picture.astype(np.float32)
    steps = []
    for row in range(_BAND, picture.shape[0] - _BAND // 2, _BAND):
        inside = covered[row - _BAND // 2] & covered[row + _BAND // 2 - 1]
        if inside.sum() >= _BAND:
            above = seen[row - _BAND // 2 - 1 : row - _BAND // 2 + 2, inside].mean(0)
            below = seen[row + _BAND // 2 - 2 : row + _BAND // 2 + 1, inside].mean(0)
            steps.append(float(np.abs(above - below).max(-1).mean() > _CONTRAST))
    return float(np.mean(steps)) if steps else 0.0


def _filled(contour: npt.NDArray[np.int32], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    canvas = np.zeros(shape, np.uint8)
    cv2.drawContours(canvas, [contour], -1, 1, -1)
    return canvas > 0
