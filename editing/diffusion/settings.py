"""Settings of the FLUX engine; no torch here, so that anything may build them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from editing.memory import MemoryProfile


class WeightsDtype(StrEnum):
    """Number format in which weights are loaded and computed with."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How the engine loads and runs checkpoints.

    Attributes:
        weights: Local folder of a checkpoint, by its name in the catalogue; goes before the hub's cache.
        revisions: Commit on the hub, by name, where the catalogue pins none or the operator wants another.
        hub_cache: The hub's cache folder; None is huggingface_hub's own choice.
        memory: How weights are kept; None is what fits the device.
        dtype: What is computed in; None is bfloat16 on an accelerator, float32 on the CPU.
        device: Such as `cpu` or `cuda:0`; None is the accelerator if there is one.
        threads: CPU threads of torch; None leaves torch's choice. Either is recorded with each edit.
        remembers: Whether what encoders made of the latest prompts and pictures is kept. No pixel depends on it.
    """

    weights: Mapping[str, Path] = field(default_factory=dict)
    revisions: Mapping[str, str] = field(default_factory=dict)
    hub_cache: Path | None = None
    memory: MemoryProfile | None = None
    dtype: WeightsDtype | None = None
    device: str | None = None
    threads: int | None = None
    remembers: bool = True
