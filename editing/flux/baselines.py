"""Baselines: what others do with the same Fill weights, to measure our seams against.

Two recipes, run on the loaded modules themselves, nothing stood in for:

* diffusers' `FluxFillPipeline` as it stands;
* the steps of ComfyUI's published templates `flux_fill_inpaint_example` and `flux_fill_outpaint_example`
  (Comfy-Org/workflow_templates), as ComfyUI's nodes carry them out: `InpaintModelConditioning`,
  `DifferentialDiffusion`, `KSampler` (euler, normal) and `VAEDecode`.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from editing.catalogue import find
from editing.diffusion.memory import Residency
from editing.diffusion.merging import packed
from editing.diffusion.noise import noise_after_one_draw, seeded_generator
from editing.diffusion.placing import place
from editing.diffusion.quiet import quiet_libraries
from editing.diffusion.settings import EngineSettings
from editing.flux.latents import packed_mask, positions, unpacked
from editing.flux.loading import CheckpointShelf  # imports the shim before diffusers
from editing.masks import LATENT_CELL
from editing.rasters import Mask, Pixels

from diffusers import FluxFillPipeline  # isort: skip

CHECKPOINT = "flux-mini-fill"
LEAST_SIGMA = 1e-4
"""Where ComfyUI's `normal` schedule ends before 0, for a model without a shift, as flux-mini was trained."""


