"""What of a request, and of a result, is screened: everything. Pure translation from `editing` to `policy`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from editing import EditedImage, Raster
from editing.colour import srgb_pixels
from editing.prompts import texts_seen
from editing.rasters import Pixels
from policy import PictureSubject, Subject, TextSubject, Wording, pixel_digest
from studio.jobs.operations import Built

PURPOSE = "purpose"
"""Name of the subject that holds what a key is for."""
PAPERS = (("white", 255), ("black", 0))
"""What a transparent picture is laid on, so that a drawing in its alpha plane shows on one of them."""


def of_request(built: Built, parameters: Mapping[str, Any], purpose: str) -> list[Subject]:
    """All words, and every picture that came in: image, mask, control images, references, others.

    Args:
        built: The request.
        parameters: The job's, for the names in it.
        purpose: What its key is for.
    """
    found: list[Subject] = []
    if built.words.prompt is not None:
        found += of_text("prompt", built.words.prompt, built.learnt)
    if built.words.negative:
        found += of_text("negative_prompt", built.words.negative, built.learnt, wording=Wording.NEGATIVE)
    found += of_names(parameters)
    found.append(of_purpose(purpose))
    for each in built.sources:
        found += of_picture(each.role, each.raster, each.facts.file.file_sha256)
    return found


def of_names(parameters: Mapping[str, Any]) -> list[Subject]:
    """What people called the files that they uploaded and use here, and how their prompt says them."""
    found: list[Subject] = []
    for group in ("loras", "embeddings"):
        for index, each in enumerate(parameters.get(group, ())):
            if "digest" in each:  # the catalogue's own names are ours
                found.append(of_name(f"{group}[{index}].name", each["name"]))
            if each.get("token") not in {None, each["name"]}:
                found.append(of_name(f"{group}[{index}].token", each["token"]))
    return found


def of_name(name: str, text: str) -> TextSubject:
    """What somebody called something; `name` is its field."""
    return TextSubject(name=name, text=text, wording=Wording.NAME)


def of_purpose(purpose: str) -> TextSubject:
    """What a key is for."""
    return TextSubject(name=PURPOSE, text=purpose, wording=Wording.PURPOSE)


def of_text(name: str, text: str, learnt: Sequence[str] = (), *, wording: Wording = Wording.PROMPT) -> list[Subject]:
    """A text as it came and, where weights or learnt words change what a model reads, every way it could read it."""
    read = [each for each in texts_seen(text, learnt) if each != text]
    found: list[Subject] = [TextSubject(name=name, text=text, wording=wording)]
    for number, each in enumerate(read, start=1):
        place = f"{name} as read" if len(read) == 1 else f"{name} as read[{number}]"
        # The first is what a model certainly reads: it counts as a text of its own where texts are read together.
        found.append(TextSubject(name=place, text=each, wording=wording, alternative=number > 1))
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
