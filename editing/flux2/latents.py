"""Latents: pictures as FLUX.2's autoencoder and transformer see them.

    pixels ──► (1, c, h/8, w/8) ──► patches (1, 4c, h/16, w/16), normalised ──► tokens (1, h/16 * w/16, 4c)
               autoencoder          2x2 latents become channels

A token holds the same 2x2 latents, in the same order, as one of FLUX.1's; beyond that, each of its channels is
normalised by statistics that come with the autoencoder. Unlike diffusers' pipelines nothing here is resized.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as nnf

from editing.rasters import Pixels
from editing.resampling import resize_pixels

PATCH = 2
"""A token holds 2x2 latents."""
TOKEN_PIXELS = 16
"""Pixels on each side of a token."""
PICTURE_GAP = 10
"""Between the pictures that a model sees, on the first axis of its positions; what it paints lies at 0."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Normalisation:
    """How the channels of patches are normalised; read off an autoencoder while its weights are at hand.

    Attributes:
        mean: (1, 4c, 1, 1).
        deviation: The same.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    @classmethod
    def of(cls, vae: Any) -> Self:
        """Read it off.

        Args:
            vae: diffusers' AutoencoderKLFlux2, as it was loaded: where it waits between runs, its numbers may not be.

        Returns:
            Copies, in its number format.
        """
        mean = vae.bn.running_mean.view(1, -1, 1, 1).clone()
        return cls(mean=mean, deviation=torch.sqrt(vae.bn.running_var.view(1, -1, 1, 1) + vae.config.batch_norm_eps))

    def taken(self, patches: torch.Tensor) -> torch.Tensor:
        """Normalise: (1, 4c, rows, columns), any dtype and device."""
        mean, deviation = self.mean.to(patches), self.deviation.to(patches)
        return (patches - mean) / deviation

    def undone(self, patches: torch.Tensor) -> torch.Tensor:
        """Undo it, on the same."""
        mean, deviation = self.mean.to(patches), self.deviation.to(patches)
        return patches * deviation + mean


def fitted(pixels: Pixels, *, most: int) -> Pixels:
    """Bring a picture of any size to one that can be encoded.

    Args:
        pixels: uint8 (h, w, 3), 0..255.
        most: Largest area, in pixels.

    Returns:
        uint8 (h, w, 3): no larger than that, sides multiples of 16; the very values if it already was.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, math.sqrt(most / (width * height)))
    across, down = (max(1, int(side * scale) // TOKEN_PIXELS) * TOKEN_PIXELS for side in (width, height))
    return resize_pixels(pixels, (across, down))


def levels_of(decoded: torch.Tensor) -> np.ndarray:
    """Turn what the autoencoder decoded into levels; in float32, whatever the number format of the weights.

    Args:
        decoded: (1, 3, h, w), about -1..1.

    Returns:
        float32 (h, w, 3), 0..1; what is not a number stays so.
    """
    levels: np.ndarray = (decoded.float() * 0.5 + 0.5).clamp(0, 1)[0].permute(1, 2, 0).cpu().numpy()
    return levels


def encode(vae: Any, values: torch.Tensor) -> torch.Tensor:
    """Encode a picture: the likeliest latents, so that no noise is drawn.

    Args:
        vae: diffusers' AutoencoderKLFlux2.
        values: (1, 3, h, w), -1..1, where and in what the autoencoder computes; sides are multiples of 16.

    Returns:
        Patches (1, 4c, h/16, w/16), not normalised.
    """
    return nnf.pixel_unshuffle(vae.encode(values).latent_dist.mode(), PATCH)


def decode(vae: Any, patches: torch.Tensor) -> torch.Tensor:
    """Decode what the transformer painted.

    Args:
        vae: diffusers' AutoencoderKLFlux2.
        patches: (1, 4c, h/16, w/16), normalised no longer.

    Returns:
        (1, 3, h, w), about -1..1.
    """
    decoded: torch.Tensor = vae.decode(latents_of(patches), return_dict=False)[0]
    return decoded


def latents_of(patches: torch.Tensor) -> torch.Tensor:
    """Undo the patches.

    Args:
        patches: (1, 4c, h/16, w/16).

    Returns:
        (1, c, h/8, w/8), the same values.
    """
    return nnf.pixel_shuffle(patches, PATCH)


def tokens_of(patches: torch.Tensor) -> torch.Tensor:
    """Lay patches out in a row.

    Args:
        patches: (1, 4c, rows, columns).

    Returns:
        (1, rows * columns, 4c), row by row.
    """
    return patches.flatten(2).transpose(1, 2)


def patches_of(tokens: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Undo `tokens_of`.

    Args:
        tokens: (1, rows * columns, 4c).
        size: Width and height in pixels.

    Returns:
        (1, 4c, rows, columns).
    """
    rows, columns = size[1] // TOKEN_PIXELS, size[0] // TOKEN_PIXELS
    return tokens.transpose(1, 2).reshape(1, -1, rows, columns)


def text_positions(count: int) -> torch.Tensor:
    """Place the tokens of a prompt: one after the other, on an axis of their own.

    Args:
        count: Tokens.

    Returns:
        int64 (1, count, 4): picture, row, column, place in the text.
    """
    first = torch.arange(1)
    return torch.cartesian_prod(first, first, first, torch.arange(count))[None]


def picture_positions(pictures: Sequence[torch.Tensor]) -> torch.Tensor:
    """Place the tokens of what is painted and of every picture beside it.

    Args:
        pictures: Patches (1, 4c, rows, columns) each: what is painted first.

    Returns:
        int64 (1, tokens of all, 4): picture, row, column, place in the text.
    """
    placed = [
        torch.cartesian_prod(
            torch.tensor([PICTURE_GAP * number]),
            torch.arange(patches.shape[2]),
            torch.arange(patches.shape[3]),
            torch.arange(1),
        )
        for number, patches in enumerate(pictures)
    ]
    return torch.cat(placed, dim=0)[None]
