"""What of a request, and of a result, is screened: everything. Pure translation from `editing` to `policy`."""

import numpy as np

from editing import EditedImage, Raster
from editing.colour import srgb_pixels
from policy import PictureSubject, Subject, TextSubject
from studio.jobs.operations import Built


def of_request(built: Built) -> list[Subject]:
    """The prompt and every picture that came in: the image, the mask, the control images."""
    found: list[Subject] = []
    if built.prompt is not None:
        found.append(TextSubject(name="prompt", text=built.prompt))
    found += [of_picture(each.role, each.raster, each.facts.file.file_sha256) for each in built.sources]
    return found


def of_output(edited: EditedImage) -> list[Subject]:
    """The whole finished picture."""
    return [of_picture("output", edited.raster)]


def of_picture(name: str, raster: Raster, file_sha256: str | None = None) -> PictureSubject:
    """One picture, as a person would see it: sRGB, nothing hidden behind transparency left out."""
    return PictureSubject(
        name=name,
        pixels=np.ascontiguousarray(srgb_pixels(raster)),
        pixel_sha256=raster.pixel_sha256,
        file_sha256=file_sha256,
    )
