"""How others finish an edit: what their recipes painted, put back into the picture the way they put it back."""

from dataclasses import dataclass
from typing import Final, Protocol

import cv2
import numpy as np

from editing.rasters import Mask, Pixels
from editing.resampling import resize_pixels

TEMPLATE_STEPS: Final = 20
TEMPLATE_GUIDANCE: Final = 30.0
TEMPLATE_FEATHER: Final = 24
"""Pixels over which the outpainting template's mask fades into the old picture, at its size."""
_TEMPLATE_SIDE: Final = 1024
_LATENT: Final = 8


class FillRecipes(Protocol):
    """Runs the recipes of others on the weights that ours runs on; `editing.flux.baselines.FillBaselines` is one."""

    def plain(
        self, pixels: Pixels, mask: Mask, prompt: str, *, size: tuple[int, int], seed: int, steps: int, guidance: float
    ) -> Pixels:
        """Run diffusers' pipeline as it stands.

        Args:
            pixels: uint8 (h, w, 3), sRGB.
            mask: float32 (h, w), 1 repaint .. 0 keep.
            prompt: What to show.
            size: Width and height at which it runs.
            seed: Seed of the noise.
            steps: Denoising steps.
            guidance: FLUX's distilled guidance.

        Returns:
            uint8 (`size` high and wide, 3), sRGB.
        """
        ...

    def template(
        self, pixels: Pixels, mask: Mask, prompt: str, *, seed: int, steps: int, guidance: float, merge: bool
    ) -> Pixels:
        """Follow ComfyUI's template.

        Args:
            pixels: uint8 (h, w, 3), sRGB; sides are multiples of 16.
            mask: float32 (h, w), 1 repaint .. 0 keep, soft where the template feathers.
            prompt: What to show.
            seed: Seed of the noise.
            steps: Denoising steps.
            guidance: FLUX's distilled guidance.
            merge: Whether kept latents are put back at every step.

        Returns:
            uint8 (h, w, 3), sRGB.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crop:
    """The part of a picture that our engine showed to the model: others are given the same.

    Attributes:
        before: The whole picture or canvas, uint8 (h, w, 3), sRGB.
        mask: float32 (h, w), 1 repaint, 0 keep.
        box: Left, top, right, bottom (exclusive) of the part.
        size: Width and height at which the model ran.
        prompt: What was asked.
        seed: Seed of the noise.
    """

    before: Pixels
    mask: Mask
    box: tuple[int, int, int, int]
    size: tuple[int, int]
    prompt: str
    seed: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of the part."""
        left, top, right, bottom = self.box
        return slice(top, bottom), slice(left, right)


def plain_edit(recipes: FillRecipes, crop: Crop, *, steps: int, guidance: float) -> Pixels:
    """Edit as the pipeline's documentation has it, and paste the result through the hard mask.

    Args:
        recipes: Runs the pipeline.
        crop: The edit.
        steps: Denoising steps, those of ours.
        guidance: FLUX's distilled guidance, that of ours.

    Returns:
        The whole picture, uint8 (h, w, 3); outside the mask as it was.
    """
    part, mask = crop.before[crop.slices], crop.mask[crop.slices]
    painted = recipes.plain(
        np.ascontiguousarray(part), mask, crop.prompt, size=crop.size, seed=crop.seed, steps=steps, guidance=guidance
    )
    after = crop.before.copy()
    after[crop.slices] = np.where(mask[:, :, None] > 0, resize_pixels(painted, part.shape[1::-1]), part)
    return after


def template_edit(recipes: FillRecipes, crop: Crop, *, expands: bool) -> Pixels:
    """Edit as ComfyUI's published template does: what it decodes is saved as it is, nothing is pasted back.

    The template runs on whole pictures; here it is given our crop, so that its pixels can be compared, and replaces
    that wholly. Its feather of 24 pixels at 1024 is scaled with the model's size, but to no less than one latent.

    Args:
        recipes: Runs the steps.
        crop: The edit.
        expands: Whether the outpainting template is meant, which feathers and does not hold kept latents still.

    Returns:
        The whole picture, uint8 (h, w, 3).
    """
    part = np.ascontiguousarray(crop.before[crop.slices])
    mask = np.asarray(cv2.resize(crop.mask[crop.slices], crop.size, interpolation=cv2.INTER_LINEAR), np.float32)
    if expands:
        scaled = TEMPLATE_FEATHER * np.sqrt(crop.size[0] * crop.size[1]) / _TEMPLATE_SIDE
        mask = faded_inwards(mask, max(_LATENT, round(scaled)))
    decoded = recipes.template(
        resize_pixels(part, crop.size),
        mask,
        crop.prompt,
        seed=crop.seed,
        steps=TEMPLATE_STEPS,
        guidance=TEMPLATE_GUIDANCE,
        merge=not expands,
    )
    after = crop.before.copy()
    after[crop.slices] = resize_pixels(decoded, part.shape[1::-1])
    return after


def faded_inwards(mask: Mask, feather: int) -> Mask:
    """Let a canvas's mask fade into the old picture, by the square of the nearness, as ComfyUI's pad node does.

    Args:
        mask: float32 (h, w), 1 where the canvas is new, else 0.
        feather: Pixels over which it fades.

    Returns:
        float32 (h, w): 1 where new and on the old picture's first pixel, 0 from `feather` pixels on.
    """
    old = (mask < 1.0).astype(np.uint8)
    depth = cv2.distanceTransform(old, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) - 1.0
    nearness = np.clip((feather - depth) / feather, 0.0, 1.0)
    return np.where(old > 0, nearness**2, 1.0).astype(np.float32)
