"""Pipelines: one run of one diffusers pipeline on loaded parts.

Each run builds its own pipeline object and its own scheduler from shared weights: pipelines and schedulers keep state
between runs (a begin index after strength, an interrupt flag), weights do not. Pipelines are built by their class:
`from_pipe` would cast the shared weights to float32.

No route uses diffusers' own inpainting pipelines: a base checkpoint repaints a part as it repaints a whole picture, and
`merging` puts back what is kept. That is one encoding of the picture where theirs make two, and soft masks besides.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from editing.blending import Route
from editing.checkpoints import ControlDefaults
from editing.diffusion.merging import LatentMerge, RecallingScheduler, keep_mask, packed
from editing.diffusion.noise import noise_after_one_draw, seeded_generator
from editing.diffusion.settings import EngineSettings, MemoryProfile
from editing.engine import Progress
from editing.errors import EditCancelled, EngineError
from editing.flux.inpainting import conditioned
from editing.flux.loading import LoadedCheckpoint  # imports the shim before diffusers
from editing.guides import Control
from editing.masks import LATENT_CELL
from editing.operations import Sampling
from editing.rasters import Mask, Pixels

from diffusers import (  # isort: skip
    FluxControlNetImg2ImgPipeline,
    FluxControlNetPipeline,
    FluxFillPipeline,
    FluxImg2ImgPipeline,
    FluxMultiControlNetModel,
    FluxPipeline,
)

GENERATE = "generate"
IMG2IMG = "img2img"

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
        sampling: How to sample; `strength` plays no part in generating.
        pixels: What is there, uint8 (h, w, 3), sRGB; None to generate.
        mask: float32 (h, w), 1 paint at once .. 0 keep; a value v in between begins where strength v would. None to
            generate and for `img2img`.
        steering: Control images; None without, and always for Fill.
        inpainting: The loaded ControlNet of the route `inpainting_controlnet`, which acts as the catalogue says; None
            for the others.
    """

    prompt: str
    size: tuple[int, int]
    sampling: Sampling
    pixels: Pixels | None = None
    mask: Mask | None = None
    steering: Steering | None = None
    inpainting: LoadedCheckpoint | None = None


class PipelineRunner:
    """Runs pipelines on one device under one memory profile."""

    def __init__(self, settings: EngineSettings, *, device: torch.device) -> None:
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
            route: `generate`, `img2img` or a `Route`.
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
        watcher = _Watcher(on_step, cancelled, _merged(route, run))
        try:
            result = self._call(_build(route, loaded, run), _inputs(route, loaded, run), watcher)
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


class _ActingControls(FluxMultiControlNetModel):  # type: ignore[misc]
    """One ControlNet that reads any number of control images, and runs only for those that act in a step.

    A control of scale 0 (outside its span) adds zeros: leaving it out gives the same bits, without the work.
    """

    def forward(
        self,
        *,
        controlnet_cond: Sequence[torch.Tensor],
        controlnet_mode: Sequence[torch.Tensor],
        conditioning_scale: Sequence[float],
        **inputs: Any,
    ) -> Any:
        acting = [index for index, scale in enumerate(conditioning_scale) if scale]
        if not acting:
            return None, None  # what a net without blocks gives; the transformer then adds nothing
        return super().forward(
            controlnet_cond=[controlnet_cond[index] for index in acting],
            controlnet_mode=[controlnet_mode[index] for index in acting],
            conditioning_scale=[conditioning_scale[index] for index in acting],
            **inputs,
        )


_PLAIN = {
    GENERATE: FluxPipeline,
    IMG2IMG: FluxImg2ImgPipeline,
    Route.FILL: FluxFillPipeline,
    Route.LATENT_MERGE: FluxImg2ImgPipeline,
}
_STEERED = {
    GENERATE: FluxControlNetPipeline,
    Route.LATENT_MERGE: FluxControlNetImg2ImgPipeline,
    Route.INPAINTING_CONTROLNET: FluxControlNetImg2ImgPipeline,
}


