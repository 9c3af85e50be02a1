"""The colour error is taken out of an edit, at its border most of all; content and grain are not."""

import cv2
import numpy as np
import pytest

from editing.masks import depth
from editing.matching import LARGEST_SHIFT, match_colour, match_palette, poisson_joined
from editing.rasters import Mask, Pixels
from tests.editing.pictures import box_mask, noise, scenery

FLAT = (120, 130, 110)


def flat(height: int, width: int) -> Pixels:
    return np.full((height, width, 3), FLAT, np.uint8)


def shifted(pixels: Pixels, shift: np.ndarray) -> Pixels:
    return np.clip(np.rint(pixels + shift), 0, 255).astype(np.uint8)


def ramp(side: int, levels: float, *, down: bool) -> np.ndarray:
    line = np.linspace(-levels / 2, levels / 2, side)
    return line[:, None, None] if down else line[None, :, None]


def rim(mask: Mask, pixels: int) -> np.ndarray:
    inside = cv2.distanceTransform((mask > 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return (inside > 0) & (inside <= pixels)


def hole(side: int) -> Mask:
    return box_mask(side, side, (side // 4, side // 4, side * 3 // 4, side * 3 // 4))


@pytest.mark.parametrize("side", [128, 512])
@pytest.mark.parametrize("down", [True, False])
@pytest.mark.parametrize("levels", [30, 90])
def test_a_strong_gradient_of_error_is_removed_on_every_border(side: int, down: bool, levels: int) -> None:
    original, mask = flat(side, side), hole(side)
    painted = shifted(original, ramp(side, levels, down=down))
    left = np.abs(match_colour(painted, original, mask).astype(int) - original)
    before = np.abs(painted.astype(int) - original)[rim(mask, 3)].mean()
    assert before > 5
    assert left[rim(mask, 3)].mean() < 0.6  # half a level is what rounding leaves
    assert left[mask > 0].max() <= 1


@pytest.mark.parametrize("levels", [30, 90])
def test_an_outpaint_continues_the_error_along_its_border(levels: int) -> None:
    original, mask = flat(256, 256), box_mask(256, 256, (128, 0, 256, 256))
    painted = shifted(original, ramp(256, levels, down=True))
    left = np.abs(match_colour(painted, original, mask).astype(int) - original)
    assert left[:, 128:131].mean() < 0.02 * levels


@pytest.mark.parametrize("side", [128, 512])
def test_an_error_that_grows_towards_the_border_is_met_there(side: int) -> None:
    """A one-sided average would stop about its radius short of it."""
    original, mask = flat(side, side), box_mask(side, side, (side // 2, 0, side, side))
    painted = shifted(original, ramp(side, 70, down=False) * np.float32(1.1) + 20)
    beside = match_colour(painted, original, mask).astype(float)[:, side // 2] - original[:, side // 2]
    assert np.abs(beside).mean() < 0.75


def test_an_error_that_swings_along_the_border_is_followed() -> None:
    original, mask = flat(512, 512), hole(512)
    swing = 12 * np.sin(np.arange(512) * 2 * np.pi / 128)[:, None, None]
    left = np.abs(match_colour(shifted(original, swing), original, mask).astype(float) - original)
    assert left[rim(mask, 2)].mean() < 0.25 * np.abs(swing).mean()


def test_grain_is_no_shift() -> None:
    original, mask = flat(256, 256), hole(256)
    grain = np.random.default_rng(0).normal(0, 8, original.shape)
    painted = shifted(original, 15 + grain)
    change = match_colour(painted, original, mask).astype(int) - painted
    assert np.abs(change[mask > 0].mean() + 15) < 0.6
    assert change[rim(mask, 3)].std() < 2.5  # grain itself would leave 8
    assert change[100:156, 100:156].std() < 0.8


def test_content_that_changed_beside_the_mask_does_not_tint_the_edit() -> None:
    original, mask = flat(256, 256), hole(256)
    painted = shifted(original, np.full(original.shape, 10))
    painted[44:64, 100:150] = (20, 200, 40)  # the model drew something where it should have kept
    left = np.abs(match_colour(painted, original, mask).astype(int) - original)[mask > 0]
    assert left.mean() < 2.5
    assert left.max() < 30  # what it drew is off by 100


def test_a_shift_beyond_the_largest_is_content() -> None:
    original, mask = flat(64, 64), hole(64)
    painted = shifted(original, np.full(original.shape, 70))
    assert np.array_equal(match_colour(painted, original, mask), painted - np.uint8(LARGEST_SHIFT))


def test_kept_pixels_that_agree_leave_the_edit_alone() -> None:
    original, mask = scenery(100, 140), box_mask(100, 140, (40, 30, 90, 70))
    painted = np.where(mask[:, :, None] > 0, noise(100, 140), original).astype(np.uint8)
    assert np.array_equal(match_colour(painted, original, mask), painted)


@pytest.mark.parametrize("join", [match_colour, poisson_joined])
def test_with_nothing_kept_the_painted_picture_stands(join: object) -> None:
    painted = noise(20, 30)
    assert callable(join)
    assert np.array_equal(join(painted, noise(20, 30, 1), np.ones((20, 30), np.float32)), painted)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (37, 1), (2, 3)])
def test_the_smallest_boxes_are_joined(shape: tuple[int, int]) -> None:
    original = noise(*shape)
    mask = np.zeros(shape, np.float32)
    mask[0, 0] = 1.0
    painted = noise(*shape, seed=2)
    for join in (match_colour, poisson_joined):
        result = join(painted, original, mask)
        assert result.shape == original.shape
        assert result.dtype == np.uint8


def test_a_poisson_join_keeps_the_painted_gradients_and_the_pictures_border() -> None:
    original, mask = flat(120, 90), box_mask(120, 90, (20, 25, 60, 100))
    texture = 30 * np.sin(np.mgrid[0:120, 0:90][1] / 4.0)[:, :, None]
    painted = shifted(original, texture + ramp(120, 50, down=True))
    joined = poisson_joined(painted, original, mask)
    assert np.array_equal(joined[mask == 0], original[mask == 0])
    inside = joined.astype(int)[25:100, 20:60]
    bend = cv2.Laplacian((joined.astype(np.float32) - painted), cv2.CV_32F)[26:99, 21:59]
    assert np.abs(bend).max() <= 4  # rounding alone: each of five terms is off by half a level or less, twice
    assert np.abs(bend).mean() < 1.3
    step = np.abs(inside[:, 0] - (texture[0, 20] - texture[0, 19]) - original[25:100, 19])
    assert step.mean() < 3  # across the border little but the painted gradient is left
    assert np.abs(painted.astype(int) - original)[25:100, 20].mean() > 20


def test_a_poisson_join_has_no_condition_at_the_boxes_rim() -> None:
    original = flat(80, 100)
    painted = shifted(original, np.full(original.shape, -25))
    mask = box_mask(80, 100, (30, 0, 100, 80))
    assert depth(mask) > 60
    assert np.array_equal(poisson_joined(painted, original, mask), original)


def test_a_poisson_join_of_a_checkerboard_keeps_every_kept_square() -> None:
    original, painted = noise(40, 40), noise(40, 40, 1)
    mask = (np.indices((40, 40)).sum(axis=0) % 2).astype(np.float32)
    joined = poisson_joined(painted, original, mask)
    assert np.array_equal(joined[mask == 0], original[mask == 0])


def test_what_continues_a_grey_picture_is_grey_and_what_continues_colours_is_not() -> None:
    rng = np.random.default_rng(3)
    grey = np.repeat(rng.integers(40, 200, (40, 40, 1), dtype=np.uint8), 3, axis=2)
    mask = np.zeros((40, 40), np.float32)
    mask[10:30, 10:30] = 1.0
    tinted = grey.copy()
    tinted[:, :, 0] += 20
    matched = match_palette(tinted, grey, mask)
    assert (matched.max(axis=2) == matched.min(axis=2)).all()
    assert abs(float(matched.mean()) - float(tinted.mean())) < 4
    coloured = grey.copy()
    coloured[:5, :5, 2] = 255
    assert np.array_equal(match_palette(tinted, coloured, mask), tinted)
    assert np.array_equal(match_palette(tinted, grey, np.ones_like(mask)), tinted)
