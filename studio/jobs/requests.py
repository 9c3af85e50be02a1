"""The shapes of the requests: what a client sends, and what a job keeps of it.

Types and unknown fields are judged here; ranges are judged by `editing`, once, for every face. The same shapes are
stored with the job, with every picture replaced by its digest and all words moved to the vault.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from editing import ControlKind, Detector, Intent, Join, Prefill, Route
from editing.blending import BLEND_PIXELS, SEAM_LIMIT, SEAM_RETRIES
from editing.decoding import MaskPolarity
from editing.encoding import OutputFormat
from editing.operations import GUIDANCE, MAX_PICTURES, SIDE, STEPS
from policy.tolerance import LAXEST_TOLERANCE
from studio.jobs.fields import Number, Picture, Seed, Shape, Strength, Text, Whole, limits
from studio.jobs.guide_shapes import Guided, High, Low, Worded
from studio.jobs.variants import VARIANTS

AspectRatio = Annotated[
    str | None,
    Field(
        max_length=20,
        description="Such as 16:9, instead of width and height; at the checkpoint's native area.",
    ),
]


class _Screened(Shape):
    safety_tolerance: Whole | None = Field(
        None,
        json_schema_extra=limits((0, LAXEST_TOLERANCE)),
        description="How much the policy lets pass; 0 is the strictest. At most the key's own, which it is if absent.",
    )


class _Request(_Screened):
    operation: ClassVar[str]
    pictures: ClassVar[tuple[str, ...]] = ()
    """Fields that hold one picture each."""

    checkpoint: str | None = Field(
        None, max_length=200, description="Name in GET /v1/models. That one runs, or none; absent: the default."
    )
    steps: Whole | None = Field(None, json_schema_extra=limits(STEPS), description="Denoising steps.")
    guidance: Number | None = Field(None, json_schema_extra=limits(GUIDANCE), description="FLUX's distilled guidance.")
    seed: Seed | None = None
    n: Whole = Field(
        VARIANTS[0],
        json_schema_extra=limits(VARIANTS),
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
        None, json_schema_extra=limits(BLEND_PIXELS), description="Pixels by which the model's mask is widened."
    )
    soften: Whole | None = Field(
        None,
        json_schema_extra=limits(BLEND_PIXELS),
        description="Pixels beyond that over which the model's mask fades; what is fainter is painted later.",
    )
    feather: Whole | None = Field(
        None, json_schema_extra=limits(BLEND_PIXELS), description="Pixels of soft edge, inside the mask."
    )
    context: Whole | None = Field(
        None, json_schema_extra=limits(BLEND_PIXELS), description="Pixels of surroundings that the model sees."
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
        json_schema_extra=limits(SEAM_LIMIT),
        description="Paint again on a derived seed while the seam score is over this; the best try is kept.",
    )
    seam_retries: Whole | None = Field(
        None, json_schema_extra=limits(SEAM_RETRIES), description="How often at most; 1 if only seam_limit is given."
    )


class _Routed(Shape):
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


class GenerateRequest(Guided, _Request):
    """Make a picture from text."""

    operation: ClassVar[str] = "generate"
    prompt: Text
    width: Whole | None = Field(None, json_schema_extra=limits(SIDE), description="Columns; any number of pixels.")
    height: Whole | None = Field(None, json_schema_extra=limits(SIDE), description="Rows.")
    aspect_ratio: AspectRatio = None


class Img2ImgRequest(Guided, _Request):
    """Make a whole picture anew, starting from one that is there."""

    operation: ClassVar[str] = "img2img"
    pictures: ClassVar[tuple[str, ...]] = ("image",)
    prompt: Text
    image: Picture
    strength: Strength = None
    width: Whole | None = Field(
        None, json_schema_extra=limits(SIDE), description="Columns, with height; absent: the picture's own size."
    )
    height: Whole | None = Field(None, json_schema_extra=limits(SIDE), description="Rows, with width.")


class InpaintRequest(Guided, _Masked, _Routed):
    """Repaint the masked part of a picture from a prompt."""

    operation: ClassVar[str] = "inpaint"
    pictures: ClassVar[tuple[str, ...]] = ("image", "mask")
    prompt: Text


class OutpaintRequest(Guided, _Blended, _Routed):
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


class InstructRequest(Worded, _Request):
    """Change a picture as words say; no mask is needed."""

    operation: ClassVar[str] = "instruct"
    pictures: ClassVar[tuple[str, ...]] = ("image",)
    prompt: Text
    image: Picture
    others: tuple[Picture, ...] = Field(
        (), max_length=MAX_PICTURES - 1, description="Further pictures that the words speak of, at most 3."
    )
    width: Whole | None = Field(
        None, json_schema_extra=limits(SIDE), description="Columns, with height; absent: the picture's own size."
    )
    height: Whole | None = Field(None, json_schema_extra=limits(SIDE), description="Rows, with width.")
    aspect_ratio: AspectRatio = None


class ControlMapRequest(_Screened):
    """Make the control image that a control would see."""

    operation: ClassVar[str] = "control_map"
    pictures: ClassVar[tuple[str, ...]] = ("image",)
    kind: ControlKind
    image: Picture
    detector: Detector | None = Field(
        None, description="What makes it; see GET /v1/controls. Absent: the best whose weights are on this machine."
    )
    low: Low = None
    high: High = None


Request = (
    GenerateRequest
    | Img2ImgRequest
    | InpaintRequest
    | OutpaintRequest
    | EraseRequest
    | InstructRequest
    | ControlMapRequest
)

REQUESTS: dict[str, type[Request]] = {
    each.operation: each
    for each in (
        GenerateRequest,
        Img2ImgRequest,
        InpaintRequest,
        OutpaintRequest,
        EraseRequest,
        InstructRequest,
        ControlMapRequest,
    )
}
