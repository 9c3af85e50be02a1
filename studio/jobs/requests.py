"""The shapes of the requests: what a client sends, and what a job keeps of it.

Types and unknown fields are judged here; ranges are judged by `editing`, once, for every face. The same shapes are
stored with the job, with every picture replaced by its digest and the prompt moved to the vault.
"""

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from editing import ControlKind, ControlMode, Intent, Join, Prefill, Route
from editing.blending import BLEND_PIXELS, SEAM_LIMIT, SEAM_RETRIES
from editing.decoding import MaskPolarity
from editing.encoding import OutputFormat
from editing.guides import CANNY_THRESHOLD, CONTROL_SCALE, MAX_CONTROLS
from editing.operations import GUIDANCE, SEED, SIDE, STEPS
from policy import TEXT_LIMIT
from studio.jobs.variants import VARIANTS

LARGEST = 10**30
_DIGITS = 20
"""Decimal digits of the largest seed; a longer text is not turned into a number at all."""


def _within(limits: tuple[float, float]) -> dict[str, Any]:
    return {"minimum": limits[0], "maximum": limits[1]}


def _text(value: str) -> str:
    if len(value) > TEXT_LIMIT:
        raise PydanticCustomError(
            "text_too_long",
            "text may have up to {limit} characters, got {value}; nothing is cut off before it is screened",
            {"limit": TEXT_LIMIT, "value": len(value)},
        )
    if "\0" in value or any(0xD800 <= ord(each) <= 0xDFFF for each in value):  # noqa: PLR2004 - surrogates
        raise PydanticCustomError("text_invalid", "text must be Unicode without NUL and lone surrogates", {})
    return value


def _seed(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise PydanticCustomError("request_invalid", "seed must be a whole number, or one as a decimal text", {})
    text = str(value) if isinstance(value, str) or abs(value) < 10**_DIGITS else "9" * (_DIGITS + 1)
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise PydanticCustomError("request_invalid", "seed must be a whole number, or one as a decimal text", {})
    if len(digits) > _DIGITS or not SEED[0] <= int(text) <= SEED[1]:
        raise PydanticCustomError(
            "seed_out_of_range",
            "seed must lie in 0..{limit}, got {value}",
            {"limit": str(SEED[1]), "value": text[:40]},
        )
    return int(text)


def _whole(value: int) -> int:
    if abs(value) > LARGEST:
        raise PydanticCustomError(
            "request_invalid", "a whole number may have up to {limit} digits", {"limit": len(str(LARGEST)) - 1}
        )
    return value


def _no_boolean(value: object) -> object:
    """A boolean would pass as 0 or 1: `n: true` asks for nothing that can be known."""
    if isinstance(value, bool):
        raise PydanticCustomError("request_invalid", "a number is wanted, got {value}", {"value": value})
    return value


Whole = Annotated[int, BeforeValidator(_no_boolean), AfterValidator(_whole)]
"""A whole number that every message can print; what it may be is judged by `editing`."""
Number = Annotated[float, BeforeValidator(_no_boolean)]
"""A number; what it may be is judged by `editing`."""
Text = Annotated[str, AfterValidator(_text), Field(json_schema_extra={"maxLength": TEXT_LIMIT})]
Seed = Annotated[
    int,
    BeforeValidator(_seed),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]{1,20}$"}],
            "description": "Seed of the noise, 0..2^64-1; as text where your JSON numbers are not exact. "
            "Drawn and recorded if absent.",
        }
    ),
]
Picture = Annotated[
    str,
    Field(
        min_length=1,
        description="Base64 of a picture file (a data: URI is fine too), or the digest of an image of yours: "
        "64 hex digits, `sha256:` before them if you like.",
    ),
]
Strength = Annotated[
    Number | None,
    Field(json_schema_extra={"exclusiveMinimum": 0, "maximum": 1}, description="Share of the schedule that is run."),
]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ControlShape(_Shape):
    """A control image that steers structure."""

    kind: ControlKind = ControlKind.CANNY
    image: Picture | None = Field(None, description="Where edges are taken from; absent: the picture being edited.")
    mode: ControlMode = Field(ControlMode.PREPROCESS, description="Find edges in the image, or use it as it is.")
    low: Whole = Field(100, json_schema_extra=_within(CANNY_THRESHOLD), description="Lower Canny threshold.")
    high: Whole = Field(200, json_schema_extra=_within(CANNY_THRESHOLD), description="Upper Canny threshold.")
    scale: Number | None = Field(None, json_schema_extra=_within(CONTROL_SCALE), description="Conditioning scale.")
    start: Number | None = Field(None, json_schema_extra=_within((0, 1)), description="Share of steps where it begins.")
    end: Number | None = Field(None, json_schema_extra=_within((0, 1)), description="Share of steps where it ends.")
    checkpoint: str | None = Field(None, max_length=200, description="A ControlNet of the catalogue.")


class _Request(_Shape):
    operation: ClassVar[str]
    pictures: ClassVar[tuple[str, ...]] = ()

    checkpoint: str | None = Field(
        None, max_length=200, description="Name in GET /v1/models. That one runs, or none; absent: the default."
    )
    steps: Whole | None = Field(None, json_schema_extra=_within(STEPS), description="Denoising steps.")
    guidance: Number | None = Field(None, json_schema_extra=_within(GUIDANCE), description="FLUX's distilled guidance.")
    seed: Seed | None = None
    n: Whole = Field(
        VARIANTS[0],
        json_schema_extra=_within(VARIANTS),
        description="Pictures to make, each on a seed of its own: the first on `seed`, the others on seeds derived "
        "from it. All of them pass the policy, or none is given out.",
    )
    output_format: OutputFormat = Field(OutputFormat.PNG, description="PNG and lossless WebP keep every pixel exactly.")
    quality: Whole | None = Field(None, ge=1, le=100, description="Quality of lossy formats, 1..100.")


