"""Where a soft edge may be wide: over background that goes on, not over the thing that is to go."""

import numpy as np

from editing.blending import Blend, Intent
from editing.boxes import ModelSizes
from editing.likeness import likeness
from editing.masks import inward_feather
from editing.rasters import Raster
from editing.regions import Scene, edit_region, plan_region
from tests.editing.pictures import box_mask

MINI = ModelSizes(native_pixels=128 * 128, smallest_pixels=128 * 128, multiple=16, bucket=16)
MASK = box_mask(128, 128, (32, 32, 96, 96))


def ground(seed: int = 1) -> np.ndarray:
    grain = np.random.default_rng(seed).normal(0, 6, (128, 128, 3))
    return np.clip(np.array([150, 130, 90]) + grain, 0, 255).astype(np.uint8)


def with_a_thing(inset: int) -> np.ndarray:
    pixels = ground()
    pixels[32 + inset : 96 - inset, 32 + inset : 96 - inset] = (30, 60, 160)
    return pixels


def test_continued_background_is_alike_and_a_thing_is_not() -> None:
    alike = likeness(with_a_thing(16), MASK)
    assert alike[36:44, 36:92].mean() > 0.6
    assert alike[56:72, 56:72].max() < 0.05


def test_a_thing_that_reaches_the_masks_border_is_nowhere_alike_there() -> None:
    alike = likeness(with_a_thing(0), MASK)
    assert alike[34:94, 34:94].max() < 0.1


def test_nothing_is_said_where_nothing_is_kept() -> None:
    assert not likeness(ground(), np.ones((128, 128), np.float32)).any()
    assert not likeness(ground(), np.zeros((128, 128), np.float32)).any()


def test_the_ramp_is_wide_where_it_is_alike_and_narrow_elsewhere() -> None:
    alike = np.zeros((128, 128), np.float32)
    alike[:, :64] = 1.0
    soft = inward_feather(MASK, 2, widest=20, alike=alike)
    assert soft[64, 40] < 0.6
    assert soft[64, 127 - 40] == 1.0
    assert (soft <= MASK).all()
    assert ((soft > 0) == (MASK > 0)).all()


def erased(pixels: np.ndarray, tint: int, blend: Blend) -> np.ndarray:
    """Erase with a model that paints the ground in a tint of its own and keeps the rest."""
    clean = np.clip(ground(2).astype(int) + tint, 0, 255).astype(np.uint8)

    def painter(scene: Scene) -> np.ndarray:
        return np.where(scene.mask[:, :, None] > 0, clean, scene.pixels)

    plan = plan_region(MASK, blend, MINI, intent=Intent.REMOVE)
    assert plan.size == (128, 128)
    return edit_region(Raster(pixels=pixels), MASK, plan, painter).pixels.astype(int)


def test_an_erasure_fades_into_background_and_leaves_no_rim_of_the_thing() -> None:
    result = erased(with_a_thing(12), -25, Blend())
    blue = (result[:, :, 2] - result[:, :, 0])[32:96, 32:96]
    assert blue.max() < 10  # the thing is bluer than red by 130, the ground never
    hard = erased(with_a_thing(12), -25, Blend(feather=0))
    step, hard_step = (np.abs(np.diff(each[:, 48:80].mean(axis=1), axis=0)).max() for each in (result, hard))
    assert step < 0.5 * hard_step  # 25 levels of tint arrive slowly


def test_a_feather_that_is_asked_for_is_that_wide_everywhere() -> None:
    plan = plan_region(MASK, Blend(feather=5), MINI, intent=Intent.REMOVE)
    assert (plan.feather, plan.widest) == (5, 5)
