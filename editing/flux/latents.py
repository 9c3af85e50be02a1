"""Latents: pictures as FLUX.1's autoencoder sees them, encoded once and remembered."""

import hashlib
from typing import Any

import numpy as np
import torch

from editing.diffusion.memo import Memo
from editing.diffusion.merging import packed
from editing.masks import LATENT_CELL
from editing.rasters import Mask


class LatentEncoder:
    """Encodes pictures with one autoencoder.

    What is remembered is the posterior, not a sample of it: each run draws its own sample from its own generator, so
    that a remembered encoding gives the same bits, and leaves the generator in the same state, as a fresh one.

    Attributes:
        dtype: What it computes in.
    """

    def __init__(self, vae: Any, memo: Memo[Any], digests: tuple[str, ...], *, dtype: torch.dtype) -> None:
        """Set up.

        Args:
            vae: diffusers' AutoencoderKL.
            memo: Where posteriors are kept.
            digests: Of its weights; part of every key.
            dtype: What it computes in.
        """
        self._vae = vae
        self._memo = memo
        self._digests = digests
        self.dtype = dtype

    @property
    def channels(self) -> int:
        """Channels of a latent: 16."""
        return int(self._vae.config.latent_channels)

    def sample(self, values: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Encode, and draw a sample of the posterior, as diffusers' pipelines do for what they start from.

        Args:
            values: (1, 3, h, w), -1..1.
            generator: Of the run; one draw of the latents' size is taken from it.

        Returns:
            (1, 16, h/8, w/8), shifted and scaled as the transformer reads them.
        """
        return self._scaled(self._posterior(values).sample(generator))

    def mode(self, values: torch.Tensor) -> torch.Tensor:
        """Encode to the posterior's mode, as diffusers does for what FLUX.1 Kontext refers to; draws nothing.

        Args:
            values: (1, 3, h, w), -1..1.

        Returns:
            (1, 16, h/8, w/8), shifted and scaled.
        """
        return self._scaled(self._posterior(values).mode())

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode.

        Args:
            latents: (1, 16, h/8, w/8), as the transformer writes them.

        Returns:
            (1, 3, h, w), about -1..1.
        """
        config = self._vae.config
        decoded: torch.Tensor = self._vae.decode(
            (latents / config.scaling_factor) + config.shift_factor, return_dict=False
        )[0]
        return decoded

    def _posterior(self, values: torch.Tensor) -> Any:
        flat = values.detach().to("cpu").contiguous().view(torch.uint8).numpy()
        digest = hashlib.blake2b(flat.data, digest_size=32).digest()
        # The order in memory, too: the same values laid out otherwise are rounded otherwise (see `picture_tensor`).
        key = (digest, tuple(values.shape), values.dtype, values.is_contiguous(), self._digests)
        return self._memo.get(key, lambda: self._vae.encode(values).latent_dist)

    def _scaled(self, latents: torch.Tensor) -> torch.Tensor:
        config = self._vae.config
        scaled: torch.Tensor = (latents - config.shift_factor) * config.scaling_factor
        return scaled


def mask_plane(mask: Mask) -> torch.Tensor:
    """Lay a mask out for the autoencoder's size.

    Args:
        mask: float32 (h, w).

    Returns:
        float32 (1, 1, h, w): 1 where the mask is above 0.
    """
    return torch.from_numpy((mask > 0.0).astype(np.float32))[None, None]


def packed_mask(plane: torch.Tensor) -> torch.Tensor:
    """Pack a mask as FLUX.1 Fill reads it: each latent reads its 8x8 pixels.

    Args:
        plane: (1, 1, h, w).

    Returns:
        (1, tokens, 256).
    """
    return packed(torch.nn.functional.pixel_unshuffle(plane, LATENT_CELL))


def positions(height: int, width: int, *, axis: int = 0) -> torch.Tensor:
    """Place tokens, as FLUX.1 counts them: which picture, row, column.

    Args:
        height: Rows of tokens.
        width: Columns of tokens.
        axis: Which picture: 0 what is painted, 1 what Kontext refers to.

    Returns:
        float32 (height * width, 3).
    """
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([torch.full_like(rows, axis), rows, columns], dim=2).reshape(-1, 3).float()


def unpacked(tokens: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Undo `packed`.

    Args:
        tokens: (1, h/16 * w/16, 64).
        size: Width and height in pixels.

    Returns:
        (1, 16, h/8, w/8).
    """
    rows, columns = size[1] // LATENT_CELL, size[0] // LATENT_CELL
    cells = tokens.reshape(1, rows // 2, columns // 2, -1, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return cells.reshape(1, -1, rows, columns)


def levels_of(decoded: torch.Tensor) -> np.ndarray:
    """Turn what the autoencoder decoded into levels, as diffusers' image processor does.

    Args:
        decoded: (1, 3, h, w), about -1..1.

    Returns:
        float32 (h, w, 3), 0..1; not-a-numbers stay.
    """
    levels: np.ndarray = (decoded * 0.5 + 0.5).clamp(0, 1).cpu().permute(0, 2, 3, 1).float().numpy()[0]
    return levels
