"""Building: one engine out of every architecture's room; a new architecture is one line here."""

from collections.abc import Callable

import torch

from editing.checkpoints import Architecture
from editing.detectors import Detectors
from editing.diffusion.engine import DiffusionEngine, Ground
from editing.diffusion.memory import Residency
from editing.diffusion.placing import Place, place
from editing.diffusion.settings import EngineSettings
from editing.errors import EngineError
from editing.flux.room import Flux1Room
from editing.flux2.room import Flux2Room
from editing.memory import MemoryProfile


def build_engine(
    settings: EngineSettings, *, accepted: Callable[[str], bool], read_adapter: Callable[[str], bytes] | None = None
) -> DiffusionEngine:
    """Build an engine; weights load when they are first used.

    Args:
        settings: How to load and run.
        accepted: Whether the licence of a checkpoint of this name was accepted; asked at every run.
        read_adapter: Digest -> the bytes of an uploaded LoRA or embedding; None where nothing is uploaded.

    Returns:
        The engine.

    Raises:
        EngineError: As `editing.diffusion.placing.place` raises.
    """
    read = read_adapter or _nothing_uploaded
    where = place(settings)
    residency = Residency(where)
    return DiffusionEngine(
        {
            Architecture.FLUX1: Flux1Room(settings, residency, keeps=where.keeps, read_adapter=read),
            Architecture.FLUX2: Flux2Room(settings, residency, read_adapter=read),
        },
        Detectors(settings, device=detectors_device(where), accepted=accepted),
        accepted=accepted,
        ground=Ground(
            device=str(where.device),
            dtype=str(where.dtype).removeprefix("torch."),
            threads=settings.threads,
            exclusive=where.device.type != "cpu",
        ),
    )


def detectors_device(where: Place) -> torch.device:
    """Say where detectors run: beside the models only where all of those fit, since memory profiles count no detector.

    Args:
        where: Where the models run.

    Returns:
        Their device under the largest profile, else the CPU.
    """
    return where.device if where.profile is MemoryProfile.GB48 else torch.device("cpu")


def _nothing_uploaded(digest: str) -> bytes:
    raise EngineError(f"nothing was uploaded here, so not {digest} either", code="weights_missing", field="loras")
