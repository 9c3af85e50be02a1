"""What `studio bench savings` stands on: engines that remember or do not, diffusers' own runs, and what each costs.

Costs are counted on the real models: a hook on every module's call, and every tensor that comes to life.
"""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn.modules.module import register_module_forward_pre_hook

from editing.diffusion.building import build_engine
from editing.diffusion.engine import DiffusionEngine
from editing.diffusion.memory import Residency
from editing.diffusion.noise import seeded_generator
from editing.diffusion.placing import place
from editing.diffusion.quiet import quiet_libraries
from editing.diffusion.rooms import Plan, Run
from editing.diffusion.settings import EngineSettings
from editing.flux.room import Flux1Room  # imports the shim before diffusers
from editing.rasters import Pixels

from diffusers import (  # isort: skip
    Flux2Transformer2DModel,
    FluxControlNetModel,
    FluxControlNetPipeline,
    FluxFillPipeline,
    FluxTransformer2DModel,
)
from diffusers.models.autoencoders.vae import Encoder  # isort: skip
from transformers import Qwen3ForCausalLM, T5EncoderModel  # isort: skip


@dataclass(slots=True, kw_only=True)
class Calls:
    """How often models were called.

    Attributes:
        texts: Prompts that a long text encoder read.
        pictures: Pictures that an autoencoder encoded.
        nets: Steps in which a ControlNet ran, each net for itself.
        first_step: When a transformer was first called, in seconds of `time.perf_counter`; None: never.
    """

    texts: int = 0
    pictures: int = 0
    nets: int = 0
    first_step: float | None = None


_COUNTED = {
    "texts": (T5EncoderModel, Qwen3ForCausalLM),
    "pictures": (Encoder,),
    "nets": (FluxControlNetModel,),
}
_TRANSFORMERS = (FluxTransformer2DModel, Flux2Transformer2DModel)


@contextmanager
def counted_calls() -> Iterator[Calls]:
    """Count what models are called in this process while a block runs.

    Yields:
        The counts, which grow.
    """
    calls = Calls()

    def count(module: torch.nn.Module, _inputs: Any) -> None:
        for name, kinds in _COUNTED.items():
            if isinstance(module, kinds):
                setattr(calls, name, getattr(calls, name) + 1)
        if calls.first_step is None and isinstance(module, _TRANSFORMERS):
            calls.first_step = time.perf_counter()

    hook = register_module_forward_pre_hook(count)
    try:
        yield calls
    finally:
        hook.remove()


@contextmanager
def new_bytes() -> Iterator[Callable[[], int]]:
    """Weigh the tensors that come to life within a block.

    Yields:
        What weighs those of them that are alive when it is called, in bytes; what several share counts once.
    """
    gc.collect()
    gc.freeze()  # what is there already is neither counted nor looked at
    try:
        yield _collected_bytes
    finally:
        gc.unfreeze()


def _collected_bytes() -> int:
    gc.collect()
    # The type, not isinstance: some libraries' objects load more of the library when they are asked what they are.
    tensors = [each for each in gc.get_objects() if issubclass(type(each), torch.Tensor)]
    storages = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in tensors}
    return sum(storages.values())


class SavingsGround:
    """Runs the same edits with a saving and without it; implements `studio.bench.savings.Ground`."""

    def __init__(self, settings: EngineSettings) -> None:
        """Set up; nothing is loaded yet.

        Args:
            settings: Where weights lie, and how they run.
        """
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        self._settings = settings

    def engine(self, *, remembers: bool) -> DiffusionEngine:
        """Build an engine on which nothing is loaded; see `studio.bench.savings.Ground`."""
        return build_engine(replace(self._settings, remembers=remembers), accepted=lambda _name: False)

    def counted(self) -> AbstractContextManager[Calls]:
        """Count calls while a block runs; see `counted_calls`."""
        return counted_calls()

    def weighed(self) -> AbstractContextManager[Callable[[], int]]:
        """Weigh the tensors that come to life within a block; see `new_bytes`."""
        return new_bytes()

    def ours(self, plan: Plan, run: Run) -> Callable[[], Pixels]:
        """Load what a run takes.

        Args:
            plan: Its weights.
            run: What to run.

        Returns:
            What runs it with our sampler.

        Raises:
            EngineError: The weights are missing or do not load.
        """
        painter = self._room().load(plan)
        return lambda: painter.paint(run, on_step=lambda _progress: None, cancelled=lambda: False)

    def stock(self, plan: Plan, run: Run) -> Callable[[], Pixels]:
        """Load what the same run takes with diffusers' pipeline: Fill with a hard mask, or ControlNets from words.

        Args:
            plan: Its weights.
            run: What to run.

        Returns:
            What runs it with diffusers' pipeline.

        Raises:
            EngineError: The weights are missing or do not load.
        """
        models = self._room().load(plan).models
        parts = {name: each for name, each in models.part.items() if name != "scheduler"}
        scheduler = models.part["scheduler"]
        nets = [models.readers[each.checkpoint].parts["controlnet"] for each in run.guides.controls]

        def painted() -> Pixels:
            given: dict[str, Any] = {"scheduler": type(scheduler).from_config(scheduler.config), **parts}
            with quiet_libraries():
                if nets:
                    pipeline = FluxControlNetPipeline(controlnet=nets[0], **given)
                    more = _control(run)
                else:
                    pipeline, more = FluxFillPipeline(**given), _filled(run)
                pipeline.set_progress_bar_config(disable=True)
                return _levels(pipeline(**more, **_common(run, models.main.checkpoint.max_sequence_length)))

        return painted

    def _room(self) -> Flux1Room:
        where = place(self._settings)
        return Flux1Room(
            replace(self._settings, remembers=False), Residency(where), keeps=where.keeps, read_adapter=str.encode
        )


def _common(run: Run, length: int) -> dict[str, Any]:
    return {
        "prompt": run.prompt,
        "width": run.size[0],
        "height": run.size[1],
        "num_inference_steps": run.sampling.steps,
        "guidance_scale": run.sampling.guidance,
        "generator": seeded_generator(run.sampling.seed),
        "max_sequence_length": length,
        "output_type": "np",
    }


def _control(run: Run) -> dict[str, Any]:
    (control,) = run.guides.controls
    return {
        "control_image": Image.fromarray(run.images[0]),
        "controlnet_conditioning_scale": control.scale,
        "control_guidance_start": control.start,
        "control_guidance_end": control.end,
    }


def _filled(run: Run) -> dict[str, Any]:
    if run.pixels is None or run.mask is None:
        raise ValueError("diffusers' pipeline for Fill takes a picture and its mask")
    mask = np.rint(run.mask * 255).astype(np.uint8)
    return {"image": Image.fromarray(run.pixels), "mask_image": Image.fromarray(mask), "strength": 1.0}


def _levels(result: Any) -> Pixels:
    images: Sequence[Any] = result.images
    return np.asarray(np.rint(np.clip(images[0], 0.0, 1.0) * 255.0), dtype=np.uint8)