class FillBaselines:
    """Runs the recipes of others on the packaged Fill checkpoint, one at a time."""

    def __init__(self, settings: EngineSettings) -> None:
        """Set up; the weights load when first used.

        Args:
            settings: Those of the engine that is compared; its threads are torch's in this process.

        Raises:
            EngineError: As `place` raises.
        """
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        where = place(settings)
        self._device, self._dtype = where.device, where.dtype
        self._shelf = CheckpointShelf(settings, Residency(where), keeps=1)

    def plain(
        self, pixels: Pixels, mask: Mask, prompt: str, *, size: tuple[int, int], seed: int, steps: int, guidance: float
    ) -> Pixels:
        """Run diffusers' pipeline as it stands: it scales, rounds the mask, and repaints the whole picture.

        Args:
            pixels: What is there, uint8 (h, w, 3), sRGB.
            mask: float32 (h, w), 1 repaint .. 0 keep.
            prompt: What to show.
            size: Width and height at which it runs, multiples of 16.
            seed: Seed of the noise.
            steps: Denoising steps.
            guidance: FLUX's distilled guidance.

        Returns:
            uint8 (`size` high and wide, 3), sRGB, straight from the pipeline.

        Raises:
            EngineError: The weights are missing or do not load.
        """
        with quiet_libraries():
            pipeline = self._pipeline()
            result = pipeline(
                prompt=prompt,
                image=Image.fromarray(pixels),
                mask_image=Image.fromarray(np.rint(mask * 255).astype(np.uint8)),
                width=size[0],
                height=size[1],
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=seeded_generator(seed),
                max_sequence_length=find(CHECKPOINT).max_sequence_length,
                output_type="np",
            )
        return _to_pixels(result.images[0])

    @torch.no_grad()
    def template(
        self, pixels: Pixels, mask: Mask, prompt: str, *, seed: int, steps: int, guidance: float, merge: bool
    ) -> Pixels:
        """Follow ComfyUI's template: what its `VAEDecode` hands to `SaveImage`.

        Args:
            pixels: What is there, uint8 (h, w, 3), sRGB; sides are multiples of 16.
            mask: float32 (h, w), 1 repaint .. 0 keep; soft where the template feathers. Pixels are blanked where it
                rounds to 1, the model reads it as it is.
            prompt: What to show.
            seed: Seed of the noise; it starts from the noise that `plain` starts from.
            steps: Steps of its schedule.
            guidance: FLUX's distilled guidance.
            merge: The node's `noise_mask`: whether kept latents are put back at every step. The inpainting template
                says yes, the outpainting template no.

        Returns:
            uint8 (h, w, 3), sRGB: the whole picture, decoded.

        Raises:
            EngineError: The weights are missing or do not load.
        """
        with quiet_libraries():
            pipeline = self._pipeline()
            picture = self._tensor(pixels).permute(2, 0, 1)[None] / 127.5 - 1
            plane = self._tensor(mask)[None, None]
            kept = self._encoded(pipeline, picture)
            blanked = self._encoded(pipeline, picture * (1 - plane.round()))
            noise = self._noise(kept.shape, seed)
            latents = self._sampled(
                pipeline,
                prompt,
                noise=noise,
                condition=torch.cat([packed(blanked), packed_mask(plane)], dim=2),
                guidance=guidance,
                sigmas=[*np.linspace(1.0, LEAST_SIGMA, steps), 0.0],
                merged=(kept, plane) if merge else None,
            )
            config = pipeline.vae.config
            decoded = pipeline.vae.decode(latents / config.scaling_factor + config.shift_factor, return_dict=False)[0]
        return _to_pixels((decoded[0].permute(1, 2, 0).float().cpu().numpy() + 1) / 2)

    def _pipeline(self) -> Any:
        parts = dict(self._shelf.get(find(CHECKPOINT)).parts)
        parts["scheduler"] = type(parts["scheduler"]).from_config(parts["scheduler"].config)
        pipeline = FluxFillPipeline(**parts)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def _tensor(self, values: npt.NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.array(values)).to(self._device, self._dtype)

    def _encoded(self, pipeline: Any, picture: torch.Tensor) -> torch.Tensor:
        """Encode to the mean of the posterior, as ComfyUI's VAE does; diffusers' pipeline draws from it."""
        config = pipeline.vae.config
        latents: torch.Tensor = pipeline.vae.encode(picture).latent_dist.mode().sub(config.shift_factor)
        return latents.mul(config.scaling_factor)

    def _noise(self, shape: torch.Size, seed: int) -> torch.Tensor:
        """The noise that `FluxFillPipeline` starts from: its second draw, the first goes into the encoded picture."""
        noise = noise_after_one_draw(seeded_generator(seed), shape, dtypes=(self._dtype, self._dtype))
        return noise.to(self._device)

    def _sampled(
        self,
        pipeline: Any,
        prompt: str,
        *,
        noise: torch.Tensor,
        condition: torch.Tensor,
        guidance: float,
        sigmas: list[float],
        merged: tuple[torch.Tensor, torch.Tensor] | None,
    ) -> torch.Tensor:
        """Euler's method down the schedule; with `merged`, kept latents stand still until their mask value is due."""
        words, pooled, text_ids = pipeline.encode_prompt(
            prompt, None, max_sequence_length=find(CHECKPOINT).max_sequence_length
        )
        _, _, height, width = noise.shape
        size = (width * LATENT_CELL, height * LATENT_CELL)
        ids = positions(height // 2, width // 2).to(self._device, self._dtype)
        latents = noise
        for now, after in pairwise(sigmas):
            velocity = pipeline.transformer(
                hidden_states=torch.cat([packed(latents), condition], dim=2),
                timestep=torch.full((1,), now, device=self._device, dtype=self._dtype),
                guidance=torch.full((1,), guidance, device=self._device, dtype=torch.float32),
                pooled_projections=pooled,
                encoder_hidden_states=words,
                txt_ids=text_ids,
                img_ids=ids,
                return_dict=False,
            )[0]
            latents = latents + (after - now) * unpacked(velocity, size)
            if merged is not None:
                kept, plane = merged
                due = (now - LEAST_SIGMA) / (1 - LEAST_SIGMA)
                paints = torch.nn.functional.interpolate(plane, (height, width), mode="bilinear") >= due
                latents = torch.where(paints, latents, after * noise + (1 - after) * kept)
        return latents


def _to_pixels(values: npt.NDArray[np.floating[Any]]) -> Pixels:
    return np.asarray(np.rint(np.clip(values, 0.0, 1.0) * 255.0), dtype=np.uint8)
