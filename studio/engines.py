"""Builds the engine. The only module of `studio` that leads to torch; the API process never imports it."""

import os

from editing.flux.engine import FluxEngine
from editing.flux.settings import FluxSettings, MemoryProfile, WeightsDtype
from studio.bootstrap import Store
from studio.settings import Settings


def build_engine(settings: Settings, store: Store) -> FluxEngine:
    """The FLUX engine, as the settings say; weights load when first used."""
    return FluxEngine(
        FluxSettings(
            weights=settings.weights,
            revisions=settings.revisions,
            memory=MemoryProfile(settings.memory),
            dtype=None if settings.dtype == "auto" else WeightsDtype(settings.dtype),
            device=None if settings.device == "auto" else settings.device,
            threads=settings.threads or cores(),
        ),
        accepted=lambda checkpoint: store.licences.accepted(checkpoint) is not None,
    )


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
