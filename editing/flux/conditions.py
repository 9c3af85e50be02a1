"""Conditions: everything a run of FLUX.1 reads beside the noise, made once before its first step.

The order in which pictures are encoded is diffusers' own, since each encoding draws from the run's generator: what
ControlNets and control checkpoints read comes first, then the picture the run starts from with its noise, and last what
Fill reads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from editing.checkpoints import Family
from editing.diffusion.memory import Residency
from editing.diffusion.merging import keep_mask, packed
from editing.diffusion.painting import picture_tensor
from editing.diffusion.rooms import Run
from editing.flux.latents import LatentEncoder, mask_plane, packed_mask, positions
from editing.flux.loading import LoadedCheckpoint
from editing.flux.nets import ActingNet
from editing.masks import LATENT_CELL
from editing.rasters import Mask, Pixels

_TOKEN = 2 * LATENT_CELL
"""Pixels of a token's side."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Text:
    """A prompt as the transformer reads it.

    Attributes:
        embeds: (1, tokens, width of T5), Redux tokens behind the words'.
        pooled: (1, width of CLIP).
        ids: (tokens, 3), zeros.
    """

    embeds: torch.Tensor
    pooled: torch.Tensor
    ids: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Models:
    """The loaded weights of one edit, by what they do.

    Attributes:
        main: What paints.
        readers: What reads control images, by name in the catalogue: ControlNets alone.
        inpainting: The ControlNet that reads the masked picture, or None.
        adapters: Redux and image adapters, by name.
        channels: Names of controls whose image is read as further channels.
        residency: Where they wait, and where they run.
    """

    main: LoadedCheckpoint
    readers: Mapping[str, LoadedCheckpoint]
    inpainting: LoadedCheckpoint | None
    adapters: Mapping[str, LoadedCheckpoint]
    channels: frozenset[str]
    residency: Residency

    @property
    def device(self) -> torch.device:
        """Where runs happen; weights that wait elsewhere come there when they are called."""
        return self.residency.device

    @property
    def dtype(self) -> torch.dtype:
        """What is computed in."""
        return self.residency.dtype

    @property
    def modules(self) -> Mapping[str, Any]:
        """Every model that takes part, by the name under which it was settled."""
        found = dict(self.part)
        readers = [*self.readers.values(), *([self.inpainting] if self.inpainting else [])]
        found |= {f"controlnet:{each.checkpoint.name}": each.parts["controlnet"] for each in readers}
        for each in self.adapters.values():
            found[f"image_encoder:{each.checkpoint.name}"] = each.parts["image_encoder"]
            if "image_embedder" in each.parts:
                found[f"image_encoder:{each.checkpoint.name}:embedder"] = each.parts["image_embedder"]
        return {name: each for name, each in found.items() if isinstance(each, torch.nn.Module)}

    @property
    def part(self) -> Mapping[str, Any]:
        """The models, tokenizers and scheduler of what paints."""
        return self.main.parts


