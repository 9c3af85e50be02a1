"""Pipelines: one run of one diffusers pipeline on loaded parts.

Each run builds its own pipeline object and its own scheduler from shared weights: pipelines and schedulers keep state
between runs (a begin index after strength, an interrupt flag), weights do not. Pipelines are built by their class:
`from_pipe` would cast the shared weights to float32.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from editing.engine import Progress
from editing.errors import EditCancelled, EngineError
from editing.flux.loading import LoadedCheckpoint  # imports the shim before diffusers
from editing.flux.noise import seeded_generator
from editing.flux.settings import FluxSettings, MemoryProfile
from editing.masks import whole_cells
from editing.operations import Control, Sampling
from editing.rasters import Mask, Pixels

from diffusers import (  # isort: skip
    FluxControlNetInpaintPipeline,
    FluxControlNetPipeline,
    FluxFillPipeline,
    FluxInpaintPipeline,
    FluxMultiControlNetModel,
    FluxPipeline,
)

_RUN_ERRORS = (RuntimeError, ValueError, TypeError, LookupError)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Steering:
    """Control images and the ControlNet that reads them.

    Attributes:
        controlnet: The loaded ControlNet.
        controls: What the request says, in order.
        images: uint8 (h, w, 3) each, of the run's size.
    """

    controlnet: LoadedCheckpoint
    controls: Sequence[Control]
    images: Sequence[Pixels]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """One run of a model.

    Attributes:
        prompt: What to show.
        size: Width and height, multiples of 16.
        sampling: How to sample.
        pixels: What is there, uint8 (h, w, 3), sRGB; None to generate.
        mask: float32 (h, w), 1 paint, 0 keep; None to generate.
        steering: Control images; None without.
    """

    prompt: str
    size: tuple[int, int]
    sampling: Sampling
    pixels: Pixels | None = None
    mask: Mask | None = None
    steering: Steering | None = None


class PipelineRunner:
    """Runs pipelines on one device under one memory profile."""

    def __init__(self, settings: FluxSettings, *, device: torch.device) -> None:
        self._memory = settings.memory
        self._device = device

    def run(
        self,
        loaded: LoadedCheckpoint,
        run: Run,
        *,
        route: str,
        on_step: Callable[[Progress], None],
        cancelled: Callable[[], bool],
    ) -> Pixels:
        """Run one pipeline.

        Args:
            loaded: The base or Fill checkpoint.
            run: What to run.
            route: Which pipeline: `generate`, `controlnet`, `fill`, `inpaint` or `controlnet_inpaint`.
            on_step: Called after each step.
            cancelled: Asked before the first step, after each step and before decoding.

        Returns:
            uint8 (h, w, 3), 0..255, sRGB, of the run's size.

        Raises:
            EditCancelled: `cancelled()` said so.
            EngineError: `engine_failed`.
        """
        if cancelled():
            raise EditCancelled
        watcher = _Watcher(on_step, cancelled)
        try:
            result = self._call(_build(route, loaded, run.steering), _inputs(route, loaded, run), watcher)
        except _RUN_ERRORS as error:
            if error is watcher.raised:
                raise
            raise EngineError(
                f"{loaded.checkpoint.name} failed while it ran: {error}",
                code="engine_failed",
                field="checkpoint",
                value=loaded.checkpoint.name,
            ) from error
        return _to_pixels(result.images[0], loaded)

    def _call(self, pipeline: Any, inputs: dict[str, Any], watcher: "_Watcher") -> Any:
        pipeline.set_progress_bar_config(disable=True)
        try:
            self._enter(pipeline)
            return pipeline(**inputs, callback_on_step_end=watcher)
        finally:
            self._leave(pipeline)

    def _enter(self, pipeline: Any) -> None:
        if self._memory is MemoryProfile.MODEL_OFFLOAD:
            pipeline.enable_model_cpu_offload(device=self._device)
        elif self._memory is MemoryProfile.SEQUENTIAL_OFFLOAD:
            pipeline.enable_sequential_cpu_offload(device=self._device)

    def _leave(self, pipeline: Any) -> None:
        """Free what a run left on the device, however it ended; the next run hooks its own pipeline."""
        pipeline.maybe_free_model_hooks()
        if self._memory is not MemoryProfile.RESIDENT:
            pipeline.remove_all_hooks()


_CLASSES = {
    "generate": FluxPipeline,
    "controlnet": FluxControlNetPipeline,
    "fill": FluxFillPipeline,
    "inpaint": FluxInpaintPipeline,
    "controlnet_inpaint": FluxControlNetInpaintPipeline,
}


def _build(route: str, loaded: LoadedCheckpoint, steering: Steering | None) -> Any:
    parts = dict(loaded.parts)
    parts["scheduler"] = type(parts["scheduler"]).from_config(parts["scheduler"].config)
    if steering is not None:
        net = steering.controlnet.parts["controlnet"]
        parts["controlnet"] = net if len(steering.images) == 1 else FluxMultiControlNetModel([net])
    return _CLASSES[route](**parts)


def _inputs(route: str, loaded: LoadedCheckpoint, run: Run) -> dict[str, Any]:
    width, height = run.size
    inputs: dict[str, Any] = {
        "prompt": run.prompt,
        "width": width,
        "height": height,
        "num_inference_steps": run.sampling.steps,
        "guidance_scale": run.sampling.guidance,
        "generator": seeded_generator(run.sampling.seed),
        "max_sequence_length": loaded.checkpoint.max_sequence_length,
        "output_type": "np",
    }
    if run.pixels is not None and run.mask is not None:
        mask = run.mask if route == "fill" else whole_cells(run.mask)
        inputs["image"] = Image.fromarray(run.pixels)
        inputs["mask_image"] = Image.fromarray((mask * 255).astype(np.uint8))
        inputs["strength"] = run.sampling.strength
    if run.steering is not None:
        inputs |= _control_inputs(run.steering)
    return inputs


def _control_inputs(steering: Steering) -> dict[str, Any]:
    images = [Image.fromarray(np.ascontiguousarray(pixels)) for pixels in steering.images]
    controls = steering.controls
    if len(images) == 1:
        return {
            "control_image": images[0],
            "controlnet_conditioning_scale": controls[0].scale,
            "control_guidance_start": controls[0].start,
            "control_guidance_end": controls[0].end,
        }
    return {
        "control_image": images,
        # Several images through one net: without a list of modes the inpaint pipeline would use none of them.
        "control_mode": [None] * len(images),
        "controlnet_conditioning_scale": [control.scale for control in controls],
        "control_guidance_start": [control.start for control in controls],
        "control_guidance_end": [control.end for control in controls],
    }


class _Watcher:
    """Passes progress on and stops the run on request; remembers an error of its callers, which is not the model's."""

    def __init__(self, on_step: Callable[[Progress], None], cancelled: Callable[[], bool]) -> None:
        self._on_step = on_step
        self._cancelled = cancelled
        self.raised: BaseException | None = None

    def __call__(self, pipeline: Any, step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        try:
            self._on_step(Progress(step=step + 1, steps=int(pipeline.num_timesteps)))
            stop = self._cancelled()
        except BaseException as error:
            self.raised = error
            raise
        if stop:
            raise EditCancelled
        return tensors


def _to_pixels(values: Any, loaded: LoadedCheckpoint) -> Pixels:
    levels = np.asarray(values, dtype=np.float32)
    if not np.isfinite(levels).all():
        raise EngineError(
            f"{loaded.checkpoint.name} gave back values that are not numbers",
            code="engine_failed",
            field="checkpoint",
            value=loaded.checkpoint.name,
        )
    return np.asarray(np.rint(np.clip(levels, 0.0, 1.0) * 255.0), dtype=np.uint8)
