"""Painted pixels get the noise of their picture, where it is noise, and the same noise every time."""

import numpy as np
import pytest

from editing.blending import Blend
from editing.boxes import ModelSizes
from editing.grain import Grain, missing_grain, noise_deviation
from editing.outpainting import paint_extension, plan_extension
from editing.placement import Placement
from editing.rasters import Raster
from editing.regions import Scene, edit_region, plan_region
from tests.editing.pictures import box_mask

MINI = ModelSizes(native_pixels=128 * 128, smallest_pixels=128 * 128, multiple=16, bucket=16)
MASK = box_mask(128, 128, (32, 32, 96, 96))
EVERYWHERE = np.ones((128, 128), bool)


def noisy(deviation: float, size: int = 128, level: float = 120.0) -> np.ndarray:
    """A slow ramp with luma noise, as a camera leaves it."""
    noise = np.random.default_rng(7).normal(0, deviation, (size, size, 1))
    ramp = np.linspace(0, 40, size)[None, :, None]
    return np.clip(np.rint(level + ramp + np.repeat(noise, 3, axis=2)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("deviation", [1.0, 2.0, 4.0])
def test_noise_is_measured_to_within_a_quarter(deviation: float) -> None:
    assert noise_deviation(noisy(deviation), EVERYWHERE) == pytest.approx(deviation, rel=0.25)


def test_edges_are_no_noise_and_clipped_pixels_say_nothing() -> None:
    stripes = noisy(0.0)
    stripes[:, ::16] = 30
    assert noise_deviation(stripes, EVERYWHERE) < 0.5
    assert noise_deviation(np.full((64, 64, 3), 255, np.uint8), np.ones((64, 64), bool)) == 0.0
    assert noise_deviation(noisy(3.0), np.zeros((128, 128), bool)) == 0.0


def smooth(scene: Scene) -> np.ndarray:
    return np.where(scene.mask[:, :, None] > 0, noisy(0.0), scene.pixels)


def test_a_smooth_patch_gets_the_grain_round_it_and_nothing_outside_changes() -> None:
    picture = Raster(pixels=noisy(3.0))
    plan = plan_region(MASK, Blend(), MINI)
    plain = edit_region(picture, MASK, plan, smooth).pixels
    grained = edit_region(picture, MASK, plan, smooth, grain_seed=5).pixels
    middle = np.zeros((128, 128), bool)
    middle[48:80, 48:80] = True
    assert noise_deviation(plain, middle) < 0.5
    assert noise_deviation(grained, middle) == pytest.approx(3.0, rel=0.3)
    assert np.array_equal(grained[MASK == 0], picture.pixels[MASK == 0])
    assert np.array_equal(grained, edit_region(picture, MASK, plan, smooth, grain_seed=5).pixels)
    assert not np.array_equal(grained, edit_region(picture, MASK, plan, smooth, grain_seed=6).pixels)


def test_a_clean_picture_a_textured_one_and_a_painting_with_grain_of_its_own_get_none() -> None:
    for original in (noisy(0.0), noisy(12.0)):
        assert missing_grain(noisy(0.0), original, MASK, seed=1).deviation == 0.0
    assert missing_grain(noisy(3.0), noisy(3.0), MASK, seed=1).deviation < 1.0


def test_grain_of_a_large_picture_is_measured_where_both_painted_and_kept_are() -> None:
    mask = np.zeros((30, 30), np.float32)  # at a tenth of the picture's scale
    mask[:, 25:] = 1.0
    original, painted = noisy(3.0, 3000), noisy(0.0, 3000)
    assert missing_grain(painted, original, mask, seed=1).deviation == pytest.approx(3.0, rel=0.25)


def test_the_same_rows_get_the_same_noise_and_none_is_none() -> None:
    pixels = noisy(0.0)
    grain = Grain(deviation=2.0, seed=3)
    assert np.array_equal(grain.added(pixels, 40), grain.added(pixels, 40))
    assert not np.array_equal(grain.added(pixels, 40), grain.added(pixels, 41))
    assert np.array_equal(Grain().added(pixels, 40), pixels)


def test_what_is_painted_white_or_black_stays_clean() -> None:
    pixels = noisy(0.0)
    pixels[:20], pixels[20:40] = 255, 0
    grained = Grain(deviation=3.0, seed=3).added(pixels, 0)
    assert np.array_equal(grained[:40], pixels[:40])
    assert not np.array_equal(grained[40:], pixels[40:])


def test_passes_of_one_size_side_by_side_get_noise_of_their_own() -> None:
    picture = Raster(pixels=np.ascontiguousarray(noisy(3.0, 300)[:100]))
    placement = Placement.from_margins(picture.size, top=0, right=0, bottom=60, left=0)
    extension = plan_extension(picture.size, placement, Blend(match_colour=False), MINI)
    first, *_, last = (plan.box for plan in extension.plans)
    assert (first.top, first.width) == (last.top, last.width)
    painted = [
        paint_extension(picture, placement, extension, lambda scene: np.full_like(scene.pixels, 120), grain_seed=seed)
        for seed in (None, 5)
    ]
    noise = painted[1].pixels[120:, :, 0].astype(float) - painted[0].pixels[120:, :, 0]
    one, other = noise[:, first.left + 20 : first.left + 60], noise[:, last.left + 20 : last.left + 60]
    assert one.std() > 1.5
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.1
