"""The promise: outside the uploaded mask not one pixel value changes, whatever the model paints."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from editing.blending import Blend, Intent, Join
from editing.boxes import Box, ModelSizes, outside
from editing.decoding import MaskPolarity, decode_mask, decode_picture
from editing.encoding import OutputFormat, encode_picture
from editing.masks import whole_cells
from editing.outpainting import extend, extension_strips, paint_extension, plan_extension
from editing.placement import Placement
from editing.rasters import Mask, Pixels, Raster
from editing.regions import Scene, edit_region, plan_region
from tests.editing.pictures import (
    adobe_like_profile,
    box_mask,
    encoded,
    grey_profile,
    inverting,
    noise,
    raster,
    scenery,
    wide_profile,
)

PROFILES = {"none": None, "wide": wide_profile(), "adobe-like": adobe_like_profile(), "broken": b"not a profile"}
MODES = ("RGB", "RGBA", "L", "LA", "P", "CMYK", "1", "I;16", "RGB16")
SMALL = ModelSizes(native_pixels=64 * 64, smallest_pixels=64 * 64, multiple=16, bucket=16)
MINI = ModelSizes(native_pixels=128 * 128, smallest_pixels=128 * 128, multiple=16, bucket=16)


def edited(picture: Raster, mask: Mask, blend: Blend, intent: Intent = Intent.FILL) -> Raster:
    plan = plan_region(mask, blend, SMALL, intent=intent)
    return edit_region(picture, mask, plan, inverting)


def uploaded(mode: str, height: int, width: int, profile: bytes | None, seed: int) -> bytes:
    import cv2
    from PIL import Image

    pixels = noise(height, width, seed)
    if mode == "RGB16":
        deep = pixels.astype(np.uint16) * 256 + np.uint16(seed % 256)
        return cv2.imencode(".png", deep)[1].tobytes()
    if mode == "I;16":
        return encoded(Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257), "PNG")
    image = Image.fromarray(pixels)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(noise(height, width, seed + 1)[:, :, 0]))
    image = image.convert(mode)
    embedded = {"icc_profile": profile} if profile is not None else {}
    if mode in ("L", "LA", "1") and profile is not None:
        embedded = {"icc_profile": grey_profile(1.8)}
    return encoded(image, "TIFF" if mode == "CMYK" else "PNG", **embedded)


@st.composite
def masks(draw: st.DrawFn, height: int, width: int) -> Mask:
    """Boxes, islands, soft ramps, single pixels and masks that touch borders; never empty."""
    mask = np.zeros((height, width), np.float32)
    for _ in range(draw(st.integers(1, 4))):
        left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        right, bottom = draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height))
        mask[top:bottom, left:right] = draw(st.sampled_from([1.0, 1.0, 0.5, 1 / 255]))
    if draw(st.booleans()):
        levels = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, (height, width))
        mask = mask * (levels / np.float32(255)).astype(np.float32)
    if not mask.any():
        mask[draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))] = 1.0
    return np.clip(mask, 0, 1).astype(np.float32)


def blends() -> st.SearchStrategy[Blend]:
    pixels = st.one_of(st.none(), st.integers(0, 40))
    return st.builds(
        Blend,
        grow=pixels,
        soften=pixels,
        feather=pixels,
        context=pixels,
        join=st.sampled_from(Join),
    )


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_outside_the_mask_the_decoded_result_is_bit_identical(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 90))
    mode, profile = data.draw(st.sampled_from(MODES)), PROFILES[data.draw(st.sampled_from(sorted(PROFILES)))]
    picture = decode_picture(uploaded(mode, height, width, profile, data.draw(st.integers(0, 255))))
    mask = data.draw(masks(height, width))
    result = edited(picture, mask, data.draw(blends()), data.draw(st.sampled_from(Intent)))
    output = data.draw(st.sampled_from([OutputFormat.PNG, OutputFormat.WEBP]))
    again = decode_picture(encode_picture(result, output))
    keep = mask == 0.0
    assert again.size == picture.size
    assert np.array_equal(again.pixels[keep], picture.pixels[keep])
    assert again.icc_profile == picture.icc_profile
    if picture.alpha is not None and int(picture.alpha.min()) < 255:
        assert again.alpha is not None
        assert np.array_equal(again.alpha, picture.alpha)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_an_uploaded_mask_file_keeps_its_zeros_through_the_whole_way(data: st.DataObject) -> None:
    from PIL import Image

    height, width = data.draw(st.integers(2, 60)), data.draw(st.integers(2, 60))
    levels = np.rint(data.draw(masks(height, width)) * 255).astype(np.uint8)
    levels[0, 0] = 255
    picture = Raster(pixels=noise(height, width))
    mask = decode_mask(encoded(Image.fromarray(levels), "PNG"), size=(width, height), polarity=MaskPolarity.WHITE)
    result = edited(picture, mask, data.draw(blends()))
    assert np.array_equal(result.pixels[levels == 0], picture.pixels[levels == 0])


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_outpainting_keeps_every_old_pixel_where_it_was_placed(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 60))
    mode, profile = data.draw(st.sampled_from(MODES)), PROFILES[data.draw(st.sampled_from(sorted(PROFILES)))]
    picture = decode_picture(uploaded(mode, height, width, profile, data.draw(st.integers(0, 255))))
    margins = data.draw(st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any))
    top, right, bottom, left = margins
    placement = Placement.from_margins(picture.size, top=top, right=right, bottom=bottom, left=left)
    extension = plan_extension(picture.size, placement, data.draw(blends()), SMALL)
    result = paint_extension(picture, placement, extension, inverting)
    again = decode_picture(encode_picture(result, OutputFormat.PNG))
    assert again.size == (width + left + right, height + top + bottom)
    old = again.pixels[top : top + height, left : left + width]
    assert np.array_equal(old, picture.pixels)
    if picture.alpha is not None:
        assert again.alpha is not None
        assert np.array_equal(again.alpha[top : top + height, left : left + width], picture.alpha)
    assert again.icc_profile == picture.icc_profile


def test_the_inside_of_the_mask_really_changes() -> None:
    picture, mask = raster(100, 140), box_mask(100, 140, (40, 30, 90, 70))
    changed = (edited(picture, mask, Blend()).pixels != picture.pixels).any(axis=2)
    assert changed[mask > 0].mean() > 0.95
    assert not changed[mask == 0].any()


def test_grow_widens_what_the_model_paints_and_not_what_is_pasted() -> None:
    picture, mask = raster(100, 140), box_mask(100, 140, (40, 30, 90, 70))
    seen: list[Scene] = []

    def spying(scene: Scene) -> Pixels:
        seen.append(scene)
        return inverting(scene)

    for grow in (0, 12):
        plan = plan_region(mask, Blend(grow=grow), SMALL)
        result = edit_region(picture, mask, plan, spying)
        assert not (result.pixels != picture.pixels)[mask == 0].any()
    assert seen[1].mask.sum() > seen[0].mask.sum()


def test_a_soft_edge_lies_inside_the_mask() -> None:
    picture, mask = raster(100, 140), box_mask(100, 140, (40, 30, 90, 70))
    hard = edited(picture, mask, Blend(feather=0)).pixels.astype(int)
    soft = edited(picture, mask, Blend(feather=12)).pixels.astype(int)
    before = picture.pixels.astype(int)
    rim, middle = (slice(30, 32), slice(45, 85)), (slice(48, 52), slice(60, 70))
    assert np.abs(soft - before)[rim].mean() < 0.3 * np.abs(hard - before)[rim].mean()
    assert np.array_equal(soft[middle], hard[middle])


def test_spill_is_what_lets_the_soft_edge_out() -> None:
    picture, mask = raster(100, 140), box_mask(100, 140, (40, 30, 90, 70))
    changed = (edited(picture, mask, Blend(feather=10, spill=True)).pixels != picture.pixels).any(axis=2)
    assert changed[mask == 0].any()
    assert not changed[:18].any()


@pytest.mark.parametrize("context", [None, 0])
def test_a_spilled_edge_fades_out_before_the_box_ends(context: int | None) -> None:
    picture, mask = Raster(pixels=np.full((300, 300, 3), 90, np.uint8)), box_mask(300, 300, (140, 140, 160, 160))
    blend = Blend(spill=True, feather=100, context=context, match_colour=False)
    plan = plan_region(mask, blend, MINI)
    result = edit_region(picture, mask, plan, lambda scene: np.full_like(scene.pixels, 200))
    levels = result.pixels[:, :, 0].astype(int)
    assert levels[60, 150] > 90  # far beyond the context that a mask of 20 pixels has otherwise
    assert max(np.abs(np.diff(levels, axis=axis)).max() for axis in (0, 1)) <= 4


def test_a_stretched_box_is_painted_as_far_beyond_the_mask_in_every_direction() -> None:
    sizes = ModelSizes(native_pixels=256 * 256, smallest_pixels=128 * 128, multiple=16, bucket=16)
    mask = box_mask(60, 1500, (100, 25, 1400, 35))
    plan = plan_region(mask, Blend(grow=12, context=100), sizes)
    assert plan.box.width / plan.size[0] > 2.5 * plan.box.height / plan.size[1]  # narrower than the model runs
    seen: list[Mask] = []

    def looking(scene: Scene) -> Pixels:
        seen.append(scene.mask)
        return scene.pixels

    edit_region(raster(60, 1500), mask, plan, looking)
    rows = np.flatnonzero(seen[0].max(axis=1)) * plan.box.height / plan.size[1]
    columns = plan.box.left + np.flatnonzero(seen[0].max(axis=0)) * plan.box.width / plan.size[0]
    assert rows[0] <= 25 - 12
    assert rows[-1] >= 35 + 12 - 1 - plan.box.height / plan.size[1]
    assert columns[0] <= 100 - 12


def test_a_gradient_join_has_the_soft_edge_that_is_asked_for_and_else_none() -> None:
    picture, mask = raster(120, 120), box_mask(120, 120, (30, 30, 90, 90))
    plan = plan_region(mask, Blend(join=Join.POISSON), SMALL)
    assert (plan.feather, plan.widest) == (0, 0)
    thin = plan_region(box_mask(120, 120, (30, 30, 90, 38)), Blend(), SMALL)
    assert (thin.join, thin.feather, thin.widest) == (Join.POISSON, 0, 0)
    hard = edit_region(picture, mask, plan, inverting).pixels
    asked = plan_region(mask, Blend(join=Join.POISSON, feather=20), SMALL)
    assert (asked.feather, asked.widest) == (20, 20)
    soft = edit_region(picture, mask, asked, inverting).pixels
    change = [np.abs(each.astype(int) - picture.pixels)[33:36, 33:87].mean() for each in (hard, soft)]
    assert change[1] < change[0] / 2  # the old picture shows through near the border
    assert np.array_equal(soft[60, 60], hard[60, 60])


def test_a_thin_stroke_is_repainted_at_full_strength_in_its_middle() -> None:
    picture, mask = raster(80, 80), box_mask(80, 80, (10, 38, 70, 43))
    hard = edited(picture, mask, Blend(feather=0)).pixels
    soft = edited(picture, mask, Blend(feather=30)).pixels
    assert np.array_equal(soft[40, 20:60], hard[40, 20:60])


@pytest.mark.parametrize(
    ("blend", "intent", "join"),
    [
        (Blend(), Intent.FILL, Join.POISSON),
        (Blend(join=Join.SOFT), Intent.FILL, Join.SOFT),
        (Blend(feather=3), Intent.FILL, Join.SOFT),
        (Blend(match_colour=False), Intent.FILL, Join.SOFT),
        (Blend(spill=True), Intent.FILL, Join.SOFT),
        (Blend(), Intent.REPLACE_BACKGROUND, Join.SOFT),
    ],
)
def test_a_stroke_too_thin_for_a_soft_edge_is_joined_by_gradients_unless_that_contradicts(
    blend: Blend, intent: Intent, join: Join
) -> None:
    stroke = box_mask(80, 80, (10, 38, 70, 43))
    assert plan_region(stroke, blend, SMALL, intent=intent).join is join
    assert plan_region(box_mask(80, 80, (10, 20, 70, 60)), blend, SMALL, intent=intent).join is Join.SOFT


def test_a_mask_over_everything_repaints_everything_at_full_strength() -> None:
    picture = raster(60, 50)
    plan = plan_region(np.ones((60, 50), np.float32), Blend(), SMALL)
    result = edit_region(picture, np.ones((60, 50), np.float32), plan, lambda s: np.full_like(s.pixels, 7))
    assert (result.pixels == 7).all()


def test_the_model_is_given_srgb_and_its_answer_goes_back_into_the_profile() -> None:
    wide = wide_profile()
    picture = Raster(pixels=np.full((64, 64, 3), (200, 60, 60), np.uint8), icc_profile=wide)
    given_pixels: list[Pixels] = []

    def keeping(scene: Scene) -> Pixels:
        given_pixels.append(scene.pixels)
        return scene.pixels

    mask = box_mask(64, 64, (20, 20, 44, 44))
    result = edit_region(picture, mask, plan_region(mask, Blend(), SMALL), keeping)
    assert int(given_pixels[0][0, 0, 0]) > 205  # the same red needs a larger code value in the smaller gamut
    assert np.abs(result.pixels.astype(int) - picture.pixels).max() <= 2


def test_a_small_mask_in_a_large_picture_costs_its_box() -> None:
    picture = Raster(pixels=np.zeros((2000, 3000, 3), np.uint8))
    mask = box_mask(2000, 3000, (1500, 900, 1540, 930))
    plan = plan_region(mask, Blend(), MINI)
    assert plan.box.width * plan.box.height < 0.05 * 2000 * 3000
    assert plan.size[0] * plan.size[1] <= 1.2 * 128 * 128
    assert edit_region(picture, mask, plan, inverting).size == (3000, 2000)


@pytest.mark.parametrize("shift", [(12, -8, 20), (0, 0, 0), (-25, 5, -3)])
def test_a_models_colour_shift_leaves_no_seam(shift: tuple[int, int, int]) -> None:
    smooth = np.clip(scenery(120, 160).astype(int), 40, 210).astype(np.uint8)
    picture, mask = Raster(pixels=smooth), box_mask(120, 160, (50, 40, 110, 80))

    def shifted(scene: Scene) -> Pixels:
        return np.clip(scene.pixels.astype(int) + shift, 0, 255).astype(np.uint8)

    plan = plan_region(mask, Blend(feather=0), MINI)
    result = edit_region(picture, mask, plan, shifted).pixels.astype(int)
    error = np.abs(result - smooth)[mask > 0]
    assert error.mean() < 5.0  # what resampling to the model's size and back costs here


def test_a_shift_that_differs_from_edge_to_edge_is_followed() -> None:
    smooth = np.full((128, 128, 3), 120, np.uint8)
    ramp = np.linspace(-30, 30, 128)[None, :, None]
    picture, mask = Raster(pixels=smooth), box_mask(128, 128, (40, 40, 88, 88))

    def ramped(scene: Scene) -> Pixels:
        assert scene.pixels.shape == (128, 128, 3)
        return np.clip(scene.pixels + ramp, 0, 255).astype(np.uint8)

    plan = plan_region(mask, Blend(feather=0, context=40), MINI)
    result = edit_region(picture, mask, plan, ramped).pixels.astype(int)
    assert np.abs(result - 120)[60:70, 40:44].mean() < 7  # one offset for all would leave more than 10
    assert np.abs(result - 120)[60:70, 84:88].mean() < 7


def test_outpaint_fills_new_alpha_opaque_and_mirrors_the_picture_beneath() -> None:
    picture = raster(20, 30, alpha=np.zeros((20, 30), np.uint8))
    pixels, alpha = extend(picture, Placement.from_margins(picture.size, top=0, right=5, bottom=0, left=0))
    assert alpha is not None
    assert (alpha[:, 30:] == 255).all()
    assert np.array_equal(pixels[:, 30:32], picture.pixels[:, [28, 27]])


def test_a_large_extension_is_exact_although_its_edges_are_measured_coarsely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("editing.masks.LARGE", 1500)
    picture = raster(61, 83)
    placement = Placement.from_margins(picture.size, top=37, right=41, bottom=0, left=59)
    extension = plan_extension(picture.size, placement, Blend(match_colour=False), SMALL)
    result = paint_extension(picture, placement, extension, lambda scene: np.full_like(scene.pixels, 255)).pixels
    assert np.array_equal(result[37:98, 59:142], picture.pixels)
    assert (result[:, :45] == 255).all()  # only the edge shows what was repeated
    assert (result[:23] == 255).all()


def test_later_passes_blend_over_earlier_ones_and_leave_no_gap() -> None:
    """Each pass paints another grey: at its joint with an earlier one the two greys meet gradually."""
    picture = Raster(pixels=np.full((64, 64, 3), 100, np.uint8))
    placement = Placement.from_margins(picture.size, top=64, right=64, bottom=64, left=64)
    extension = plan_extension(picture.size, placement, Blend(feather=0, match_colour=False), SMALL)
    assert len(extension.passes) > 4

    def grey(scene: Scene) -> Pixels:
        return np.full_like(scene.pixels, 100 + 15 * (scene.number % 2))

    result = paint_extension(picture, placement, extension, grey).pixels[:, :, 0].astype(int)
    assert set(np.unique(result)) >= {100, 107, 115}
    steps = np.abs(np.diff(result, axis=1))
    old = extension.old
    steps[old.top : old.bottom, [old.left - 1, old.right - 1]] = 0  # feather=0: the old border is hard here
    assert steps.max() <= 8


def test_all_passes_of_an_extension_meet_what_is_there_in_one_way() -> None:
    placement = Placement.from_margins((200, 200), top=0, right=240, bottom=0, left=3)
    plans = plan_extension((200, 200), placement, Blend(), MINI).plans
    assert len(plans) > 1
    assert {(each.join, each.feather, each.widest) for each in plans} == {(Join.SOFT, 8, 8)}
    thin = Placement.from_margins((200, 200), top=0, right=3, bottom=0, left=0)
    assert {each.join for each in plan_extension((200, 200), thin, Blend(), MINI).plans} == {Join.POISSON}


@pytest.mark.parametrize("side", [1, 20, 45, 300])
def test_every_border_of_an_extended_picture_is_measured_once(side: int) -> None:
    canvas, old = (700, 700), Box(left=200, top=200, right=200 + side, bottom=200 + side)
    counted = np.zeros((700, 700), int)
    for strip in extension_strips(old, canvas, 46):
        painted = outside(strip, (old,))
        assert not painted.all()
        beside = np.zeros((700, 700), bool)  # what is painted and touches the old picture, straight across
        beside[strip.slices] = painted > 0
        touching = np.zeros((700, 700), bool)
        touching[old.top : old.bottom, [old.left - 1, old.right]] = True
        touching[[old.top - 1, old.bottom], old.left : old.right] = True
        counted += beside & touching
    assert counted.max() == 1
    assert counted.sum() == 4 * side


def test_what_shares_a_latent_with_the_mask_does_not_tint_the_edit() -> None:
    """A base checkpoint repaints whole latents: old colour beside the mask is content, not the model's colour error."""
    pixels = np.full((128, 128, 3), (220, 200, 150), np.uint8)
    pixels[44:90, 30:100] = (210, 40, 40)
    picture, mask = Raster(pixels=pixels), box_mask(128, 128, (20, 20, 110, 60))

    def sandy(scene: Scene) -> Pixels:
        painted = scene.pixels.copy()
        painted[whole_cells(scene.mask) > 0] = (220, 200, 150)
        return painted

    plan = plan_region(mask, Blend(feather=0, grow=0, context=60), MINI)
    result = edit_region(picture, mask, plan, sandy).pixels.astype(int)
    assert np.abs(result - (220, 200, 150))[20:60, 20:110].max() <= 2
