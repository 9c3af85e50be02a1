"""Guides: what steers a model besides its prompt, in one typed value that every prompted operation takes.

Which guides a checkpoint can follow, and which of them together, is judged by `editing.mixes`.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from editing.errors import OperationError, within
from editing.rasters import Raster

CANNY_THRESHOLD = (0, 1000)
CONTROL_SCALE = (0.0, 2.0)
MAX_CONTROLS = 4
STRETCH = 0.05
"""How much longer than its other side one side of a finished control image may become where it is scaled to fit: sizes
are multiples of 16 pixels, so that shapes of one name differ by a little."""
LORA_WEIGHT = (-4.0, 4.0)
MAX_LORAS = 8
REFERENCE_WEIGHT = (0.0, 2.0)
MAX_REFERENCES = 4
MAX_EMBEDDINGS = 8

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")


class ControlKind(StrEnum):
    """What a control image shows."""

    CANNY = "canny"
    SOFT_EDGE = "soft_edge"
    LINE_ART = "line_art"
    DEPTH = "depth"
    NORMAL = "normal"
    POSE = "pose"
    TILE = "tile"
    BLUR = "blur"
    GREY = "grey"
    LOW_QUALITY = "low_quality"


class Detector(StrEnum):
    """What makes a control image of a picture; `editing.detecting` says which kind each serves and what it needs."""

    CANNY = "canny"
    HED = "hed"
    PIDINET = "pidinet"
    TEED = "teed"
    GRADIENT = "gradient"
    LINEART = "lineart"
    LINEART_COARSE = "lineart_coarse"
    LINEART_ANIME = "lineart_anime"
    LINEART_STANDARD = "lineart_standard"
    DEPTH_ANYTHING = "depth_anything"
    MIDAS = "midas"
    NORMAL_FROM_DEPTH = "normal_from_depth"
    NORMALBAE = "normalbae"
    VITPOSE = "vitpose"
    OPENPOSE = "openpose"
    TILE = "tile"
    BLUR = "blur"
    GREY = "grey"
    LOW_QUALITY = "low_quality"


class ControlMode(StrEnum):
    """Whether a control picture is an ordinary picture or already a control image."""

    PREPROCESS = "preprocess"
    AS_IS = "as_is"


class ReferenceKind(StrEnum):
    """How a picture is shown to the model as an example."""

    REDUX = "redux"
    """FLUX.1 Redux: the picture joins the prompt as text tokens."""
    IP_ADAPTER = "ip_adapter"
    """An image prompt adapter: every block looks at the picture beside the prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A control image that steers structure, and where in the schedule it acts.

    Attributes:
        kind: What it shows.
        checkpoint: Name in the catalogue of what reads it: a ControlNet, a control LoRA, or the operation's own
            checkpoint where that reads a control image itself.
        picture: Where it is taken from; None is the operation's own picture, an outpaint's on its canvas and mirrored
            beyond its borders. Another size is scaled to fit, over the whole canvas; a finished control image must
            have its shape (`Guides.require_shape`).
        mode: Whether the control image is made of `picture`, or `picture` already is one.
        detector: What makes it; plays no part with `ControlMode.AS_IS`. None: `canny` for edges, else refused.
        low: Lower Canny threshold, 0..1000, below `high`.
        high: Upper Canny threshold.
        scale: Conditioning scale, 0..2.
        start: Share of the steps at which it begins to act, 0..1.
        end: Share of the steps at which it stops, above `start`.

    Raises:
        OperationError: A `control_*` code naming the field.
    """

    kind: ControlKind
    checkpoint: str
    picture: Raster | None = None
    mode: ControlMode = ControlMode.PREPROCESS
    detector: Detector | None = None
    low: int = 100
    high: int = 200
    scale: float = 0.7
    start: float = 0.0
    end: float = 0.8

    def __post_init__(self) -> None:
        check_thresholds(self.low, self.high)
        within("control_scale_out_of_range", "scale", self.scale, CONTROL_SCALE)
        within("control_span_out_of_range", "start", self.start, (0.0, 1.0))
        within("control_span_out_of_range", "end", self.end, (0.0, 1.0))
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


def check_thresholds(low: int, high: int) -> None:
    """Check Canny's thresholds.

    Args:
        low: The lower.
        high: The upper.

    Raises:
        OperationError: `control_threshold_out_of_range`.
    """
    within("control_threshold_out_of_range", "low", low, CANNY_THRESHOLD)
    within("control_threshold_out_of_range", "high", high, CANNY_THRESHOLD)
    if low >= high:
        raise OperationError(
            f"the lower Canny threshold must lie below the upper, got {low} and {high}",
            code="control_threshold_out_of_range",
            field="low",
            value=low,
            limit=high,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """Low-rank weights added to the model's own (Hu and others, "LoRA", 2021).

    Attributes:
        name: Name in the catalogue, or of an uploaded file as its owner calls it.
        weight: How much of it is added, -4..4; 0 adds nothing.
        digest: SHA-256 of an uploaded file, lower hex; None for one of the catalogue.

    Raises:
        OperationError: `lora_weight_out_of_range`.
    """

    name: str
    weight: float = 1.0
    digest: str | None = None

    def __post_init__(self) -> None:
        within("lora_weight_out_of_range", "weight", self.weight, LORA_WEIGHT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """A learnt word (Gal and others, "An Image is Worth One Word", 2022): it stands in the prompt as `<token>`.

    Attributes:
        token: The word, without the angle brackets: 1 to 64 letters, digits, `_` and `-`.
        digest: SHA-256 of the uploaded file, lower hex.

    Raises:
        OperationError: `embedding_token_invalid`.
    """

    token: str
    digest: str

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.token):
            raise OperationError(
                f"an embedding's token is 1 to 64 letters, digits, _ and -, got {self.token[:80]!r}",
                code="embedding_token_invalid",
                field="token",
                value=self.token[:80],
                limit=_TOKEN.pattern,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A picture that the result shall resemble.

    Attributes:
        kind: How it is shown to the model.
        picture: The picture.
        checkpoint: Name in the catalogue of what reads it.
        weight: How much it counts, 0..2.

    Raises:
        OperationError: `reference_weight_out_of_range`.
    """

    kind: ReferenceKind
    picture: Raster
    checkpoint: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        within("reference_weight_out_of_range", "weight", self.weight, REFERENCE_WEIGHT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guides:
    """Everything that steers a model besides its prompt.

    Attributes:
        controls: Control images, at most 4.
        loras: LoRAs with their weights, at most 8, each once.
        references: Pictures to resemble, at most 4.
        embeddings: Learnt words of the prompts, at most 8, each once.
        negative_prompt: What the picture shall not show; acts through `Sampling.true_cfg`.

    Raises:
        OperationError: `control_too_many`, `lora_too_many`, `reference_too_many`, `embedding_too_many`;
            `lora_duplicate` or `embedding_duplicate` for one that is given twice.
    """

    controls: tuple[Control, ...] = ()
    loras: tuple[Lora, ...] = ()
    references: tuple[Reference, ...] = ()
    embeddings: tuple[Embedding, ...] = ()
    negative_prompt: str = ""

    def __post_init__(self) -> None:
        _at_most("control", self.controls, MAX_CONTROLS)
        _at_most("lora", self.loras, MAX_LORAS)
        _at_most("reference", self.references, MAX_REFERENCES)
        _at_most("embedding", self.embeddings, MAX_EMBEDDINGS)
        _each_once("lora", "name", [lora.digest or lora.name for lora in self.loras])
        _each_once("embedding", "token", [embedding.token for embedding in self.embeddings])

    def require_pictures(self) -> None:
        """Check that every control has a picture, for operations that have none of their own.

        Raises:
            OperationError: `control_picture_missing`.
        """
        for index, control in enumerate(self.controls):
            if control.picture is None:
                raise OperationError(
                    "generate has no picture of its own: each control needs one",
                    code="control_picture_missing",
                    field=f"controls[{index}].picture",
                )

    def require_shape(self, size: tuple[int, int]) -> None:
        """Check that finished control images have the shape of what they steer: stretched, they would say another.

        Args:
            size: Width and height of the picture or canvas over which they are laid.

        Raises:
            OperationError: `control_shape_mismatch`.
        """
        width, height = size
        for index, control in enumerate(self.controls):
            if control.mode is not ControlMode.AS_IS or control.picture is None:
                continue
            wide, high = control.picture.size
            # One pixel is forgiven too: a small map of a large picture is a rounded one.
            rounded = abs(wide * height - high * width) <= max(size)
            if not rounded and abs(math.log(wide * height / (high * width))) > STRETCH:
                raise OperationError(
                    f"a control image used as it is must have the shape of what it steers, {width}x{height}, at any "
                    f"scale; this one is {wide}x{high}: cut it, choose another size, or have it made of a picture "
                    "with mode preprocess",
                    code="control_shape_mismatch",
                    field=f"controls[{index}].image",
                    value=[wide, high],
                    limit=[width, height],
                )


def _at_most(what: str, given: Sequence[object], most: int) -> None:
    if len(given) > most:
        raise OperationError(
            f"at most {most} {what}s, got {len(given)}",
            code=f"{what}_too_many",
            field=f"{what}s",
            value=len(given),
            limit=most,
        )


def _each_once(what: str, member: str, names: Sequence[str]) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise OperationError(
                f"{what} {name[:80]!r} is given twice; which of the two should count? give it once",
                code=f"{what}_duplicate",
                field=f"{what}s[{index}].{member}",
                value=name[:80],
                limit=1,
            )
