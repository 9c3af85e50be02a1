"""The engine protocol: what runs an operation, what it reports, and what it hands back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from editing.blending import Intent, Join, Prefill
from editing.operations import Operation, Sampling
from editing.rasters import Pixels, Raster
from editing.seams import Seam


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes:
        step: Denoising steps done, 1..steps.
        steps: Steps this run really makes, after strength.
    """

    step: int
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaintPass:
    """One run of the model within an edit; large outpaints take several.

    Attributes:
        box: Left, top, right, bottom (exclusive) of what the model saw, in pixels of the result.
        size: Width and height at which it ran, in pixels.
        seed: Seed of its noise.
    """

    box: tuple[int, int, int, int]
    size: tuple[int, int]
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlendFacts:
    """What `Blend` came to, everything decided; widths in pixels of the picture.

    Attributes:
        intent: What the edit was for.
        grow: Widening of the model's mask.
        soften: Fading zone beyond that.
        feather: Soft edge of what was pasted.
        widest: The same where the old picture under it is like its surroundings.
        prefill: What the model started from; None where it started from noise alone.
        join: How it was laid over the picture.
        match_colour: Whether the colour shift was taken out.
        match_grain: Whether noise was added where the kept part has more.
    """

    intent: Intent
    grow: int
    soften: int
    feather: int
    widest: int
    prefill: Prefill | None
    join: Join
    match_colour: bool
    match_grain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SeamTry:
    """One attempt under a `SeamRetry`.

    Attributes:
        seed: The seed it was painted on.
        score: Its seam score.
    """

    seed: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EditFacts:
    """What a record says about how a picture was made.

    Attributes:
        checkpoint: Name in the catalogue of the checkpoint that ran.
        route: How it was painted: `generate`, `img2img`, or a `Route`.
        weights: SHA-256 of every weight file loaded, by `checkpoint/path/in/folder`.
        checkpoints: Revision of every checkpoint used, by name (`packaged`, `local`, or a commit).
        sampling: The sampling that ran; after a retry, with the seed of the try that was kept.
        device: Where it ran, such as `cpu` or `cuda:0`.
        dtype: Number format of the weights, such as `float32`.
        memory: How the weights were kept: `profile`, `formats` by part, and `exact`, whether each weight had the value
            of its file; empty for a control map.
        threads: CPU threads of torch: bit-identity on a CPU may depend on it.
        versions: Version of every library that shapes the pixels, by name.
        box: Left, top, right, bottom (exclusive) of what the model saw, in pixels of the result, round all passes;
            None where a whole picture was made.
        model_size: Width and height at which the model ran, in pixels; of the first pass.
        exact_outside_mask: Whether every pixel outside the mask kept its value.
        seconds: Wall-clock seconds by phase.
        passes: Every run of the model; none where a whole picture was made.
        blend: How the edit met the rest; None where a whole picture was made.
        seam: How visible the border is; None where there is no border.
        tries: Every attempt under a `SeamRetry`, in order; none without one.
    """

    checkpoint: str
    route: str
    weights: Mapping[str, str]
    checkpoints: Mapping[str, str]
    sampling: Sampling | None
    device: str
    dtype: str
    threads: int
    versions: Mapping[str, str]
    box: tuple[int, int, int, int] | None
    model_size: tuple[int, int]
    exact_outside_mask: bool
    seconds: Mapping[str, float]
    passes: tuple[PaintPass, ...] = ()
    blend: BlendFacts | None = None
    seam: Seam | None = None
    tries: tuple[SeamTry, ...] = ()
    memory: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EditedImage:
    """The outcome of a run.

    Attributes:
        raster: The finished picture, in the source's profile and with its alpha plane.
        facts: How it was made.
        control_images: uint8 (h, w, 3) each, sRGB: the control images as the model saw them, for screening.
    """

    raster: Raster
    facts: EditFacts
    control_images: tuple[Pixels, ...] = ()


class EditEngine(Protocol):
    """Runs operations, one at a time."""

    def run(
        self, operation: Operation, *, on_step: Callable[[Progress], None], cancelled: Callable[[], bool]
    ) -> EditedImage:
        """Run one operation.

        Args:
            operation: What to do.
            on_step: Called after each denoising step.
            cancelled: Asked before the first step, after each step and before decoding.

        Returns:
            The finished picture and its facts.

        Raises:
            OperationError: The checkpoint cannot run this operation.
            EngineError: The checkpoint cannot be loaded, or the run failed.
            EditCancelled: `cancelled()` said so; the engine is ready for the next run.
        """
        ...
