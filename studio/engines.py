"""Builds the engine. The only module of `studio` that leads to torch; the API process never imports it."""

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from editing.diffusion.building import build_engine as build
from editing.diffusion.engine import DiffusionEngine
from editing.diffusion.settings import EngineSettings, WeightsDtype
from editing.memory import MemoryProfile
from studio.bootstrap import Store
from studio.settings import Settings

if TYPE_CHECKING:
    from editing.flux.baselines import FillBaselines
    from editing.flux.counting import FillCounter
    from editing.flux.savings import SavingsGround


def build_engine(settings: Settings, store: Store) -> DiffusionEngine:
    """The engine, as the settings say; weights load when first used."""
    return build(
        engine_settings(settings),
        accepted=lambda checkpoint: store.licences.accepted(checkpoint) is not None,
        read_adapter=store.blobs.get,
    )


def build_engine_without_store(settings: Settings) -> DiffusionEngine:
    """An engine for benchmarks: it knows of no acceptance, so it runs freely licensed checkpoints alone."""
    return build(engine_settings(settings), accepted=lambda _: False)


def build_baselines(settings: Settings) -> "FillBaselines":
    """The recipes of others on the packaged Fill weights, to measure our seams against; no worker needs them."""
    from editing.flux.baselines import FillBaselines

    return FillBaselines(engine_settings(settings))


def build_counter() -> "FillCounter":
    """Counts the operations of FLUX.1-Fill-dev, without its weights; no worker needs it."""
    from editing.flux.counting import FillCounter

    return FillCounter()


def build_savings_ground(settings: Settings) -> "SavingsGround":
    """Engines that remember or do not, and diffusers' own runs, on packaged weights; no worker needs it."""
    from editing.flux.savings import SavingsGround

    # flux-mini's layers are so small that threads would wait for each other longer than they work.
    return SavingsGround(replace(engine_settings(settings), threads=settings.threads or 1))


def engine_settings(settings: Settings) -> EngineSettings:
    """The engine's part of the settings."""
    return EngineSettings(
        weights=settings.weights,
        revisions=settings.revisions,
        memory=None if settings.memory == "auto" else MemoryProfile(settings.memory),
        dtype=None if settings.dtype == "auto" else WeightsDtype(settings.dtype),
        device=None if settings.device == "auto" else settings.device,
        threads=settings.threads or cores(),
    )


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
