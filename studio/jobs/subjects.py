"""What of a request, and of a result, is screened: everything. Pure translation from `editing` to `policy`."""

from collections.abc import Sequence

import numpy as np

from editing import EditedImage, Raster
from editing.colour import srgb_pixels
from editing.prompts import texts_seen
from editing.rasters import Pixels
from policy import PictureSubject, Subject, TextSubject, pixel_digest
from studio.jobs.operations import Built

PAPERS = (("white", 255), ("black", 0))
"""What a transparent picture is laid on, so that a drawing in its alpha plane shows on one of them."""


def of_request(built: Built) -> list[Subject]:
    """All words, and every picture that came in: image, mask, control images, references, others."""
    found: list[Subject] = []
    if built.words.prompt is not None:
        found += of_text("prompt", built.words.prompt, built.learnt)
    if built.words.negative:
        found += of_text("negative_prompt", built.words.negative, built.learnt)
    for each in built.sources:
        found += of_picture(each.role, each.raster, each.facts.file.file_sha256)
    return found


def of_text(name: str, text: str, learnt: Sequence[str] = ()) -> list[Subject]:
    """A text as it came and, where weights or learnt words change what a model reads, every way it could read it."""
    read = [each for each in texts_seen(text, learnt) if each != text]
    found: list[Subject] = [TextSubject(name=name, text=text)]
    for number, each in enumerate(read, start=1):
        found.append(TextSubject(name=f"{name} as read" if len(read) == 1 else f"{name} as read[{number}]", text=each))
    return found


def of_output(edited: EditedImage, name: str = "output") -> list[Subject]:
    """The whole finished picture; `name` tells variants apart."""
    return of_picture(name, edited.raster)


def of_picture(name: str, raster: Raster, file_sha256: str | None = None) -> list[Subject]:
    """One picture, every way people could see it: its colours; if it is transparent, laid on white and on black too."""
    pixels = np.ascontiguousarray(srgb_pixels(raster))
    found: list[Subject] = [
        PictureSubject(name=name, pixels=pixels, pixel_sha256=raster.pixel_sha256, file_sha256=file_sha256)
    ]
    if raster.alpha is not None and int(raster.alpha.min()) != int(raster.alpha.max()):
        for paper, level in PAPERS:
            laid = _laid_on(pixels, raster.alpha, level)
            found.append(PictureSubject(name=f"{name} on {paper}", pixels=laid, pixel_sha256=pixel_digest(laid)))
    return found


def _laid_on(pixels: Pixels, alpha: Pixels, level: int) -> Pixels:
    weight = alpha.astype(np.uint32)[..., None]
    return ((pixels * weight + level * (255 - weight) + 127) // 255).astype(np.uint8)
