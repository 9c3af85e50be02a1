"""Placement, boxes, sizes, masks and their limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from editing.boxes import ModelSizes, bounds, edit_box, model_size, padded_size
from editing.errors import MaskError, OperationError
from editing.masks import denoise_mask, depth, inward_feather, outward_feather, threshold, whole_cells
from editing.placement import Placement
from editing.resampling import resize_pixels, resize_soft_mask
from tests.editing.pictures import box_mask, noise

SIZE = (300, 200)
FLUX = ModelSizes(native_pixels=1024 * 1024, smallest_pixels=512 * 512, multiple=16, bucket=64)
MINI = ModelSizes(native_pixels=128 * 128, smallest_pixels=128 * 128, multiple=16, bucket=16)


def test_margins_place_the_picture() -> None:
    placement = Placement.from_margins(SIZE, top=1, right=20, bottom=300, left=4)
    assert placement == Placement(width=324, height=501, left=4, top=1)


@pytest.mark.parametrize(
    ("canvas", "left", "top"),
    [
        ({"width": 400, "height": 250}, 50, 25),
        ({"width": 401, "height": 200}, 50, 0),
        ({"width": 400, "height": 250, "offset_x": 0}, 0, 25),
        ({"width": 400, "height": 250, "offset_x": 100, "offset_y": 50}, 100, 50),
    ],
)
def test_an_absolute_canvas_centres_what_is_not_said(canvas: dict, left: int, top: int) -> None:
    placement = Placement.from_canvas(SIZE, **canvas)
    assert (placement.left, placement.top) == (left, top)


MARGINS = {
    "all zero": ((0, 0, 0, 0), "margins_zero"),
    "negative": ((0, -1, 0, 0), "margin_negative"),
    "100,000 on a side": ((0, 100_000, 0, 0), "canvas_too_large"),
    "too many pixels": ((9_900, 0, 0, 9_900), "canvas_too_large"),
}


@pytest.mark.parametrize("name", MARGINS)
def test_margins_out_of_range_are_refused(name: str) -> None:
    (top, right, bottom, left), code = MARGINS[name]
    with pytest.raises(OperationError) as caught:
        Placement.from_margins(SIZE, top=top, right=right, bottom=bottom, left=left)
    assert caught.value.code == code
    assert caught.value.field


CANVASES = {
    "same size": ({"width": 300, "height": 200}, "margins_zero"),
    "smaller": ({"width": 299, "height": 400}, "canvas_excludes_picture"),
    "offset beyond": ({"width": 400, "height": 400, "offset_x": 101}, "canvas_excludes_picture"),
    "offset before": ({"width": 400, "height": 400, "offset_y": -1}, "canvas_excludes_picture"),
    "too wide": ({"width": 70_000, "height": 400}, "canvas_too_large"),
    "no size": ({"width": 0, "height": 0}, "canvas_excludes_picture"),
}


@pytest.mark.parametrize("name", CANVASES)
def test_a_canvas_that_does_not_serve_is_refused(name: str) -> None:
    canvas, code = CANVASES[name]
    with pytest.raises(OperationError) as caught:
        Placement.from_canvas(SIZE, **canvas)
    assert caught.value.code == code


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_the_box_lies_in_the_picture_and_holds_all_of_the_mask(data: st.DataObject) -> None:
    width, height = data.draw(st.integers(1, 400)), data.draw(st.integers(1, 400))
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    mask = box_mask(height, width, (left, top, right, bottom))
    context = data.draw(st.one_of(st.none(), st.integers(0, 100)))
    box = edit_box(bounds(mask), (width, height), data.draw(st.sampled_from([MINI, FLUX])), context=context)
    assert bounds(mask).edges == (left, top, right, bottom)
    assert 0 <= box.left <= left < right <= box.right <= width
    assert 0 <= box.top <= top < bottom <= box.bottom <= height
    if context is not None:
        wanted = (max(0, left - context), max(0, top - context))
        assert (box.left, box.top) == wanted
        assert (box.right, box.bottom) == (min(width, right + context), min(height, bottom + context))


def test_a_narrow_mask_sees_more_of_its_surroundings() -> None:
    box = edit_box(bounds(box_mask(1000, 1000, (100, 500, 900, 510))), (1000, 1000), FLUX)
    assert box.width <= 2.01 * box.height


@pytest.mark.parametrize("sizes", [MINI, FLUX], ids=["mini", "flux"])
@pytest.mark.parametrize("box", [(1, 1), (50, 2000), (128, 128), (700, 500), (1600, 1067), (5000, 10)])
def test_the_model_runs_between_the_areas_it_likes_on_sides_of_its_buckets(
    sizes: ModelSizes, box: tuple[int, int]
) -> None:
    width, height = model_size(*box, sizes)
    assert width % sizes.bucket == height % sizes.bucket == 0
    assert 0.85 * sizes.smallest_pixels <= width * height <= 1.15 * sizes.native_pixels
    assert max(width, height) <= 4.6 * min(width, height)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_small_edit_in_a_large_picture_is_seen_pixel_for_pixel_in_one_of_a_few_shapes(data: st.DataObject) -> None:
    width, height = data.draw(st.integers(1200, 9000)), data.draw(st.integers(1200, 9000))
    side = data.draw(st.integers(1, 500))
    left, top = data.draw(st.integers(0, width - side)), data.draw(st.integers(0, height - side))
    mask = box_mask(height, width, (left, top, left + side, top + max(1, side // 2)))
    box = edit_box(bounds(mask), (width, height), FLUX)
    assert model_size(box.width, box.height, FLUX) == (box.width, box.height)
    assert box.width % 64 == box.height % 64 == 0
    assert box.area >= 512 * 512


def test_a_size_is_padded_by_less_than_one_multiple() -> None:
    assert [padded_size(w, 16, multiple=16)[0] for w in (1, 16, 17, 32, 130)] == [16, 16, 32, 32, 144]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 999), pixels=st.integers(0, 20))
def test_feathering_never_leaves_the_mask_and_growing_never_loses_it(seed: int, pixels: int) -> None:
    rng = np.random.default_rng(seed)
    mask = (rng.random((40, 50)) * (rng.random((40, 50)) > 0.6)).astype(np.float32)
    inward = inward_feather(mask, pixels)
    assert (inward <= mask).all()
    assert ((inward > 0) == (mask > 0)).all()
    assert (outward_feather(mask, pixels) >= mask).all()
    assert (denoise_mask(mask, pixels, 20 - pixels) >= mask).all()


def test_the_models_mask_is_whole_near_the_mask_and_fades_beyond() -> None:
    mask = box_mask(40, 100, (0, 0, 50, 40))
    grown = denoise_mask(mask, 10, 20)
    assert (grown[:, :60] == 1.0).all()
    fading = grown[20, 60:80]
    assert (np.diff(fading) < 0).all()
    assert 0 < fading[-1] < 0.1
    assert not grown[:, 81:].any()


def test_soft_masks_keep_their_levels_and_each_is_widened() -> None:
    mask = np.zeros((40, 100), np.float32)
    mask[:, :30], mask[:, 30:50] = 1.0, 0.5
    grown = denoise_mask(mask, 5, 0)
    assert (grown[:, :35] == 1.0).all()
    assert (grown[:, 35:55] == 0.5).all()
    assert not grown[:, 56:].any()


def test_a_threshold_makes_a_mask_hard_and_says_when_nothing_is_left() -> None:
    mask = np.array([[0.0, 0.2, 0.5, 0.9]], np.float32)
    assert threshold(mask, 0.5).tolist() == [[0.0, 0.0, 1.0, 1.0]]
    with pytest.raises(MaskError, match=r"largest is 0\.900") as caught:
        threshold(mask, 0.95)
    assert caught.value.code == "mask_empty"
    for level in (0.0, -1.0, 1.01, float("nan")):
        with pytest.raises(MaskError) as caught:
            threshold(mask, level)
        assert caught.value.code == "mask_threshold_out_of_range"


def test_a_mask_at_the_pictures_border_has_no_edge_there() -> None:
    mask = box_mask(40, 40, (0, 0, 40, 20))
    assert (inward_feather(mask, 8)[0] == 1.0).all()
    assert depth(mask) == 20.0


def test_resizing_a_mask_loses_no_pixel_of_it() -> None:
    mask = np.zeros((500, 700), np.float32)
    mask[123, 456] = 1.0
    assert resize_soft_mask(mask, (16, 16)).sum() >= 1
    assert resize_soft_mask(mask, (1400, 1000)).sum() >= 4
    for size in ((16, 16), (1400, 1000), (699, 499), (333, 77), (64, 640)):
        assert resize_soft_mask(mask, size).max() == 1.0


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_resizing_a_soft_mask_loses_no_value_of_it(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 80)), data.draw(st.integers(1, 80))
    mask = np.zeros((height, width), np.float32)
    mask[data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))] = 0.7
    size = data.draw(st.integers(1, 120)), data.draw(st.integers(1, 120))
    assert resize_soft_mask(mask, size).max() == np.float32(0.7)


def test_resizing_to_the_same_size_changes_nothing() -> None:
    pixels = noise(20, 30)
    assert np.array_equal(resize_pixels(pixels, (30, 20)), pixels)
    assert resize_pixels(pixels, (15, 40)).shape == (40, 15, 3)


def test_thin_strokes_survive_in_latents() -> None:
    mask = np.zeros((32, 32), np.float32)
    mask[9, 13] = 1.0
    cells = whole_cells(mask)
    assert cells.sum() == 64
    assert cells[8:16, 8:16].all()
