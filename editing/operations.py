"""Operations: one typed request each, checked when it is made.

Anything that can be judged without a checkpoint is judged here; `editing.catalogue.check_operation` judges the rest.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, TypeAlias

from editing.blending import Blend, Intent, Route, SeamRetry
from editing.errors import OperationError, within
from editing.guides import ControlKind, Detector, Guides, check_thresholds
from editing.masks import check_mask
from editing.placement import Placement
from editing.rasters import Mask, Raster

STEPS = (1, 100)
GUIDANCE = (0.0, 100.0)
SEED = (0, 2**64 - 1)
SIDE = (16, 8192)
TRUE_CFG = (1.0, 20.0)
MAX_PICTURES = 4


class OperationName(StrEnum):
    """Names of the operations, as the API and the records say them."""

    GENERATE = "generate"
    IMG2IMG = "img2img"
    INPAINT = "inpaint"
    OUTPAINT = "outpaint"
    ERASE = "erase"
    INSTRUCT = "instruct"
    CONTROL_MAP = "control_map"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the model samples.

    Attributes:
        steps: Denoising steps of the whole schedule, 1..100.
        guidance: FLUX's distilled guidance, a model input, 0..100.
        seed: Seed of the noise, 0..2**64-1.
        strength: Share of the schedule that is run, above 0 up to 1; 1 ignores what was there.
        true_cfg: Scale of classifier-free guidance against the negative prompt, 1..20; 1 is off. Each step takes twice
            the time where it is on.

    Raises:
        OperationError: `steps_out_of_range`, `guidance_out_of_range`, `seed_out_of_range`, `strength_out_of_range`,
            `true_cfg_out_of_range`.
    """

    steps: int
    guidance: float
    seed: int
    strength: float = 1.0
    true_cfg: float = 1.0

    def __post_init__(self) -> None:
        within("steps_out_of_range", "steps", self.steps, STEPS)
        within("guidance_out_of_range", "guidance", self.guidance, GUIDANCE)
        within("true_cfg_out_of_range", "true_cfg", self.true_cfg, TRUE_CFG)
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

    @property
    def first_step(self) -> int:
        """The first step that a run from a picture makes: strength skips whole steps, as diffusers counts them."""
        return int(self.steps - min(self.steps * self.strength, self.steps))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Generate:
    """Make a picture from text.

    Attributes:
        prompt: What to show.
        width: Columns of the result, 16..8192 pixels, any number (not only multiples of 16).
        height: Rows of the result.
        sampling: How to sample; `strength` plays no part.
        checkpoint: Name in the catalogue.
        guides: What steers the model besides the prompt.

    Raises:
        OperationError: `size_unsupported`, `control_picture_missing` or `control_shape_mismatch`.
    """

    name: ClassVar[OperationName] = OperationName.GENERATE
    prompt: str
    width: int
    height: int
    sampling: Sampling
    checkpoint: str
    guides: Guides = field(default_factory=Guides)

    def __post_init__(self) -> None:
        within("size_unsupported", "width", self.width, SIDE)
        within("size_unsupported", "height", self.height, SIDE)
        self.guides.require_pictures()
        self.guides.require_shape((self.width, self.height))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Img2Img:
    """Make a whole picture anew, starting from one that is there.

    Attributes:
        prompt: What to show.
        picture: Where to start.
        sampling: How to sample; `strength` says how far to leave the picture.
        checkpoint: Name in the catalogue, of the base family.
        size: Width and height of the result, 16..8192 pixels each; None is the picture's own.
        guides: What steers the model besides the prompt.

    Raises:
        OperationError: `size_unsupported` or `control_shape_mismatch`.
    """

    name: ClassVar[OperationName] = OperationName.IMG2IMG
    prompt: str
    picture: Raster
    sampling: Sampling
    checkpoint: str
    size: tuple[int, int] | None = None
    guides: Guides = field(default_factory=Guides)

    def __post_init__(self) -> None:
        _check_size(self.size)
        self.guides.require_shape(self.target)

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
        guides: What steers the model besides the prompt.
        blend: How the edit meets the rest.
        route: How the model is made to paint only a part; None: as the catalogue says for the checkpoint.
        inpainting_controlnet: Name in the catalogue of the ControlNet of that route; None for the other routes.
        retry: Whether to paint again when the seam shows.

    Raises:
        MaskError: The mask does not fit the picture, or is empty.
        OperationError: `intent_contradictory` or `control_shape_mismatch`.
    """

    name: ClassVar[OperationName] = OperationName.INPAINT
    intents: ClassVar[tuple[Intent, ...]] = (Intent.FILL, Intent.ADD, Intent.REPLACE_BACKGROUND)
    prompt: str
    picture: Raster
    mask: Mask
    sampling: Sampling
    checkpoint: str
    guides: Guides = field(default_factory=Guides)
    blend: Blend = field(default_factory=Blend)
    route: Route | None = None
    inpainting_controlnet: str | None = None
    retry: SeamRetry | None = None

    def __post_init__(self) -> None:
        check_mask(self.mask, size=self.picture.size)
        self.blend.intended(self.intents)
        self.guides.require_shape(self.picture.size)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outpaint:
    """Extend a picture beyond its borders.

    Attributes:
        prompt: What the new part shall show; may be empty.
        picture: The picture to extend; every pixel of it stays.
        placement: The new canvas, and where the picture lies in it.
        sampling: How to sample.
        checkpoint: Name in the catalogue.
        guides: What steers the model besides the prompt.
        blend: How the new part meets the old; `spill` plays no part.
        route: How the model is made to paint only a part; None: as the catalogue says for the checkpoint.
        inpainting_controlnet: Name in the catalogue of the ControlNet of that route; None for the other routes.
        retry: Whether to paint again when the seam shows.

    Raises:
        OperationError: `margins_zero`, `canvas_too_large`, `canvas_excludes_picture`,
            `intent_contradictory` or `control_shape_mismatch`.
    """

    name: ClassVar[OperationName] = OperationName.OUTPAINT
    intents: ClassVar[tuple[Intent, ...]] = (Intent.EXPAND,)
    prompt: str
    picture: Raster
    placement: Placement
    sampling: Sampling
    checkpoint: str
    guides: Guides = field(default_factory=Guides)
    blend: Blend = field(default_factory=Blend)
    route: Route | None = None
    inpainting_controlnet: str | None = None
    retry: SeamRetry | None = None

    def __post_init__(self) -> None:
        self.placement.check(self.picture.size)
        self.blend.intended(self.intents)
        self.guides.require_shape((self.placement.width, self.placement.height))


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
        _check_full_strength(self.name, self.sampling)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Instruct:
    """Change a picture as an instruction says ("make the car red"); the model sees the picture, no mask is needed.

    Attributes:
        prompt: What to change.
        picture: The picture to change.
        sampling: How to sample; `strength` must be 1.
        checkpoint: Name in the catalogue, of a family that takes instructions.
        others: Further pictures that the words speak of, at most 3, where the checkpoint takes several.
        size: Width and height of the result, 16..8192 pixels each; None is the picture's own.
        guides: What steers the model besides the prompt.

    Raises:
        OperationError: `size_unsupported`, `pictures_too_many` or `strength_out_of_range`.
    """

    name: ClassVar[OperationName] = OperationName.INSTRUCT
    prompt: str
    picture: Raster
    sampling: Sampling
    checkpoint: str
    others: tuple[Raster, ...] = ()
    size: tuple[int, int] | None = None
    guides: Guides = field(default_factory=Guides)

    def __post_init__(self) -> None:
        _check_size(self.size)
        _check_full_strength(self.name, self.sampling)
        if len(self.others) >= MAX_PICTURES:
            raise OperationError(
                f"at most {MAX_PICTURES} pictures in all, got {1 + len(self.others)}",
                code="pictures_too_many",
                field="others",
                value=1 + len(self.others),
                limit=MAX_PICTURES,
            )

    @property
    def target(self) -> tuple[int, int]:
        """Width and height of the result."""
        return self.picture.size if self.size is None else self.size


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ControlMap:
    """Make the control image that a control would see, to look at it before it steers anything.

    Attributes:
        kind: What it shall show.
        picture: What it is made of; the result has its size.
        detector: What makes it.
        checkpoint: Name in the catalogue of the detector's weights; `opencv` for those without.
        low: Lower Canny threshold, 0..1000, below `high`.
        high: Upper Canny threshold.

    Raises:
        OperationError: `control_threshold_out_of_range`.
    """

    name: ClassVar[OperationName] = OperationName.CONTROL_MAP
    kind: ControlKind
    picture: Raster
    detector: Detector
    checkpoint: str
    low: int = 100
    high: int = 200

    def __post_init__(self) -> None:
        check_thresholds(self.low, self.high)


def _check_size(size: tuple[int, int] | None) -> None:
    if size is not None:
        within("size_unsupported", "width", size[0], SIDE)
        within("size_unsupported", "height", size[1], SIDE)


def _check_full_strength(name: str, sampling: Sampling) -> None:
    if sampling.strength != 1.0:
        raise OperationError(
            f"{name} runs at strength 1, got {sampling.strength}",
            code="strength_out_of_range",
            field="strength",
            value=sampling.strength,
            limit=1,
        )


Prompted: TypeAlias = Generate | Img2Img | Inpaint | Outpaint | Instruct
"""Operations that a prompt, and guides beside it, steer."""

Operation: TypeAlias = Generate | Img2Img | Inpaint | Outpaint | Erase | Instruct | ControlMap