def _build(route: str, loaded: LoadedCheckpoint, run: Run) -> Any:
    parts = dict(loaded.parts)
    parts["scheduler"] = RecallingScheduler.from_config(parts["scheduler"].config)
    net = None
    if run.inpainting is not None and run.steering is not None:
        raise ValueError("an inpainting ControlNet runs without other controls")  # they would go unread
    if run.inpainting is not None and run.mask is not None:
        net = conditioned(run.inpainting.parts["controlnet"], keep_mask(run.mask))
    elif run.steering is not None:
        net = run.steering.controlnet.parts["controlnet"]
    if net is None:
        return _PLAIN[route](**parts)
    return _STEERED[route](**parts, controlnet=_ActingControls([net]))


def _is_soft(mask: Mask) -> bool:
    return bool(((mask > 0.0) & (mask < 1.0)).any())


def _merged(route: str, run: Run) -> Mask | None:
    """The mask by which latents are merged: for Fill, which keeps surroundings by itself, only a soft one."""
    return None if run.mask is None or (route == Route.FILL and not _is_soft(run.mask)) else run.mask


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
    if run.pixels is not None:
        inputs["image"] = _picture(run.pixels)
        inputs["strength"] = run.sampling.strength
    if route == Route.FILL and run.mask is not None:
        inputs |= _fill_inputs(loaded, run, run.mask, inputs["generator"])
    if run.steering is not None:
        inputs |= _acting(run.steering.images, run.steering.controls)
    if run.inpainting is not None and run.pixels is not None and run.mask is not None:
        inputs |= _inpainting_inputs(run.inpainting.checkpoint.inpainting, run.pixels, run.mask)
    return inputs


def _fill_inputs(loaded: LoadedCheckpoint, run: Run, mask: Mask, generator: torch.Generator) -> dict[str, Any]:
    inputs: dict[str, Any] = {"mask_image": _picture(np.where(mask > 0.0, np.uint8(255), np.uint8(0)))}
    if run.sampling.strength == 1.0 and not _is_soft(mask):
        # The pipeline would encode the picture, and mix it into the noise with weight 0.
        width, height = run.size
        channels = int(loaded.parts["vae"].config.latent_channels)
        shape = (1, channels, height // LATENT_CELL, width // LATENT_CELL)
        dtypes = (loaded.parts["vae"].dtype, loaded.parts["text_encoder_2"].dtype)
        inputs["latents"] = packed(noise_after_one_draw(generator, shape, dtypes=dtypes))
    return inputs


def _inpainting_inputs(acting: ControlDefaults | None, pixels: Pixels, mask: Mask) -> dict[str, Any]:
    if acting is None:
        raise ValueError("this ControlNet is not one for inpainting")
    # As it was trained: what is painted is black, pixel by pixel.
    return _acting([np.where(mask[:, :, None] > 0.0, np.uint8(0), pixels)], [acting])


def _acting(images: Sequence[Pixels], spans: Sequence[Control | ControlDefaults]) -> dict[str, Any]:
    return {
        "control_image": [_picture(pixels) for pixels in images],
        # Without a list of modes the img2img pipeline would use none of the images.
        "control_mode": [None] * len(images),
        "controlnet_conditioning_scale": [span.scale for span in spans],
        "control_guidance_start": [span.start for span in spans],
        "control_guidance_end": [span.end for span in spans],
    }


def _picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels))


class _Watcher:
    """Merges latents after each step, passes progress on and stops the run on request.

    It remembers an error of its callers, which is not the model's.
    """

    def __init__(self, on_step: Callable[[Progress], None], cancelled: Callable[[], bool], merged: Mask | None) -> None:
        self._on_step = on_step
        self._cancelled = cancelled
        self._merged = merged
        self._merge: LatentMerge | None = None
        self.raised: BaseException | None = None

    def __call__(self, pipeline: Any, step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if self._merged is not None:
            self._merge = self._merge or LatentMerge(self._merged, pipeline.scheduler)
            tensors["latents"] = self._merge.before_step(int(pipeline.scheduler.step_index), tensors["latents"])
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
