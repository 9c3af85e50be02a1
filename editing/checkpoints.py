"""Checkpoints: what the catalogue says about one named, licensed set of weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from editing.boxes import ModelSizes
from editing.errors import OperationError
from editing.guides import ControlKind
from editing.operations import OperationName, Sampling

SIZE_MULTIPLE = 16


class Architecture(StrEnum):
    """Which code runs the weights; each has a room of its own in `editing`."""

    FLUX1 = "flux1"
    FLUX2 = "flux2"
    DETECTOR = "detector"


class Family(StrEnum):
    """What kind of weights a checkpoint holds."""

    BASE = "base"
    FILL = "fill"
    CONTROL = "control"
    """Reads one control image beside the noise, as further channels (FLUX.1-Canny-dev and -Depth-dev)."""
    KONTEXT = "kontext"
    KLEIN = "klein"
    CONTROLNET = "controlnet"
    CONTROL_LORA = "control_lora"
    LORA = "lora"
    REDUX = "redux"
    IP_ADAPTER = "ip_adapter"
    DETECTOR = "detector"


PAINTING = frozenset({Family.BASE, Family.FILL, Family.CONTROL, Family.KONTEXT, Family.KLEIN})
"""Families that paint by themselves; the others act beside one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingDefaults:
    """Sampling of an operation where the request says nothing.

    Attributes:
        steps: Denoising steps.
        guidance: FLUX's distilled guidance.
        strength: Share of the schedule that is run.
        true_cfg: Scale of classifier-free guidance.
    """

    steps: int
    guidance: float
    strength: float = 1.0
    true_cfg: float = 1.0


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
        architecture: Which code runs them.
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
        derived_from: Name of the base it was made from, whose ControlNets and LoRAs fit it too; None for none.
        controls: Kinds of control it reads, with defaults.
        control_modes: Number by which a union ControlNet is told the kind; empty for those that see it themselves.
        works_with: Names of the checkpoints it was trained for, where it paints nothing by itself.
        inpainting: Weight and span of a ControlNet that reads a masked picture and its mask; None for all others.
        weight: Weight of a LoRA or of a reference where the request says none.
        guided: Whether guidance is an input of it; where it is none, only the default is taken.
        pictures: Pictures that an instruction may speak of.
        negative_cfg: Scale of classifier-free guidance where a request gives a negative prompt and no scale; None
            where a negative prompt cannot act.
        size_multiple: Sides the model runs at are multiples of this.
        bucket: Sides of crops are multiples of this, so that crops come in few shapes.
        outpaint_passes: Runs that one outpaint may take: more are sharper, and slower.
    """

    name: str
    family: Family
    licence: str
    licence_url: str
    architecture: Architecture = Architecture.FLUX1
    native_pixels: int = 1024 * 1024
    smallest_pixels: int = 512 * 512
    max_pixels: int = 2048 * 1024
    max_sequence_length: int = 512
    hub_id: str | None = None
    packaged: str | None = None
    revision: str | None = None
    acceptance_reason: str = ""
    defaults: Mapping[OperationName, SamplingDefaults] = field(default_factory=dict)
    derived_from: str | None = None
    controls: Mapping[ControlKind, ControlDefaults] = field(default_factory=dict)
    control_modes: Mapping[ControlKind, int] = field(default_factory=dict)
    works_with: frozenset[str] = frozenset()
    inpainting: ControlDefaults | None = None
    weight: float = 1.0
    guided: bool = True
    pictures: int = 0
    negative_cfg: float | None = None
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
    def paints(self) -> bool:
        """Whether it paints by itself."""
        return self.family in PAINTING

    def fits(self, base: "Checkpoint") -> bool:
        """Say whether it, which paints nothing by itself, was trained for a checkpoint or for what that was made from.

        Args:
            base: What it shall act beside.

        Returns:
            Whether it may.
        """
        return base.name in self.works_with or base.derived_from in self.works_with

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
        true_cfg: float | None = None,
        negative: bool = False,
    ) -> Sampling:
        """Complete a request's sampling with this checkpoint's defaults.

        Args:
            operation: Name of the operation.
            seed: Seed of the noise.
            steps: Steps asked for, or None.
            guidance: Guidance asked for, or None.
            strength: Strength asked for, or None.
            true_cfg: Scale of classifier-free guidance asked for, or None.
            negative: Whether the request has a negative prompt, which takes a scale above 1 to act.

        Returns:
            The sampling to run.

        Raises:
            OperationError: `checkpoint_unsuitable`, or a value out of range.
        """
        if operation not in self.operations:
            raise unsuitable(self, operation)
        default = self.defaults[OperationName(operation)]
        if true_cfg is None:
            true_cfg = max(default.true_cfg, (self.negative_cfg or 1.0) if negative else 1.0)
        return Sampling(
            steps=default.steps if steps is None else steps,
            guidance=default.guidance if guidance is None else guidance,
            seed=seed,
            strength=default.strength if strength is None else strength,
            true_cfg=true_cfg,
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