class Conditioner:
    """Makes the conditions of one run."""

    def __init__(
        self, models: Models, encoder: LatentEncoder, run: Run, *, generator: torch.Generator, dtype: torch.dtype
    ) -> None:
        """Set up; nothing is encoded yet.

        Args:
            models: The loaded weights.
            encoder: Encodes with the autoencoder of what paints.
            run: What to run.
            generator: Of the run, not yet drawn from.
            dtype: Number format of the prompt's embeddings, which diffusers gives to latents.
        """
        self._models = models
        self._encoder = encoder
        self._run = run
        self._generator = generator
        self._dtype = dtype
        self._device = models.device

    def read(self) -> tuple[list[ActingNet], torch.Tensor | None]:
        """Encode what ControlNets read, and what is read as further channels.

        Returns:
            The nets, and (1, tokens, 64) or None.
        """
        nets = [net for net in [self._inpainting_net()] if net is not None]
        channels: torch.Tensor | None = None
        for control, image in zip(self._run.guides.controls, self._run.images, strict=True):
            values = self._read(image)
            if control.checkpoint in self._models.channels:
                channels = packed(self._encoder.sample(values, self._generator)).to(self._dtype)
                continue
            reader = self._models.readers[control.checkpoint]
            net = reader.parts["controlnet"]
            nets.append(
                ActingNet(
                    net=net,
                    condition=self._condition(net, values),
                    mode=reader.checkpoint.control_modes.get(control.kind),
                    scale=control.scale,
                    start=control.start,
                    end=control.end,
                )
            )
        return nets, channels

    def clean(self) -> torch.Tensor:
        """Encode the picture that the run starts from: (1, 16, h/8, w/8)."""
        values = self._values(_given(self._run.pixels), self._dtype)
        if self._models.main.checkpoint.family is Family.KONTEXT:
            return self._encoder.mode(values)
        return self._encoder.sample(values, self._generator)

    def filled(self) -> torch.Tensor | None:
        """Encode what Fill reads, the picture without what the mask covers and the mask: (1, tokens, 320)."""
        if self._models.main.checkpoint.family is not Family.FILL or self._run.mask is None:
            return None
        plane = mask_plane(self._run.mask)
        masked = picture_tensor(_given(self._run.pixels)) * (1 - plane)
        latents = packed(self._encoder.sample(masked.to(self._device, self._dtype), self._generator))
        return torch.cat([latents.to(self._dtype), packed_mask(plane).to(self._device, self._dtype)], dim=-1)

    def referred(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Encode what Kontext refers to: its tokens (1, tokens, 64) and their places (tokens, 3)."""
        if self._models.main.checkpoint.family is not Family.KONTEXT or self._run.pixels is None:
            return None
        latents = self._encoder.mode(self._values(self._run.pixels, self._dtype))
        rows, columns = latents.shape[2] // 2, latents.shape[3] // 2
        return packed(latents), self.places(rows, columns, axis=1)

    def places(self, rows: int, columns: int, *, axis: int = 0) -> torch.Tensor:
        """Places of tokens, where the transformer reads them."""
        return positions(rows, columns, axis=axis).to(self._device, self._dtype)

    @property
    def own_places(self) -> torch.Tensor:
        """Places of the tokens that are painted."""
        width, height = self._run.size
        return self.places(height // _TOKEN, width // _TOKEN)

    def _inpainting_net(self) -> ActingNet | None:
        """As it was trained: what is painted is black, pixel by pixel; and it reads what is kept."""
        loaded, mask = self._models.inpainting, self._run.mask
        if loaded is None or mask is None or loaded.checkpoint.inpainting is None:
            return None
        acting = loaded.checkpoint.inpainting
        black = np.where(mask[:, :, None] > 0.0, np.uint8(0), _given(self._run.pixels))
        latents = packed(self._encoder.sample(self._read(black), self._generator))
        condition = torch.cat([latents, self._keep(mask, latents)], dim=-1)
        net = loaded.parts["controlnet"]
        return ActingNet(
            net=net, condition=condition, mode=None, scale=acting.scale, start=acting.start, end=acting.end
        )

    def _keep(self, mask: Mask, latents: torch.Tensor) -> torch.Tensor:
        return keep_mask(mask).to(latents)

    def _condition(self, net: Any, values: torch.Tensor) -> torch.Tensor:
        if net.input_hint_block is not None:  # it embeds the picture itself
            return values
        return packed(self._encoder.sample(values, self._generator))

    def _read(self, pixels: Pixels) -> torch.Tensor:
        """A control image for the autoencoder: diffusers lays these out plane by plane, others pixel by pixel."""
        return self._values(pixels, self._encoder.dtype).contiguous()

    def _values(self, pixels: Pixels, dtype: torch.dtype) -> torch.Tensor:
        return picture_tensor(pixels).to(device=self._device, dtype=dtype)


def joined(text: Text, tokens: Sequence[torch.Tensor]) -> Text:
    """Lay Redux tokens behind a prompt's.

    Args:
        text: The prompt.
        tokens: (1, n, width of T5) each.

    Returns:
        The longer text.
    """
    if not tokens:
        return text
    embeds = torch.cat([text.embeds, *(each.to(text.embeds) for each in tokens)], dim=1)
    return Text(embeds=embeds, pooled=text.pooled, ids=text.ids.new_zeros(embeds.shape[1], 3))


def _given(pixels: Pixels | None) -> Pixels:
    if pixels is None:
        raise ValueError("this route starts from a picture")
    return pixels
