"""Prefill: kept pixels stay, and what is filled is what its name says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from editing.blending import Prefill
from editing.prefill import MID_GREY, prefilled
from editing.rasters import Mask, Pixels
from tests.editing.pictures import box_mask, noise, scenery

FILLINGS = [how for how in Prefill if how is not Prefill.KEEP]


def outpaint(height: int, width: int) -> Mask:
    return box_mask(height, width, (width // 2, 0, width, height))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_kept_pixels_never_change(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 50)), data.draw(st.integers(1, 50))
    seed = data.draw(st.integers(0, 2**64 - 1))
    share = data.draw(st.sampled_from([0.0, 0.02, 0.5, 0.98, 1.0]))
    drawn = np.random.default_rng(seed).random((height, width))
    mask = np.where(drawn < share, np.maximum(drawn, 1 / 255), 0).astype(np.float32)
    pixels = noise(height, width, seed % 100)
    result = prefilled(pixels, mask, data.draw(st.sampled_from(list(Prefill))), seed=seed)
    assert result.dtype == np.uint8
    assert result.shape == pixels.shape
    assert np.array_equal(result[mask == 0], pixels[mask == 0])


@pytest.mark.parametrize("how", FILLINGS)
def test_what_was_under_the_mask_is_forgotten(how: Prefill) -> None:
    pixels, mask = scenery(90, 120), box_mask(90, 120, (30, 20, 80, 90))
    mask[30:50] /= 255  # soft values are filled too
    other = np.where(mask[:, :, None] > 0, noise(90, 120), pixels).astype(np.uint8)
    assert np.array_equal(prefilled(pixels, mask, how, seed=3), prefilled(other, mask, how, seed=3))


def test_keep_keeps() -> None:
    pixels = noise(20, 30)
    assert np.array_equal(prefilled(pixels, np.ones((20, 30), np.float32), Prefill.KEEP, seed=0), pixels)


def test_replicate_takes_the_nearest_kept_pixel() -> None:
    pixels = noise(24, 31)
    kept = np.random.default_rng(4).random((24, 31)) < 0.05
    result = prefilled(pixels, (~kept).astype(np.float32), Prefill.REPLICATE, seed=0)
    places = np.argwhere(kept)
    for row, column in np.argwhere(~kept):
        distance = np.hypot(*(places - (row, column)).T)
        near = places[distance <= distance.min() * 1.03 + 1e-6]  # OpenCV's distances are within 2 %
        assert any(np.array_equal(result[row, column], pixels[y, x]) for y, x in near)


def test_replicate_repeats_the_border_of_an_outpaint() -> None:
    pixels = noise(30, 40)
    result = prefilled(pixels, outpaint(30, 40), Prefill.REPLICATE, seed=0)
    assert np.array_equal(result[:, 20:], np.repeat(pixels[:, 19:20], 20, axis=1))


@pytest.mark.parametrize("how", [Prefill.BLUR, Prefill.NAVIER_STOKES, Prefill.TELEA, Prefill.REPLICATE])
def test_a_flat_picture_goes_on_flat(how: Prefill) -> None:
    pixels = np.full((64, 80, 3), (200, 90, 30), np.uint8)
    result = prefilled(pixels, outpaint(64, 80), how, seed=0).astype(int)
    assert np.abs(result - (200, 90, 30)).max() <= 1


@pytest.mark.parametrize("how", [Prefill.NAVIER_STOKES, Prefill.TELEA])
@pytest.mark.parametrize("side", [240, 700])
def test_opencvs_fillings_continue_colours_without_fading(how: Prefill, side: int) -> None:
    pixels = np.full((side, side, 3), 40, np.uint8)
    pixels[side // 2 :] = 200
    mask = box_mask(side, side, (side // 4, 0, side * 3 // 4, side))
    filled = prefilled(pixels, mask, how, seed=0).astype(int)
    middle = slice(side * 2 // 5, side * 3 // 5)
    assert np.abs(filled[: side // 8, middle] - 40).mean() < 1
    assert np.abs(filled[side * 7 // 8 :, middle] - 200).mean() < 1  # it would be 10 and more, made in 8 bits


def test_blur_carries_colours_on_and_no_streaks() -> None:
    pixels: Pixels = noise(64, 128)
    pixels[:32, :, 0] //= 4
    filled = prefilled(pixels, outpaint(64, 128), Prefill.BLUR, seed=0).astype(float)[:, 64:]
    streaks = prefilled(pixels, outpaint(64, 128), Prefill.REPLICATE, seed=0).astype(float)[:, 64:]
    assert filled[:, 20].std(axis=0).max() < 0.25 * streaks[:, 20].std(axis=0).min()
    assert filled[8:24, 2, 0].mean() < filled[40:56, 2, 0].mean() - 30  # above it is darker, as beside it


def test_noise_has_the_borders_colours_and_spread() -> None:
    pixels = np.clip(np.random.default_rng(0).normal((60, 120, 180), (4, 12, 20), (96, 128, 3)), 0, 255)
    picture, mask = pixels.astype(np.uint8), outpaint(96, 128)
    filled = prefilled(picture, mask, Prefill.NOISE, seed=7)[mask > 0].astype(float)
    assert np.abs(filled.mean(axis=0) - (60, 120, 180)).max() < 4
    assert np.abs(filled.std(axis=0) / (4, 12, 20) - 1).max() < 0.25


def test_noise_is_drawn_from_its_seed_alone() -> None:
    pixels, mask = scenery(40, 50), outpaint(40, 50)
    one = prefilled(pixels, mask, Prefill.NOISE, seed=2**64 - 1)
    assert np.array_equal(one, prefilled(pixels, mask, Prefill.NOISE, seed=2**64 - 1))
    assert not np.array_equal(one, prefilled(pixels, mask, Prefill.NOISE, seed=2**32 - 1))


@pytest.mark.parametrize("how", FILLINGS)
def test_with_nothing_kept_it_is_mid_grey_or_noise_about_it(how: Prefill) -> None:
    filled = prefilled(noise(50, 60), np.ones((50, 60), np.float32), how, seed=1).astype(float)
    assert abs(filled.mean() - MID_GREY) < 3
    assert (filled.std() > 20) == (how is Prefill.NOISE)