class _Blended(_Request):
    intent: Intent | None = Field(
        None,
        description="What the edit is for; it chooses the defaults below. inpaint: fill, add or replace_background; "
        "erase: remove; outpaint: expand.",
    )
    grow: Whole | None = Field(
        None, json_schema_extra=_within(BLEND_PIXELS), description="Pixels by which the model's mask is widened."
    )
    soften: Whole | None = Field(
        None,
        json_schema_extra=_within(BLEND_PIXELS),
        description="Pixels beyond that over which the model's mask fades; what is fainter is painted later.",
    )
    feather: Whole | None = Field(
        None, json_schema_extra=_within(BLEND_PIXELS), description="Pixels of soft edge, inside the mask."
    )
    context: Whole | None = Field(
        None, json_schema_extra=_within(BLEND_PIXELS), description="Pixels of surroundings that the model sees."
    )
    prefill: Prefill | None = Field(
        None, description="What lies under the mask at the start; refused where the model starts from noise alone."
    )
    join: Join | None = Field(
        None, description="Lay the result over the picture through a soft edge, or by gradients; absent: as fits."
    )
    match_grain: bool = Field(default=True, description="Give what was painted the noise of what was kept.")
    match_colour: bool = Field(default=True, description="Take the model's colour shift out.")
    seam_limit: Number | None = Field(
        None,
        json_schema_extra=_within(SEAM_LIMIT),
        description="Paint again on a derived seed while the seam score is over this; the best try is kept.",
    )
    seam_retries: Whole | None = Field(
        None, json_schema_extra=_within(SEAM_RETRIES), description="How often at most; 1 if only seam_limit is given."
    )


class _Routed(_Shape):
    strength: Strength = None
    route: Route | None = Field(
        None, description="How the model is made to paint only a part; absent: as its checkpoint does best."
    )
    inpainting_controlnet: str | None = Field(
        None, max_length=200, description="A ControlNet of the catalogue that reads the masked picture."
    )


class _Masked(_Blended):
    image: Picture
    mask: Picture
    mask_polarity: MaskPolarity = Field(
        MaskPolarity.AUTO,
        description="Which part of the mask is edited: white, black, transparent; auto: transparent if the mask has "
        "transparency (the OpenAI rule), else white.",
    )
    threshold: Number | None = Field(
        None,
        json_schema_extra={"exclusiveMinimum": 0, "maximum": 1},
        description="Make the mask hard: from this value on all is repainted, the rest is kept.",
    )
    spill: bool = Field(
        default=False, description="Let the soft edge leave the mask; recorded as exact_outside_mask: false."
    )


class GenerateRequest(_Request):
    """Make a picture from text."""

    operation: ClassVar[str] = "generate"
    prompt: Text
    width: Whole | None = Field(None, json_schema_extra=_within(SIDE), description="Columns; any number of pixels.")
    height: Whole | None = Field(None, json_schema_extra=_within(SIDE), description="Rows.")
    controls: tuple[ControlShape, ...] = Field((), max_length=MAX_CONTROLS)


class Img2ImgRequest(_Request):
    """Make a whole picture anew, starting from one that is there."""

    operation: ClassVar[str] = "img2img"
    pictures: ClassVar[tuple[str, ...]] = ("image",)
    prompt: Text
    image: Picture
    strength: Strength = None
    width: Whole | None = Field(
        None, json_schema_extra=_within(SIDE), description="Columns, with height; absent: the picture's own size."
    )
    height: Whole | None = Field(None, json_schema_extra=_within(SIDE), description="Rows, with width.")


class InpaintRequest(_Masked, _Routed):
    """Repaint the masked part of a picture from a prompt."""

    operation: ClassVar[str] = "inpaint"
    pictures: ClassVar[tuple[str, ...]] = ("image", "mask")
    prompt: Text
    controls: tuple[ControlShape, ...] = Field((), max_length=MAX_CONTROLS)


class OutpaintRequest(_Blended, _Routed):
    """Extend a picture, by margins or to an absolute canvas."""

    operation: ClassVar[str] = "outpaint"
    pictures: ClassVar[tuple[str, ...]] = ("image",)
    prompt: Text = ""
    image: Picture
    top: Whole | None = Field(None, description="Pixels to add above.")
    right: Whole | None = Field(None, description="Pixels to add on the right.")
    bottom: Whole | None = Field(None, description="Pixels to add below.")
    left: Whole | None = Field(None, description="Pixels to add on the left.")
    width: Whole | None = Field(None, description="Columns of the whole canvas; instead of margins.")
    height: Whole | None = Field(None, description="Rows of the whole canvas.")
    offset_x: Whole | None = Field(None, description="Columns left of the picture; absent: centred.")
    offset_y: Whole | None = Field(None, description="Rows above the picture; absent: centred.")


class EraseRequest(_Masked):
    """Remove what the mask covers."""

    operation: ClassVar[str] = "erase"
    pictures: ClassVar[tuple[str, ...]] = ("image", "mask")


Request = GenerateRequest | Img2ImgRequest | InpaintRequest | OutpaintRequest | EraseRequest

REQUESTS: dict[str, type[Request]] = {
    each.operation: each for each in (GenerateRequest, Img2ImgRequest, InpaintRequest, OutpaintRequest, EraseRequest)
}
