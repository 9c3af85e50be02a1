"""The pictures the demo sends: photographs that a dependency ships, masks and edges drawn here."""

from importlib import resources
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""uint8 (h, w, 3), sRGB, 0..255."""


def photograph() -> Pixels:
    """A cup of coffee on a table, 600x400 (scikit-image, CC0 by Rachel Michetti)."""
    return _shipped("coffee.png")


def photograph_mask() -> npt.NDArray[np.uint8]:
    """A soft-cornered patch of the table, in the top right; uint8 (400, 600), 255 is edited."""
    mask = np.zeros((400, 600), np.uint8)
    cv2.circle(mask, (518, 78), 62, 255, -1, cv2.LINE_AA)
    return mask


def cat() -> Pixels:
    """A cat's face, 451x300 (scikit-image, CC0 by Stefan van der Walt)."""
    return _shipped("chelsea.png")


def outline() -> Pixels:
    """A drawing whose edges steer the guided picture: a triangle beside a square; uint8 (128, 128, 3)."""
    paper = np.full((128, 128, 3), 225, np.uint8)
    cv2.fillPoly(paper, [np.array([[38, 34], [14, 86], [62, 86]], np.int32)], (60, 60, 60), cv2.LINE_AA)
    cv2.rectangle(paper, (78, 44), (114, 80), (60, 60, 60), -1)
    return paper


def around_what_stands_out(picture: Pixels, margin: int = 6) -> npt.NDArray[np.uint8]:
    """A mask over whatever differs from the picture's border colour; uint8 (h, w), 255 is edited."""
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    border = np.concatenate([lab[:6].reshape(-1, 3), lab[-6:].reshape(-1, 3), lab[:, :6].reshape(-1, 3)])
    away = np.linalg.norm(lab - np.median(border, axis=0), axis=2) > 28  # noqa: PLR2004 - well beyond a gradient
    mask = away.astype(np.uint8) * 255
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return np.asarray(cv2.dilate(mask, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)))


def overlay(picture: Pixels, mask: npt.NDArray[np.uint8]) -> Pixels:
    """Show a mask on its picture, as a red veil."""
    weight = mask[..., None].astype(np.float32) / 255 * 0.6
    return np.rint(picture * (1 - weight) + np.array([230, 40, 40]) * weight).astype(np.uint8)


def save(pixels: npt.NDArray[np.uint8], path: Path, **options: int) -> Path:
    """Write a picture; the suffix says how."""
    Image.fromarray(pixels).save(path, format=None, **options)
    return path


def _shipped(name: str) -> Pixels:
    """A photograph from scikit-image's wheel, read as a file: importing skimage takes seconds."""
    with Image.open(str(resources.files("skimage").joinpath("data", name))) as image:
        return np.asarray(image.convert("RGB"))
