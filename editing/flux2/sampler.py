"""Sampler: one run of FLUX.2 [klein], step by step, for every operation alike.

    noise ──► [noised picture where a mask keeps it] ──► step, step, ... ──► decode
                  tokens of what is painted, then of every picture it refers to

diffusers has one pipeline for text and references, and another for inpainting that shrinks a picture to one megapixel,
rounds masks to 0 and 1, and then samples them at one point in 16x16. Here it is one loop, at the size asked for, with
soft masks ("differential", see `editing.diffusion.merging`). Noise is drawn, and numbers rounded, as the pipelines do
it: where they are right, the pixels are theirs to the last bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from editing.diffusion.merging import LatentMerge
from editing.diffusion.noise import seeded_generator
from editing.diffusion.rooms import Run
from editing.flux2.latents import (
    TOKEN_PIXELS,
    decode,
    latents_of,
    levels_of,
    patches_of,
    picture_positions,
    text_positions,
    tokens_of,
)
from editing.flux2.loading import LoadedKlein  # imports the shim before diffusers
from editing.rasters import Mask

from diffusers import FlowMatchEulerDiscreteScheduler  # isort: skip
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu  # isort: skip

_TRAINING_STEPS = 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conditions:
    """What a run is steered by.

    Attributes:
        prompt: (1, tokens, dim): the encoded prompt.
        negative: (1, tokens, dim): what it shall not show; None without classifier-free guidance.
        references: Patches (1, 4c, rows, columns) each: the pictures that the model sees.
        clean: Patches of what is there, of the run's size, where latents are merged; else None.
    """

    prompt: torch.Tensor
    negative: torch.Tensor | None = None
    references: Sequence[torch.Tensor] = ()
    clean: torch.Tensor | None = None


class Denoising:
    """One run under way; see `editing.diffusion.painting.Denoising`.

    * It has a scheduler and a generator of its own: nothing that ran before can show.
    * Without a mask it starts from noise alone; with one, from the picture noised as the strength says.

    Attributes:
        steps: Steps it makes, after strength.
    """

    @torch.no_grad()
    def __init__(self, loaded: LoadedKlein, run: Run, conditions: Conditions) -> None:
        """Draw the noise and set the schedule.

        Args:
            loaded: The checkpoint.
            run: What to run.
            conditions: What steers it; they say where and in what is computed, for a model may wait elsewhere.
        """
        self._loaded = loaded
        self._run = run
        self._conditions = conditions
        self._device, self._dtype = conditions.prompt.device, conditions.prompt.dtype
        steps = run.sampling.steps
        begin = 0 if run.mask is None else run.sampling.first_step
        noise = self._noise()
        self._scheduler = _schedule(loaded, steps, tokens=noise.shape[2] * noise.shape[3], device=self._device)
        self._scheduler.set_begin_index(begin)
        self._timesteps = self._scheduler.timesteps[begin:]
        self._references = [tokens_of(patches) for patches in conditions.references]
        self._positions = picture_positions([noise, *conditions.references]).to(self._device)
        self._words = text_positions(conditions.prompt.shape[1]).to(self._device)  # every prompt is as long
        self._latents, self._merge = tokens_of(noise), None
        if run.mask is not None:
            self._latents, self._merge = self._start(run.mask, conditions.clean, noise)
        self.steps = len(self._timesteps)

    def _noise(self) -> torch.Tensor:
        width, height = self._run.size
        channels = int(self._loaded.transformer.config.in_channels)
        shape = (1, channels, height // TOKEN_PIXELS, width // TOKEN_PIXELS)
        generator = seeded_generator(self._run.sampling.seed)
        return torch.randn(shape, generator=generator, dtype=self._dtype).to(self._device)

    def _start(self, mask: Mask, clean: torch.Tensor | None, noise: torch.Tensor) -> tuple[torch.Tensor, LatentMerge]:
        if clean is None:
            raise ValueError("a run with a mask has a picture")
        start = self._scheduler.scale_noise(clean, self._timesteps[:1], noise)
        sigmas = self._scheduler.sigmas.tolist()
        merge = LatentMerge(mask, clean=latents_of(clean), noise=latents_of(noise), sigmas=sigmas)
        return tokens_of(start), merge

    @torch.no_grad()
    def step(self, number: int) -> None:
        """Make a step.

        Args:
            number: Which, 0..steps - 1, in order.
        """
        timestep = self._timesteps[number]
        predicted = self._predicted(self._conditions.prompt, timestep)
        if self._conditions.negative is not None:
            against = self._predicted(self._conditions.negative, timestep)
            predicted = against + self._run.sampling.true_cfg * (predicted - against)
        self._latents = self._scheduler.step(predicted, timestep, self._latents, return_dict=False)[0]
        if self._merge is not None:
            self._latents = self._merge.before_step(int(self._scheduler.step_index), self._latents)

    def _predicted(self, prompt: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        seen = torch.cat([self._latents, *self._references], dim=1).to(self._dtype)
        predicted: torch.Tensor = self._loaded.transformer(
            hidden_states=seen,
            timestep=timestep.expand(1).to(self._latents.dtype) / _TRAINING_STEPS,
            guidance=None,
            encoder_hidden_states=prompt,
            txt_ids=self._words,
            img_ids=self._positions,
            return_dict=False,
        )[0]
        return predicted[:, : self._latents.shape[1]]

    @torch.no_grad()
    def levels(self) -> np.ndarray:
        """Decode what was painted: float32 (h, w, 3), 0..1."""
        patches = self._loaded.normalisation.undone(patches_of(self._latents, self._run.size))
        return levels_of(decode(self._loaded.vae, patches))


def _schedule(loaded: LoadedKlein, steps: int, *, tokens: int, device: torch.device) -> FlowMatchEulerDiscreteScheduler:
    """Build the run's own scheduler; how far it leans towards noise depends on the tokens painted and the steps."""
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(loaded.scheduler.config)
    mu = compute_empirical_mu(image_seq_len=tokens, num_steps=steps)
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=mu, device=device)
    return scheduler
