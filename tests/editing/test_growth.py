"""How large canvases are grown: every new pixel once, nothing old, enough known picture, few passes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from editing.boxes import Box, ModelSizes
from editing.growth import GrowthPass, plan_growth

FLUX = ModelSizes(native_pixels=1024 * 1024, smallest_pixels=512 * 512, multiple=16, bucket=64)
MINI = ModelSizes(native_pixels=128 * 128, smallest_pixels=128 * 128, multiple=16, bucket=16, passes=4)


def planned(
    size: tuple[int, int], margins: tuple[int, int, int, int], sizes: ModelSizes = FLUX, context: int | None = None
) -> tuple[list[GrowthPass], Box, tuple[int, int]]:
    top, right, bottom, left = margins
    old = Box(left=left, top=top, right=left + size[0], bottom=top + size[1])
    canvas = (size[0] + left + right, size[1] + top + bottom)
    return plan_growth(old, canvas, sizes, context=context), old, canvas


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_every_new_pixel_is_painted_once_and_no_old_one(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 200)), data.draw(st.integers(1, 200))
    margins = data.draw(st.tuples(*[st.integers(0, 300)] * 4).filter(any))
    context = data.draw(st.one_of(st.none(), st.integers(0, 60)))
    passes, old, canvas = planned(size, margins, MINI, context)
    painted = np.zeros((canvas[1], canvas[0]), int)
    for each in passes:
        assert each.box.within(Box(left=0, top=0, right=canvas[0], bottom=canvas[1])) == each.box
        painted[each.box.slices] += each.mask() > 0
    assert (painted[old.slices] == 0).all()
    painted[old.slices] = 1
    assert (painted == 1).all()
    assert len(passes) <= FLUX.passes


def test_a_small_extension_takes_one_pass() -> None:
    passes, _, _ = planned((900, 900), (0, 100, 0, 0))
    assert len(passes) == 1
    assert passes[0].box.area <= 1024 * 1024


def test_a_large_extension_grows_in_steps_each_of_which_sees_what_is_known() -> None:
    passes, _, _ = planned((1024, 1024), (512, 512, 512, 512))
    assert len(passes) == 8
    for each in passes:
        assert each.box.area <= 1024 * 1024
        assert each.mask().mean() <= 0.5


@pytest.mark.parametrize("size", [(4000, 400), (9000, 1200)])
def test_a_panorama_grows_without_being_shown_whole(size: tuple[int, int]) -> None:
    passes, _, canvas = planned(size, (0, 1500, 0, 1500))
    assert 1 < len(passes) <= FLUX.passes
    assert max(each.box.width for each in passes) < 0.6 * canvas[0]


def test_a_tiny_picture_is_not_asked_to_explain_a_huge_canvas_at_once() -> None:
    passes, _, _ = planned((64, 64), (600, 600, 600, 600))
    known = [1.0 - float(each.mask().mean()) for each in passes]
    assert min(known) > 0.15


def test_the_context_asked_for_is_what_is_shown() -> None:
    passes, _, _ = planned((300, 200), (0, 100, 0, 0), FLUX, 40)
    assert passes[0].box == Box(left=260, top=0, right=400, bottom=200)
