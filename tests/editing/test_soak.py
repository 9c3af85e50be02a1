"""The property tests of this room at counts that take minutes; run by `make soak`."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.editing import test_decoding, test_regions

pytestmark = pytest.mark.soak


@settings(max_examples=2000, deadline=None)
@given(**test_decoding.DAMAGE)
def test_damaged_bytes_at_length(name: str, edits: list[tuple[int, int]], cut: int) -> None:
    check = test_decoding.test_damaged_bytes_give_a_raster_or_our_own_error_and_never_a_warning
    check.hypothesis.inner_test(name, edits, cut)


@settings(max_examples=1000, deadline=None)
@given(data=st.data())
def test_exactness_outside_the_mask_at_length(data: st.DataObject) -> None:
    test_regions.test_outside_the_mask_the_decoded_result_is_bit_identical.hypothesis.inner_test(data)


@settings(max_examples=1000, deadline=None)
@given(data=st.data())
def test_exactness_of_outpainting_at_length(data: st.DataObject) -> None:
    test_regions.test_outpainting_keeps_every_old_pixel_where_it_was_placed.hypothesis.inner_test(data)
