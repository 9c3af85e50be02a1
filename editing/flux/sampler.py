"""The sampler: one denoising loop for every FLUX.1 checkpoint and every mix of guides.

diffusers has a pipeline class for each combination of a few guides, and none for the rest; their loops differ in what
they hand to the same transformer. Here that is put together from parts, so that Fill's channels, ControlNets, LoRAs,
Redux tokens, image adapters, Kontext's reference tokens and true classifier-free guidance mix freely. Where diffusers
has a pipeline for a mix, this gives the very same latents: the same draws in the same order, the same arithmetic.

    conditions ──► start ──► for each step: nets ► transformer (► again, for the negative prompt) ► scheduler ► merge
                                                                                                        ──► decode
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from editing.checkpoints import Family
from editing.diffusion.merging import LatentMerge, packed
from editing.diffusion.noise import noise_after_one_draw, seeded_generator
from editing.diffusion.rooms import Run
from editing.diffusion.torchvision_shim import ensure_torchvision
from editing.flux.conditions import Conditioner, Models, Text
from editing.flux.latents import LatentEncoder, levels_of, unpacked
from editing.flux.nets import ActingNet, residuals
from editing.masks import LATENT_CELL

ensure_torchvision()

from diffusers import FlowMatchEulerDiscreteScheduler  # noqa: E402 - the shim comes first
from diffusers.pipelines.flux.pipeline_flux import calculate_shift, retrieve_timesteps  # noqa: E402
from diffusers.utils.torch_utils import randn_tensor  # noqa: E402


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """What the transformer reads at every step beside the latents.

    Attributes:
        text: The prompt.
        negative: The negative prompt, where true CFG is on.
        nets: ControlNets.
        channels: Laid beside each token's latents, (1, tokens, n), or None.
        tokens: Laid behind the painted tokens, (1, n, 64), or None.
        places: Of all tokens, (tokens, 3).
        embeds: Pictures as image adapters see them, one for each that is attached.
        unshown: What they see in the second pass of true CFG: as many black pictures.
    """

    text: Text
    negative: Text | None
    nets: Sequence[ActingNet]
    channels: torch.Tensor | None
    tokens: torch.Tensor | None
    places: torch.Tensor
    embeds: Sequence[torch.Tensor] = ()
    unshown: Sequence[torch.Tensor] = ()


class Denoising:
    """One run under way; see `editing.diffusion.painting.Denoising`.

    Attributes:
        steps: Steps it makes, after strength.
    """

    @torch.no_grad()
    def __init__(
        self,
        models: Models,
        encoder: LatentEncoder,
        run: Run,
        text: Text,
        negative: Text | None,
        *,
        embeds: Sequence[torch.Tensor] = (),
        unshown: Sequence[torch.Tensor] = (),
    ) -> None:
        """Encode what is read, and draw what the run starts from, in diffusers' order.

        Args:
            models: The loaded weights.
            encoder: Encodes and decodes with the autoencoder of what paints.
            run: What to run.
            text: The prompt.
            negative: The negative prompt; None where true CFG is off.
            embeds: Pictures as the attached image adapters see them.
            unshown: Black pictures as they see them, for true CFG.
        """
        self._models = models
        self._encoder = encoder
        self._run = run
        self._transformer = models.part["transformer"]
        self._device = models.device
        self._generator = seeded_generator(run.sampling.seed)
        self._scheduler, self._timesteps, self._first = self._schedule()
        self.steps = len(self._timesteps)
        dtype = text.embeds.dtype
        conditions = Conditioner(models, encoder, run, generator=self._generator, dtype=dtype)
        nets, channels = conditions.read()
        self._latents, self._merge = self._start(conditions, dtype)
        filled = conditions.filled()
        referred = conditions.referred()
        own = conditions.own_places
        self._reading = Reading(
            text=text,
            negative=negative,
            nets=nets,
            channels=channels if filled is None else filled,
            tokens=referred[0] if referred else None,
            places=torch.cat([own, referred[1]]) if referred else own,
            embeds=embeds,
            unshown=unshown,
        )

    @torch.no_grad()
    def step(self, number: int) -> None:
        """Make a step.

        Args:
            number: Which, 0..steps - 1, in order.
        """
        timestep = self._timesteps[number]
        velocity = self._velocity(timestep, number)
        self._latents = self._scheduler.step(velocity, timestep, self._latents, return_dict=False)[0]
        if self._merge is not None:
            self._latents = self._merge.before_step(self._first + number + 1, self._latents)

    @torch.no_grad()
    def levels(self) -> np.ndarray:
        """Decode what was painted: float32 (h, w, 3), 0..1."""
        return levels_of(self._encoder.decode(unpacked(self._latents, self._run.size)))

    def _schedule(self) -> tuple[Any, torch.Tensor, int]:
        """A scheduler of its own, the timesteps that are run, and the first of them: strength skips whole steps."""
        run, steps = self._run, self._run.sampling.steps
        scheduler = FlowMatchEulerDiscreteScheduler.from_config(self._models.part["scheduler"].config)
        config = scheduler.config
        tokens = (run.size[0] // (2 * LATENT_CELL)) * (run.size[1] // (2 * LATENT_CELL))
        shift = calculate_shift(
            tokens,
            config.get("base_image_seq_len", 256),
            config.get("max_image_seq_len", 4096),
            config.get("base_shift", 0.5),
            config.get("max_shift", 1.15),
        )
        sigmas = np.linspace(1.0, 1 / steps, steps)
        timesteps, _ = retrieve_timesteps(scheduler, steps, self._device, sigmas=sigmas, mu=shift)
        first = 0 if run.pixels is None else run.sampling.first_step
        scheduler.set_begin_index(first)
        return scheduler, timesteps[first:], first

    def _start(self, conditions: Conditioner, dtype: torch.dtype) -> tuple[torch.Tensor, LatentMerge | None]:
        """Noise, or the picture noised to the first step, and what kept latents are put back from.

        A picture that would not show is not encoded.
        """
        width, height = self._run.size
        shape = (1, self._encoder.channels, height // LATENT_CELL, width // LATENT_CELL)
        if self._run.pixels is None or self._instructed:
            return packed(self._noise(shape, dtype)), None
        sigmas = self._scheduler.sigmas
        if float(sigmas[self._first]) == 1.0 and not self._merges:
            noise = noise_after_one_draw(self._generator, shape, dtypes=(self._encoder.dtype, dtype))
            return packed(noise.to(self._device)), None
        clean = conditions.clean()
        noise = self._noise(shape, dtype)
        started = self._scheduler.scale_noise(clean, self._timesteps[:1], noise)
        merge = None
        if self._run.mask is not None and self._merges:
            merge = LatentMerge(self._run.mask, clean=clean, noise=noise, sigmas=sigmas.tolist())
        return packed(started), merge

    @property
    def _instructed(self) -> bool:
        """Whether the picture is only referred to, not started from."""
        return self._run.mask is None and self._models.main.checkpoint.pictures > 0

    @property
    def _merges(self) -> bool:
        """Whether kept latents are put back: always with a mask, but for Fill only a soft one, which it cannot read."""
        mask = self._run.mask
        if mask is None:
            return False
        fills = self._models.main.checkpoint.family is Family.FILL
        return not fills or bool(((mask > 0.0) & (mask < 1.0)).any())

    def _noise(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        noise: torch.Tensor = randn_tensor(shape, generator=self._generator, device=self._device, dtype=dtype)
        return noise

    def _velocity(self, timestep: torch.Tensor, step: int) -> torch.Tensor:
        latents, reading = self._latents, self._reading
        now = timestep.expand(latents.shape[0]).to(latents.dtype) / 1000
        scales = [net.scale_at(step, self.steps) for net in reading.nets]
        read: dict[str, Any] = {}
        if reading.nets:
            read["controlnet_block_samples"], read["controlnet_single_block_samples"] = residuals(
                reading.nets,
                scales,
                self._transformer,
                guidance=self._run.sampling.guidance,
                hidden_states=latents,
                timestep=now,
                img_ids=reading.places,
                **_said(reading.text),
            )
        towards = self._predicted(latents, now, reading, read)
        if reading.negative is None:
            return towards
        # As diffusers does it: the nets' residuals are those of the prompt in both passes.
        unprompted = replace(reading, text=reading.negative, embeds=reading.unshown)
        away = self._predicted(latents, now, unprompted, read)
        return away + self._run.sampling.true_cfg * (towards - away)

    def _predicted(
        self,
        latents: torch.Tensor,
        now: torch.Tensor,
        reading: Reading,
        read: dict[str, Any],
    ) -> torch.Tensor:
        states = latents
        if reading.channels is not None:
            states = torch.cat([states, reading.channels], dim=2)
        if reading.tokens is not None:
            states = torch.cat([states, reading.tokens], dim=1)
        guidance = None
        if self._transformer.config.guidance_embeds:
            guidance = torch.full([1], self._run.sampling.guidance, device=self._device, dtype=torch.float32)
        # The transformer writes into this mapping: each call gets one of its own.
        attention = {"ip_adapter_image_embeds": list(reading.embeds)} if reading.embeds else {}
        predicted: torch.Tensor = self._transformer(
            hidden_states=states,
            timestep=now,
            guidance=guidance,
            img_ids=reading.places,
            joint_attention_kwargs=attention,
            return_dict=False,
            **_said(reading.text),
            **read,
        )[0]
        return predicted[:, : latents.shape[1]]


def _said(text: Text) -> dict[str, torch.Tensor]:
    return {"pooled_projections": text.pooled, "encoder_hidden_states": text.embeds, "txt_ids": text.ids}
