"""FLUX.2's sampler beside diffusers' own pipelines: the same pixels where they are right, and where they are not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from editing.catalogue import find
from editing.diffusion.rooms import Plan, Run
from editing.guides import Guides
from editing.operations import Sampling
from editing.rasters import Mask, Pixels
from tests.editing.pictures import box_mask, noise
from tests.editing.tiny_flux2 import build_flux2, room_of  # imports the shim before diffusers

import torch  # isort: skip
from diffusers import Flux2KleinInpaintPipeline, Flux2KleinPipeline  # isort: skip
from PIL import Image  # isort: skip

from editing.diffusion.quiet import quiet_libraries  # isort: skip

PROMPT = "a cat on a chair"
STEPS = 4
SIZES = [(64, 64), (128, 96)]
DISTILLED, UNDISTILLED = "FLUX.2-klein-4B", "FLUX.2-klein-base-4B"


class Both:
    """Our room and diffusers' pipelines on the same weights."""

    def __init__(self, weights: dict[str, Path]) -> None:
        self.room = room_of(weights)
        self.stock: dict[str, Any] = {
            name: Flux2KleinPipeline.from_pretrained(weights[name], local_files_only=True)
            for name in (DISTILLED, UNDISTILLED)
        }

    def ours(self, name: str, size: tuple[int, int], *, strength: float = 1.0, cfg: float = 1.0, **run: Any) -> Pixels:
        sampling = Sampling(steps=STEPS, guidance=1.0, seed=run.pop("seed", 7), strength=strength, true_cfg=cfg)
        painter = self.room.load(Plan(main=find(name), route="generate"))
        run.setdefault("prompt", PROMPT)
        return painter.paint(
            Run(size=size, sampling=sampling, **run), on_step=lambda _progress: None, cancelled=lambda: False
        )

    def theirs(self, name: str, *, inpaint: bool = False, **inputs: Any) -> Pixels:
        pipeline = self.stock[name]
        if inpaint:
            parts = dict(pipeline.components)
            pipeline = Flux2KleinInpaintPipeline(**parts, is_distilled=bool(pipeline.config.is_distilled))
        generator = torch.Generator().manual_seed(inputs.pop("seed", 7))
        inputs.setdefault("guidance_scale", 1.0)
        pipeline.set_progress_bar_config(disable=True)
        result = pipeline(
            prompt=PROMPT, num_inference_steps=STEPS, generator=generator, output_type="np", **inputs
        ).images[0]
        return np.rint(result * 255).astype(np.uint8)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with quiet_libraries():
        yield Both(build_flux2(tmp_path_factory.mktemp("flux2")))
    torch.set_num_threads(threads)


def pillow(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels)


def sheet(mask: Mask) -> Image.Image:
    return Image.fromarray((mask * 255).astype(np.uint8))


def aligned(size: tuple[int, int]) -> Mask:
    """Its edges lie where tokens meet: there, rounding and sampling a mask at one point loses nothing."""
    return box_mask(size[1], size[0], (16, 32, size[0], 48))


@pytest.mark.parametrize("size", SIZES)
def test_text_gives_the_very_pixels_of_diffusers(both: Both, size: tuple[int, int]) -> None:
    width, height = size
    assert np.array_equal(both.ours(DISTILLED, size), both.theirs(DISTILLED, width=width, height=height))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [1, 2, 4])
def test_pictures_with_an_instruction_give_the_very_pixels_of_diffusers(
    both: Both, size: tuple[int, int], count: int
) -> None:
    width, height = size
    pictures = [noise(height, width), *(noise(64, 80, seed) for seed in range(1, count))]
    ours = both.ours(DISTILLED, size, pixels=pictures[0], others=pictures[1:])
    theirs = both.theirs(DISTILLED, width=width, height=height, image=[pillow(each) for each in pictures])
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_a_hard_mask_gives_the_very_pixels_of_diffusers(both: Both, size: tuple[int, int], strength: float) -> None:
    picture, mask = noise(size[1], size[0]), aligned(size)
    ours = both.ours(DISTILLED, size, pixels=picture, mask=mask, strength=strength)
    theirs = both.theirs(DISTILLED, inpaint=True, image=pillow(picture), mask_image=sheet(mask), strength=strength)
    assert np.array_equal(ours, theirs)


def test_a_mask_and_a_further_picture_give_the_very_pixels_of_diffusers(both: Both) -> None:
    size = (128, 96)
    picture, other, mask = noise(96, 128), noise(64, 80, 1), aligned(size)
    ours = both.ours(DISTILLED, size, pixels=picture, others=[other], mask=mask)
    theirs = both.theirs(
        DISTILLED,
        inpaint=True,
        image=pillow(picture),
        image_reference=pillow(other),
        mask_image=sheet(mask),
        strength=1.0,
    )
    assert np.array_equal(ours, theirs)


