"""Operations: one typed request each, checked when it is made.

Anything that can be judged without a checkpoint is judged here; `editing.catalogue.check_operation` judges the rest.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, TypeAlias

from editing.blending import Blend, Intent, Route, SeamRetry
from editing.errors import OperationError, within
from editing.masks import check_mask
from editing.placement import Placement
from editing.rasters import Mask, Raster

STEPS = (1, 100)
GUIDANCE = (0.0, 100.0)
SEED = (0, 2**64 - 1)
SIDE = (16, 8192)
CANNY_THRESHOLD = (0, 1000)
CONTROL_SCALE = (0.0, 2.0)
MAX_CONTROLS = 4


class OperationName(StrEnum):
    """Names of the operations, as the API and the records say them."""

    GENERATE = "generate"
    IMG2IMG = "img2img"
    INPAINT = "inpaint"
    OUTPAINT = "outpaint"
    ERASE = "erase"


class ControlKind(StrEnum):
    """What a control image shows."""

    CANNY = "canny"


class ControlMode(StrEnum):
    """Whether a control picture is an ordinary picture or already a control image."""

    PREPROCESS = "preprocess"
    AS_IS = "as_is"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the model samples.

    Attributes:
        steps: Denoising steps of the whole schedule, 1..100.
        guidance: FLUX's distilled guidance, a model input, 0..100.
        seed: Seed of the noise, 0..2**64-1.
        strength: Share of the schedule that is run, above 0 up to 1; 1 ignores what was there.

    Raises:
        OperationError: `steps_out_of_range`, `guidance_out_of_range`, `seed_out_of_range`, `strength_out_of_range`.
    """

    steps: int
    guidance: float
    seed: int
    strength: float = 1.0

    def __post_init__(self) -> None:
        within("steps_out_of_range", "steps", self.steps, STEPS)
        within("guidance_out_of_range", "guidance", self.guidance, GUIDANCE)
        if not SEED[0] <= self.seed <= SEED[1]:
            raise OperationError(
                f"seed must lie in 0..{SEED[1]}, got {self.seed}",
                code="seed_out_of_range",
                field="seed",
                value=str(self.seed),  # as text: beyond what JSON numbers hold exactly
                limit=["0", str(SEED[1])],
            )
        if not 0.0 < self.strength <= 1.0:
            raise OperationError(
                f"strength must lie above 0 and up to 1, got {self.strength}",
                code="strength_out_of_range",
                field="strength",
                value=self.strength,
                limit=[0, 1],
            )
        if self.steps - self.steps * self.strength >= self.steps:  # so small that rounding leaves no step to run
            raise OperationError(
                f"strength {self.strength} runs none of {self.steps} steps",
                code="strength_out_of_range",
                field="strength",
                value=self.strength,
                limit=[0, 1],
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A control image that steers structure, and where in the schedule it acts.

    Attributes:
        kind: What it shows.
        picture: Where it is taken from; None is the operation's own picture. Another size is scaled to fit.
        mode: Whether edges are found in `picture`, or `picture` already shows edges.
        low: Lower Canny threshold, 0..1000, below `high`.
        high: Upper Canny threshold.
        scale: Conditioning scale, 0..2.
        start: Share of the steps at which it begins to act, 0..1.
        end: Share of the steps at which it stops, above `start`.
        checkpoint: Name of the ControlNet in the catalogue.

    Raises:
        OperationError: A `control_*` code naming the field.
    """

    kind: ControlKind
    checkpoint: str
    picture: Raster | None = None
    mode: ControlMode = ControlMode.PREPROCESS
    low: int = 100
    high: int = 200
    scale: float = 0.7
    start: float = 0.0
    end: float = 0.8

    def __post_init__(self) -> None:
        within("control_threshold_out_of_range", "low", self.low, CANNY_THRESHOLD)
        within("control_threshold_out_of_range", "high", self.high, CANNY_THRESHOLD)
        within("control_scale_out_of_range", "scale", self.scale, CONTROL_SCALE)
        within("control_span_out_of_range", "start", self.start, (0.0, 1.0))
        within("control_span_out_of_range", "end", self.end, (0.0, 1.0))
        if self.low >= self.high:
            raise OperationError(
                f"the lower Canny threshold must lie below the upper, got {self.low} and {self.high}",
                code="control_threshold_out_of_range",
                field="low",
                value=self.low,
                limit=self.high,
            )
        if self.start >= self.end:
            raise OperationError(
                f"a control must stop after it starts, got start {self.start} and end {self.end}",
                code="control_span_out_of_range",
                field="end",
                value=self.end,
                limit=self.start,
            )
        if self.mode is ControlMode.AS_IS and self.picture is None:
            raise OperationError(
                "a control image used as it is must be given", code="control_picture_missing", field="picture"
            )


def _check_controls(controls: tuple[Control, ...], *, own_picture: bool) -> None:
    if len(controls) > MAX_CONTROLS:
        raise OperationError(
            f"at most {MAX_CONTROLS} controls, got {len(controls)}",
            code="control_too_many",
            field="controls",
            value=len(controls),
            limit=MAX_CONTROLS,
        )
    for index, control in enumerate(controls):
        if control.picture is None and not own_picture:
            raise OperationError(
                "generate has no picture of its own: each control needs one",
                code="control_picture_missing",
                field=f"controls[{index}].picture",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Generate:
    """Make a picture from text.

    Attributes:
        prompt: What to show.
        width: Columns of the result, 16..8192 pixels, any number (not only multiples of 16).
        height: Rows of the result.
        sampling: How to sample; `strength` plays no part.
        checkpoint: Name in the catalogue.
        controls: Control images that steer structure.

    Raises:
        OperationError: `size_unsupported` or a `control_*` code.
    """

    name: ClassVar[OperationName] = OperationName.GENERATE
    prompt: str
    width: int
    height: int
    sampling: Sampling
    checkpoint: str
    controls: tuple[Control, ...] = ()

    def __post_init__(self) -> None:
        within("size_unsupported", "width", self.width, SIDE)
        within("size_unsupported", "height", self.height, SIDE)
        _check_controls(self.controls, own_picture=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Img2Img:
    """Make a whole picture anew, starting from one that is there.

    Attributes:
        prompt: What to show.
        picture: Where to start.
        sampling: How to sample; `strength` says how far to leave the picture.
        checkpoint: Name in the catalogue, of the base family.
        size: Width and height of the result, 16..8192 pixels each; None is the picture's own.

    Raises:
        OperationError: `size_unsupported`.
    """

    name: ClassVar[OperationName] = OperationName.IMG2IMG
    prompt: str
    picture: Raster
    sampling: Sampling
    checkpoint: str
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.size is not None:
            within("size_unsupported", "width", self.size[0], SIDE)
            within("size_unsupported", "height", self.size[1], SIDE)

    @property
    def target(self) -> tuple[int, int]:
        """Width and height of the result."""
        return self.picture.size if self.size is None else self.size


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inpaint:
    """Repaint the masked part of a picture as the prompt says.

    Attributes:
        prompt: What the masked part shall show.
        picture: The picture to edit.
        mask: float32 (h, w) of the picture's size, 1 repaint .. 0 keep.
        sampling: How to sample.
        checkpoint: Name in the catalogue.
        controls: Control images that steer structure.
        blend: How the edit meets the rest.
        route: How the model is made to paint only a part; None: as the catalogue says for the checkpoint.
        inpainting_controlnet: Name in the catalogue of the ControlNet of that route; None for the other routes.
        retry: Whether to paint again when the seam shows.

    Raises:
        MaskError: The mask does not fit the picture, or is empty.
        OperationError: A `control_*` code, or `intent_contradictory`.
    """

    name: ClassVar[OperationName] = OperationName.INPAINT
    intents: ClassVar[tuple[Intent, ...]] = (Intent.FILL, Intent.ADD, Intent.REPLACE_BACKGROUND)
    prompt: str
    picture: Raster
    mask: Mask
    sampling: Sampling
    checkpoint: str
    controls: tuple[Control, ...] = ()
    blend: Blend = field(default_factory=Blend)
    route: Route | None = None
    inpainting_controlnet: str | None = None
    retry: SeamRetry | None = None

    def __post_init__(self) -> None:
        check_mask(self.mask, size=self.picture.size)
        _check_controls(self.controls, own_picture=True)
        self.blend.intended(self.intents)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outpaint:
    """Extend a picture beyond its borders.

    Attributes:
        prompt: What the new part shall show; may be empty.
        picture: The picture to extend; every pixel of it stays.
        placement: The new canvas, and where the picture lies in it.
        sampling: How to sample.
        checkpoint: Name in the catalogue.
        blend: How the new part meets the old; `spill` plays no part.
        route: How the model is made to paint only a part; None: as the catalogue says for the checkpoint.
        inpainting_controlnet: Name in the catalogue of the ControlNet of that route; None for the other routes.
        retry: Whether to paint again when the seam shows.

    Raises:
        OperationError: `margins_zero`, `canvas_too_large`, `canvas_excludes_picture` or
            `intent_contradictory`.
    """

    name: ClassVar[OperationName] = OperationName.OUTPAINT
    intents: ClassVar[tuple[Intent, ...]] = (Intent.EXPAND,)
    prompt: str
    picture: Raster
    placement: Placement
    sampling: Sampling
    checkpoint: str
    blend: Blend = field(default_factory=Blend)
    route: Route | None = None
    inpainting_controlnet: str | None = None
    retry: SeamRetry | None = None

    def __post_init__(self) -> None:
        self.placement.check(self.picture.size)
        self.blend.intended(self.intents)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Erase:
    """Remove what the mask covers: Fill at strength 1 with an empty prompt.

    Attributes:
        picture: The picture to edit.
        mask: float32 (h, w) of the picture's size, 1 repaint .. 0 keep.
        sampling: How to sample; `strength` must be 1.
        checkpoint: Name in the catalogue, of the Fill family.
        blend: How the edit meets the rest.
        retry: Whether to paint again when the seam shows.

    Raises:
        MaskError: The mask does not fit the picture, or is empty.
        OperationError: `strength_out_of_range` or `intent_contradictory`.
    """

    name: ClassVar[OperationName] = OperationName.ERASE
    intents: ClassVar[tuple[Intent, ...]] = (Intent.REMOVE,)
    picture: Raster
    mask: Mask
    sampling: Sampling
    checkpoint: str
    blend: Blend = field(default_factory=Blend)
    retry: SeamRetry | None = None

    def __post_init__(self) -> None:
        check_mask(self.mask, size=self.picture.size)
        self.blend.intended(self.intents)
        if self.sampling.strength != 1.0:
            raise OperationError(
                f"erase runs at strength 1, got {self.sampling.strength}",
                code="strength_out_of_range",
                field="strength",
                value=self.sampling.strength,
                limit=1,
            )


Operation: TypeAlias = Generate | Img2Img | Inpaint | Outpaint | Erase
