"""What can be screened: a text or a picture, each with the name of the part of the request it is."""

import hashlib
import re
import struct
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from policy.errors import SubjectError

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PICTURE_AXES = 3
_CHANNELS = 3


class Stage(StrEnum):
    """When something is screened; rules name an action for each."""

    REQUEST = "request"
    INPUT_IMAGE = "input_image"
    OUTPUT_IMAGE = "output_image"


class Wording(StrEnum):
    """What a text is for, which decides how rules read it.

    PROMPT: what to show. NEGATIVE: what not to show; harmless by itself, so that nobody is refused for asking for less,
    but read together with the rest. NAME: of a file, a LoRA, a learnt word. PURPOSE: what the key is for, as declared.
    """

    PROMPT = "prompt"
    NEGATIVE = "negative"
    NAME = "name"
    PURPOSE = "purpose"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSubject:
    """A text, whole: nothing is cut off before it is screened.

    Attributes:
        name: Which part of the request it is, `prompt`.
        text: The text as it came.
        wording: What it is for.
        alternative: Whether it is only another reading of a text that is there already, as a prompt without the syntax
            of its weights.
        negative_from: Code point from which it is negative prompt, for a text that the frame joined; None for others.
    """

    name: str
    text: str
    wording: Wording = Wording.PROMPT
    alternative: bool = False
    negative_from: int | None = None

    @property
    def stage(self) -> Stage:
        """Texts come in with the request."""
        return Stage.REQUEST


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PictureSubject:
    """A picture as people would see it.

    Attributes:
        name: Which part of the request it is: `image`, `mask`, `control[0]`, `output`.
        pixels: uint8 (h, w, 3), sRGB, 0..255; kept as a read-only view.
        pixel_sha256: Digest of the raster the pixels were made from, lower hex; see `pixel_digest`.
        file_sha256: Digest of the uploaded file, lower hex; None where there is none, as for an output.
        stage: INPUT_IMAGE or OUTPUT_IMAGE.

    Raises:
        SubjectError: `pixels` is not a non-empty uint8 (h, w, 3), or a digest is not 64 lower hex digits.
    """

    name: str
    pixels: NDArray[np.uint8]
    pixel_sha256: str
    file_sha256: str | None = None
    stage: Stage = Stage.INPUT_IMAGE

    def __post_init__(self) -> None:
        check_pixels(self.pixels, self.name)
        # A view that cannot be written through: no screener changes what the next one, or the edit, will see.
        pixels = self.pixels.view()
        pixels.flags.writeable = False
        object.__setattr__(self, "pixels", pixels)
        for field, digest in (("pixel_sha256", self.pixel_sha256), ("file_sha256", self.file_sha256)):
            if digest is not None and not _DIGEST.fullmatch(digest):
                raise SubjectError(f"{field} of {self.name} must be 64 lower hex digits")


Subject = TextSubject | PictureSubject


def check_pixels(pixels: NDArray[np.uint8], name: str) -> None:
    """Check that an array is a picture.

    Args:
        pixels: Should be uint8 (h, w, 3), not empty.
        name: The subject's name, for the message.

    Raises:
        SubjectError: It is not.
    """
    if pixels.ndim != _PICTURE_AXES or pixels.shape[2] != _CHANNELS or pixels.size == 0 or pixels.dtype != np.uint8:
        raise SubjectError(f"pixels of {name} must be uint8 (h, w, 3), got {pixels.dtype} {pixels.shape}")


def pixel_digest(pixels: NDArray[np.uint8]) -> str:
    """Digest a raster without alpha, whatever file format carried it.

    Args:
        pixels: uint8 (h, w, 3), 0..255.

    Returns:
        SHA-256, lower hex, of `RGB8`, width and height as big-endian 32-bit numbers, and the raster row by row.
    """
    height, width = pixels.shape[:2]
    digest = hashlib.sha256(b"RGB8" + struct.pack(">II", width, height))
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()
