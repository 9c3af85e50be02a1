"""Placement, boxes, sizes, masks and their limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from editing.boxes import bounds, edit_box, model_size, padded_size
from editing.errors import OperationError
from editing.masks import depth, grow, inward_feather, outward_feather, whole_cells
from editing.placement import Placement
from editing.resampling import resize_mask, resize_pixels
from tests.editing.pictures import box_mask, noise

SIZE = (300, 200)


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
    box = edit_box(mask, native_pixels=data.draw(st.sampled_from([64 * 64, 128 * 128, 1024 * 1024])), context=context)
    assert bounds(mask).edges == (left, top, right, bottom)
    assert 0 <= box.left <= left < right <= box.right <= width
    assert 0 <= box.top <= top < bottom <= box.bottom <= height
    if context is not None:
        wanted = (max(0, left - context), max(0, top - context))
        assert (box.left, box.top) == wanted
        assert (box.right, box.bottom) == (min(width, right + context), min(height, bottom + context))


def test_a_narrow_mask_sees_more_of_its_surroundings() -> None:
    box = edit_box(box_mask(1000, 1000, (100, 500, 900, 510)), native_pixels=1024 * 1024)
    assert box.width <= 2.01 * box.height


@pytest.mark.parametrize("native", [128 * 128, 1024 * 1024])
@pytest.mark.parametrize("box", [(1, 1), (50, 2000), (128, 128), (1600, 1067), (5000, 10)])
def test_the_model_runs_near_the_area_it_likes_on_sides_of_16(native: int, box: tuple[int, int]) -> None:
    width, height = model_size(*box, native_pixels=native, multiple=16)
    assert width % 16 == height % 16 == 0
    assert 0.8 * native <= width * height <= 1.25 * native
    assert max(width, height) <= 4.6 * min(width, height)


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
    assert (grow(mask, pixels) >= mask).all()


def test_a_mask_at_the_pictures_border_has_no_edge_there() -> None:
    mask = box_mask(40, 40, (0, 0, 40, 20))
    assert (inward_feather(mask, 8)[0] == 1.0).all()
    assert depth(mask) == 20.0


def test_resizing_a_mask_loses_no_pixel_of_it() -> None:
    mask = np.zeros((500, 700), np.float32)
    mask[123, 456] = 1.0
    assert resize_mask(mask, (16, 16)).sum() >= 1
    assert resize_mask(mask, (1400, 1000)).sum() >= 4


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