def test_classifier_free_guidance_of_undistilled_weights_is_that_of_diffusers(both: Both) -> None:
    picture = noise(64, 64)
    ours = both.ours(UNDISTILLED, (64, 64), cfg=4.0, pixels=picture)
    theirs = both.theirs(UNDISTILLED, width=64, height=64, guidance_scale=4.0, image=[pillow(picture)])
    assert np.array_equal(ours, theirs)
    assert not np.array_equal(ours, both.ours(UNDISTILLED, (64, 64), pixels=picture))


def test_a_negative_prompt_acts_through_true_cfg_alone(both: Both) -> None:
    against = Guides(negative_prompt="make the car red")
    plain = both.ours(UNDISTILLED, (64, 64), cfg=4.0)
    assert not np.array_equal(both.ours(UNDISTILLED, (64, 64), cfg=4.0, guides=against), plain)
    assert np.array_equal(
        both.ours(UNDISTILLED, (64, 64), guides=against), both.theirs(UNDISTILLED, width=64, height=64)
    )


def test_words_and_every_picture_and_their_order_show_in_the_result(both: Both) -> None:
    first, second = noise(64, 64), noise(64, 80, 1)
    painted = both.ours(DISTILLED, (64, 64), pixels=first, others=[second])
    others = [
        both.ours(DISTILLED, (64, 64), pixels=first, others=[second], prompt="make the car red"),
        both.ours(DISTILLED, (64, 64), pixels=first, others=[noise(64, 80, 2)]),
        both.ours(DISTILLED, (64, 64), pixels=first),
        both.ours(DISTILLED, (64, 64), pixels=second, others=[first]),
        both.ours(DISTILLED, (64, 64), pixels=first, others=[second], seed=8),
    ]
    assert all(not np.array_equal(painted, other) for other in others)


def test_a_thin_stroke_is_painted_where_diffusers_overlooks_it(both: Both) -> None:
    size, picture = (64, 64), noise(64, 64)
    stroke = box_mask(64, 64, (0, 20, 64, 22))

    def theirs(seed: int) -> Pixels:
        return both.theirs(
            DISTILLED, inpaint=True, image=pillow(picture), mask_image=sheet(stroke), strength=1.0, seed=seed
        )

    assert np.array_equal(theirs(1), theirs(2))  # nothing was painted
    ours = [both.ours(DISTILLED, size, pixels=picture, mask=stroke, seed=seed) for seed in (1, 2)]
    assert not np.array_equal(*ours)


def test_a_soft_value_begins_where_that_strength_begins_and_diffusers_rounds_it_up(both: Both) -> None:
    size, picture = (64, 64), noise(64, 64)
    some, whole = np.full((64, 64), 0.6, np.float32), np.ones((64, 64), np.float32)
    soft = both.ours(DISTILLED, size, pixels=picture, mask=some)
    assert np.array_equal(soft, both.ours(DISTILLED, size, pixels=picture, mask=whole, strength=0.6))
    theirs = both.theirs(DISTILLED, inpaint=True, image=pillow(picture), mask_image=sheet(some), strength=1.0)
    assert np.array_equal(theirs, both.ours(DISTILLED, size, pixels=picture, mask=whole))
    assert not np.array_equal(soft, theirs)


def test_further_pictures_may_have_any_size(both: Both) -> None:
    picture = noise(64, 64)
    fitting = both.ours(DISTILLED, (64, 64), pixels=picture, others=[noise(48, 32, 1)])
    uneven = both.ours(DISTILLED, (64, 64), pixels=picture, others=[noise(7, 301, 1)])
    assert fitting.shape == uneven.shape == (64, 64, 3)
    assert not np.array_equal(fitting, uneven)


def test_half_precision_draws_the_noise_of_half_precision(tmp_path: Path) -> None:
    weights = build_flux2(tmp_path / "half")
    room = room_of(weights, dtype=torch.bfloat16)
    run = Run(prompt=PROMPT, size=(64, 64), sampling=Sampling(steps=STEPS, guidance=1.0, seed=7))
    with quiet_libraries():
        ours = room.load(Plan(main=find(DISTILLED), route="generate")).paint(
            run, on_step=lambda _progress: None, cancelled=lambda: False
        )
        stock = Flux2KleinPipeline.from_pretrained(weights[DISTILLED], local_files_only=True, dtype=torch.bfloat16)
        stock.set_progress_bar_config(disable=True)
        latents = stock(
            prompt=PROMPT,
            width=64,
            height=64,
            num_inference_steps=STEPS,
            guidance_scale=1.0,
            generator=torch.Generator().manual_seed(7),
            output_type="latent",
        ).images
        with torch.no_grad():
            decoded = stock.vae.decode(latents, return_dict=False)[0]
    # theirs rounds the finished levels once more, to bfloat16; ours does not
    levels = (decoded.float() * 0.5 + 0.5).clamp(0, 1)[0].permute(1, 2, 0).numpy()
    assert np.array_equal(ours, np.rint(levels * 255).astype(np.uint8))
