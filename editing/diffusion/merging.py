"""Merging: a model made to paint only a part, each part from its own moment on ("differential" denoising).

After every step, whatever is not the model's yet is put back: the picture's latents, noised to that step with the
run's own noise. A hard mask gives what diffusers' FluxInpaintPipeline does; soft values follow Levin and Fried,
"Differential Diffusion" (2023): the fainter a value, the later its latents are let go, so that more of the picture
shows through.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from editing.diffusion.torchvision_shim import ensure_torchvision
from editing.masks import by_latent
from editing.rasters import Mask

ensure_torchvision()


_PATCH = 2
"""A token holds 2x2 latents."""
_ROUNDING = 1e-4
"""Of a step: 0.3 as float32 lies above 0.3, and shall still begin at the step that strength 0.3 begins at."""


def first_steps(mask: Mask, steps: int) -> npt.NDArray[np.int64]:
    """Tell from which step of a schedule on each latent is the model's.

    A value v begins where a whole run of strength v would; a latent takes the largest value in its 8x8 pixels, so that
    thin strokes survive.

    Args:
        mask: float32 (h, w), 1 paint at once .. 0 keep; sides are multiples of 8.
        steps: Steps of the whole schedule, 1 or more.

    Returns:
        int64 (h/8, w/8): 0 for a value of 1; `steps`, which is never, for 0; at most `steps - 1` for any above 0.
    """
    cells = by_latent(mask)
    begins = np.floor(steps - steps * cells.astype(np.float64) + _ROUNDING)
    return np.where(cells > 0.0, np.clip(begins, 0, steps - 1), steps).astype(np.int64)


def packed(values: torch.Tensor) -> torch.Tensor:
    """Lay latents out as FLUX's transformer reads them.

    Args:
        values: Any dtype, (b, c, h, w), h and w even.

    Returns:
        (b, h/2 * w/2, c * 4), the same values: "b c (h 2) (w 2) -> b (h w) (c 2 2)".
    """
    batch, channels, height, width = values.shape
    rows, columns = height // _PATCH, width // _PATCH
    patches = values.reshape(batch, channels, rows, _PATCH, columns, _PATCH).permute(0, 2, 4, 1, 3, 5)
    return patches.reshape(batch, rows * columns, channels * _PATCH * _PATCH)


def keep_mask(mask: Mask) -> torch.Tensor:
    """Make the mask that an inpainting ControlNet reads.

    Args:
        mask: float32 (h, w), above 0 paint, 0 keep; sides are multiples of 16.

    Returns:
        float32 (1, tokens, 4), 1 keep, 0 where anything in a latent is painted.
    """
    keep = (by_latent(mask) <= 0.0).astype(np.float32)
    return packed(torch.from_numpy(keep)[None, None])


class LatentMerge:
    """Puts back after each step what the model does not paint yet; made for one run, once it has started.

    * A latent of value v is kept until the step at which strength v begins, and from then on the model's to the end.
    * A kept latent is as noised as the model's are.
    * After the last step all values above 0 are the model's, and latents of value 0 are the picture's exactly.
    """

    def __init__(self, mask: Mask, *, clean: torch.Tensor, noise: torch.Tensor, sigmas: Sequence[float]) -> None:
        """Take up what a run started from.

        Args:
            mask: float32 (h, w) of the run's size, 1 paint at once .. 0 keep.
            clean: The picture's latents, (1, c, h/8, w/8).
            noise: What they were mixed with, of the same shape.
            sigmas: Noise of the whole schedule, one value before each step and one after the last.
        """
        self._clean, self._noise = packed(clean), packed(noise)
        self._sigmas = [float(sigma) for sigma in sigmas]
        begin = packed(torch.from_numpy(first_steps(mask, len(self._sigmas) - 1))[None, None])
        channels = self._clean.shape[-1] // begin.shape[-1]
        self._begin = begin.repeat(1, 1, channels).to(self._clean.device)

    def before_step(self, step: int, latents: torch.Tensor) -> torch.Tensor:
        """Put back what is still kept.

        Args:
            step: The step of the whole schedule that comes next, 1..steps; `steps` after the last.
            latents: What the step before it gave, (1, tokens, 64).

        Returns:
            Latents of the same shape and dtype.
        """
        sigma = self._sigmas[step]
        # The factor as a number, not as a tensor of the latents' dtype: bfloat16 would round it to three digits.
        kept = self._noise * sigma + self._clean * (1.0 - sigma)
        return torch.where(self._begin < step, latents, kept.to(latents.dtype))
