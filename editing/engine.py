"""The engine protocol: what runs an operation, what it reports, and what it hands back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from editing.operations import Operation, Sampling
from editing.rasters import Pixels, Raster


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
class EditFacts:
    """What a record says about how a picture was made.

    Attributes:
        checkpoint: Name in the catalogue of the checkpoint that ran.
        route: Which pipeline ran: `generate`, `controlnet`, `fill`, `inpaint` or `controlnet_inpaint`.
        weights: SHA-256 of every weight file loaded, by `checkpoint/path/in/folder`.
        checkpoints: Revision of every checkpoint used, by name (`packaged`, `local`, or a commit).
        sampling: The sampling that ran.
        device: Where it ran, such as `cpu` or `cuda:0`.
        dtype: Number format of the weights, such as `float32`.
        threads: CPU threads of torch: bit-identity on a CPU may depend on it.
        versions: Version of every library that shapes the pixels, by name.
        box: Left, top, right, bottom (exclusive) of what the model saw, in pixels of the result; None for generate.
        model_size: Width and height at which the model ran, in pixels.
        exact_outside_mask: Whether every pixel outside the mask kept its value.
        seconds: Wall-clock seconds by phase.
    """

    checkpoint: str
    route: str
    weights: Mapping[str, str]
    checkpoints: Mapping[str, str]
    sampling: Sampling
    device: str
    dtype: str
    threads: int
    versions: Mapping[str, str]
    box: tuple[int, int, int, int] | None
    model_size: tuple[int, int]
    exact_outside_mask: bool
    seconds: Mapping[str, float]


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
