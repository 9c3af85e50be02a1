"""Merging without a model: when a latent is let go, and what stands there until then."""

import numpy as np
import pytest

from tests.editing.tiny import scheduler  # imports the shim before diffusers

import torch  # isort: skip
from diffusers import FluxPipeline  # isort: skip

from editing.diffusion.merging import LatentMerge, first_steps, keep_mask, packed  # isort: skip

STEPS = 8


def uniform(value: float, side: int = 16) -> np.ndarray:
    return np.full((side, side), value, dtype=np.float32)


def sigmas_of_a_run() -> list[float]:
    running = scheduler()
    running.set_timesteps(sigmas=np.linspace(1.0, 1 / STEPS, STEPS), mu=0.7)
    return running.sigmas.tolist()


@pytest.mark.parametrize(
    ("value", "steps", "first"),
    [
        (1.0, 10, 0),
        (0.7, 10, 3),
        (0.5, 10, 5),
        (0.3, 10, 7),
        (0.1, 10, 9),
        (1e-6, 10, 9),
        (0.0, 10, 10),
        (0.001, 1, 0),
    ],
)
def test_a_fainter_value_begins_later_and_only_zero_never_does(value: float, steps: int, first: int) -> None:
    assert (first_steps(uniform(value), steps) == first).all()


def test_a_value_begins_at_the_step_at_which_a_run_of_that_strength_begins() -> None:
    values = np.random.default_rng(0).uniform(0.01, 1.0, 200)
    for steps in (1, 4, 28, 50):
        expected = [int(max(steps - min(steps * value, steps), 0)) for value in values]  # diffusers' get_timesteps
        assert [int(first_steps(uniform(value, 8), steps)[0, 0]) for value in values] == expected


def test_a_latent_takes_the_largest_value_of_its_pixels() -> None:
    mask = np.zeros((16, 24), dtype=np.float32)
    mask[3, 9], mask[4, 10], mask[15, 23] = 0.5, 1.0, 0.5
    assert first_steps(mask, 4).tolist() == [[4, 0, 4], [4, 4, 2]]
    keep = keep_mask(np.pad(mask, ((0, 0), (0, 8))))
    assert keep.tolist() == [[[1, 0, 1, 1], [1, 1, 0, 1]]]  # tokens of 2x2 latents


def test_latents_are_packed_as_the_pipelines_pack_them() -> None:
    latents = torch.randn(1, 16, 4, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(packed(latents), FluxPipeline._pack_latents(latents, 1, 16, 4, 6))


def test_kept_latents_stand_noised_to_the_step_that_comes_and_clean_after_the_last() -> None:
    clean, noise = torch.randn(2, 1, 16, 4, 4, generator=torch.Generator().manual_seed(0))
    sigmas = sigmas_of_a_run()
    mask = np.zeros((32, 32), dtype=np.float32)
    mask[:8, :8], mask[:8, 8:16] = 1.0, 0.5
    merge = LatentMerge(mask, clean=clean, noise=noise, sigmas=sigmas)
    model = torch.full((1, 4, 64), 7.0)
    for step in range(1, STEPS + 1):
        latents = FluxPipeline._unpack_latents(merge.before_step(step, model), 32, 32, 8)
        kept = sigmas[step] * noise + (1 - sigmas[step]) * clean
        assert (latents[:, :, 0, 0] == 7.0).all()
        assert torch.allclose(latents[:, :, 1:], kept[:, :, 1:])
        assert (latents[:, :, 0, 1] == 7.0).all() == (step > STEPS // 2)
    assert torch.equal(latents[:, :, 1:], clean[:, :, 1:])
    assert torch.equal(latents[:, :, :, 2:], clean[:, :, :, 2:])


def test_kept_latents_of_half_precision_are_as_noised_as_the_step_says() -> None:
    clean, noise = torch.randn(2, 1, 16, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.bfloat16)
    sigmas = sigmas_of_a_run()
    merge = LatentMerge(uniform(0.0, 64), clean=clean, noise=noise, sigmas=sigmas)
    merged = merge.before_step(3, torch.zeros(1, 16, 64, dtype=torch.bfloat16))
    exact = packed(sigmas[3] * noise.double() + (1 - sigmas[3]) * clean.double())
    assert merged.dtype == torch.bfloat16
    bias = ((merged.double() - exact) * packed(noise.double())).mean() / (packed(noise.double()) ** 2).mean()
    assert abs(bias) < 2e-4  # a factor rounded to bfloat16 would be wrong by up to 2e-3
