"""Checkpoints: what the catalogue says about one named, licensed set of weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from editing.boxes import ModelSizes
from editing.errors import OperationError
from editing.operations import ControlKind, OperationName, Sampling

SIZE_MULTIPLE = 16


class Family(StrEnum):
    """What kind of weights a checkpoint holds."""

    BASE = "base"
    FILL = "fill"
    CONTROLNET = "controlnet"


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingDefaults:
    """Sampling of an operation where the request says nothing.

    Attributes:
        steps: Denoising steps.
        guidance: FLUX's distilled guidance.
        strength: Share of the schedule that is run.
    """

    steps: int
    guidance: float
    strength: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlDefaults:
    """Weight and span of a control where the request says nothing.

    Attributes:
        scale: Conditioning scale.
        start: Share of the steps at which it begins to act.
        end: Share of the steps at which it stops.
    """

    scale: float
    start: float = 0.0
    end: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A named, licensed set of weights.

    Attributes:
        name: Name in requests and records.
        family: Kind of weights.
        hub_id: Repository on the Hugging Face hub, or None.
        packaged: Folder under `editing/mini/weights`, or None.
        revision: Commit on the hub; None where the operator pins it in the settings.
        licence: Name of the licence.
        licence_url: Where to read it.
        acceptance_reason: Why it loads only after `studio models accept NAME`; empty where that is not needed.
        defaults: Operations it can run, each with its sampling defaults.
        native_pixels: Area the model likes, in pixels.
        smallest_pixels: Least area at which it still paints well: a small edit runs at no more than it needs.
        max_pixels: Largest area it generates, in pixels.
        max_sequence_length: Tokens of the long text encoder.
        controls: Kinds of control a ControlNet serves, with defaults.
        works_with: Names of the bases a ControlNet was trained for.
        inpainting: Weight and span of a ControlNet that reads a masked picture and its mask; None for all others.
        size_multiple: Sides the model runs at are multiples of this.
        bucket: Sides of crops are multiples of this, so that crops come in few shapes.
        outpaint_passes: Runs that one outpaint may take: more are sharper, and slower.
    """

    name: str
    family: Family
    licence: str
    licence_url: str
    native_pixels: int
    smallest_pixels: int
    max_pixels: int
    max_sequence_length: int
    hub_id: str | None = None
    packaged: str | None = None
    revision: str | None = None
    acceptance_reason: str = ""
    defaults: Mapping[OperationName, SamplingDefaults] = field(default_factory=dict)
    controls: Mapping[ControlKind, ControlDefaults] = field(default_factory=dict)
    works_with: frozenset[str] = frozenset()
    inpainting: ControlDefaults | None = None
    size_multiple: int = SIZE_MULTIPLE
    bucket: int = 64
    outpaint_passes: int = 8

    @property
    def sizes(self) -> ModelSizes:
        """The sizes at which it paints well."""
        return ModelSizes(
            native_pixels=self.native_pixels,
            smallest_pixels=self.smallest_pixels,
            multiple=self.size_multiple,
            bucket=self.bucket,
            passes=self.outpaint_passes,
        )

    @property
    def needs_acceptance(self) -> bool:
        """Whether it loads only after its licence was accepted."""
        return bool(self.acceptance_reason)

    @property
    def operations(self) -> frozenset[str]:
        """Names of the operations it can run."""
        return frozenset(self.defaults)

    def sampling(
        self,
        operation: str,
        *,
        seed: int,
        steps: int | None = None,
        guidance: float | None = None,
        strength: float | None = None,
    ) -> Sampling:
        """Complete a request's sampling with this checkpoint's defaults.

        Args:
            operation: Name of the operation.
            seed: Seed of the noise.
            steps: Steps asked for, or None.
            guidance: Guidance asked for, or None.
            strength: Strength asked for, or None.

        Returns:
            The sampling to run.

        Raises:
            OperationError: `checkpoint_unsuitable`, or a value out of range.
        """
        if operation not in self.operations:
            raise unsuitable(self, operation)
        default = self.defaults[OperationName(operation)]
        return Sampling(
            steps=default.steps if steps is None else steps,
            guidance=default.guidance if guidance is None else guidance,
            seed=seed,
            strength=default.strength if strength is None else strength,
        )


def unsuitable(checkpoint: Checkpoint, operation: str) -> OperationError:
    """Say that a checkpoint cannot run an operation, and what it can.

    Args:
        checkpoint: The catalogue's entry.
        operation: Name of the operation.

    Returns:
        The error to raise.
    """
    can = sorted(checkpoint.operations)
    return OperationError(
        f"{checkpoint.name} cannot run {operation}; it runs {', '.join(can) or 'only beside a base checkpoint'}",
        code="checkpoint_unsuitable",
        field="checkpoint",
        value=checkpoint.name,
        limit=can,
    )
