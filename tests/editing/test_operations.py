import math

import numpy as np
import pytest

from editing.errors import EditingError, MaskError, OperationError
from editing.guides import Control, ControlKind, ControlMode, Guides
from editing.operations import Blend, Erase, Generate, Inpaint, Outpaint, Sampling
from editing.placement import Placement
from tests.editing.pictures import box_mask, raster, sampling

PICTURE = raster(40, 60)
MASK = box_mask(40, 60, (10, 10, 20, 20))


def control(**values: object) -> Control:
    return Control(**{"kind": ControlKind.CANNY, "checkpoint": "flux-mini-canny", "picture": PICTURE, **values})


def generate(**values: object) -> Generate:
    defaults = {"prompt": "x", "width": 64, "height": 64, "sampling": sampling(), "checkpoint": "flux-mini"}
    return Generate(**{**defaults, **values})


BAD = {
    "steps 0": (lambda: Sampling(steps=0, guidance=1, seed=1), "steps_out_of_range", "steps"),
    "steps 10,000": (lambda: Sampling(steps=10_000, guidance=1, seed=1), "steps_out_of_range", "steps"),
    "guidance -1": (lambda: Sampling(steps=1, guidance=-1, seed=1), "guidance_out_of_range", "guidance"),
    "guidance NaN": (lambda: Sampling(steps=1, guidance=math.nan, seed=1), "guidance_out_of_range", "guidance"),
    "seed 2**64": (lambda: Sampling(steps=1, guidance=1, seed=2**64), "seed_out_of_range", "seed"),
    "seed -1": (lambda: Sampling(steps=1, guidance=1, seed=-1), "seed_out_of_range", "seed"),
    "strength 0": (lambda: sampling(strength=0.0), "strength_out_of_range", "strength"),
    "strength 1.01": (lambda: sampling(strength=1.01), "strength_out_of_range", "strength"),
    "strength too small for a step": (lambda: sampling(strength=1e-17), "strength_out_of_range", "strength"),
    "strength NaN": (lambda: sampling(strength=math.nan), "strength_out_of_range", "strength"),
    "width 15": (lambda: generate(width=15), "size_unsupported", "width"),
    "height 100,000": (lambda: generate(height=100_000), "size_unsupported", "height"),
    "five controls": (lambda: generate(guides=Guides(controls=(control(),) * 5)), "control_too_many", "controls"),
    "generate without picture": (
        lambda: generate(guides=Guides(controls=(control(picture=None),))),
        "control_picture_missing",
        "controls[0].picture",
    ),
    "as it is, without picture": (
        lambda: control(mode=ControlMode.AS_IS, picture=None),
        "control_picture_missing",
        "picture",
    ),
    "as it is, of another shape": (
        lambda: generate(guides=Guides(controls=(control(mode=ControlMode.AS_IS, picture=raster(64, 80)),))),
        "control_shape_mismatch",
        "controls[0].image",
    ),
    "low above high": (lambda: control(low=200, high=100), "control_threshold_out_of_range", "low"),
    "low -1": (lambda: control(low=-1), "control_threshold_out_of_range", "low"),
    "scale 2.1": (lambda: control(scale=2.1), "control_scale_out_of_range", "scale"),
    "start after end": (lambda: control(start=0.5, end=0.4), "control_span_out_of_range", "end"),
    "end 1.1": (lambda: control(end=1.1), "control_span_out_of_range", "end"),
    "feather -1": (lambda: Blend(feather=-1), "blend_out_of_range", "feather"),
    "grow 100,000": (lambda: Blend(grow=100_000), "blend_out_of_range", "grow"),
    "erase at half strength": (
        lambda: Erase(picture=PICTURE, mask=MASK, sampling=sampling(strength=0.5), checkpoint="flux-mini-fill"),
        "strength_out_of_range",
        "strength",
    ),
    "outpaint for another picture": (
        lambda: Outpaint(
            prompt="",
            picture=PICTURE,
            placement=Placement(width=50, height=90, left=0, top=0),
            sampling=sampling(),
            checkpoint="flux-mini-fill",
        ),
        "canvas_excludes_picture",
        "canvas",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_value_out_of_range_is_refused_with_code_and_field(name: str) -> None:
    make, code, field = BAD[name]
    with pytest.raises(OperationError) as caught:
        make()
    assert (caught.value.code, caught.value.field) == (code, field)


MASKS = {
    "another size": (MASK[:-1], "mask_size_mismatch"),
    "sides swapped": (np.ascontiguousarray(MASK.T), "mask_size_mismatch"),
    "three planes": (np.repeat(MASK[:, :, None], 3, axis=2), "mask_size_mismatch"),
    "empty": (np.zeros_like(MASK), "mask_empty"),
    "float64": (MASK.astype(np.float64), "mask_malformed"),
    "beyond 1": (MASK * 255, "mask_malformed"),
    "NaN": (np.full_like(MASK, np.nan), "mask_malformed"),
}


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_that_does_not_fit_is_refused(name: str) -> None:
    mask, code = MASKS[name]
    with pytest.raises(MaskError) as caught:
        Inpaint(prompt="x", picture=PICTURE, mask=mask, sampling=sampling(), checkpoint="flux-mini-fill")
    assert caught.value.code == code


def test_the_ends_of_every_range_are_allowed() -> None:
    Sampling(steps=1, guidance=0, seed=0, strength=0.01)
    Sampling(steps=100, guidance=100, seed=2**64 - 1, strength=1.0)
    control(low=0, high=1000, scale=0.0, start=0.0, end=1.0)
    generate(width=17, height=8191)


def test_an_error_says_value_and_limit_in_words_and_in_fields() -> None:
    with pytest.raises(EditingError, match=r"1\.\.100, got 10000") as caught:
        Sampling(steps=10_000, guidance=1, seed=1)
    assert (caught.value.value, caught.value.limit) == (10_000, [1, 100])


@pytest.mark.parametrize("size", [(60, 40), (6, 4), (600, 400), (61, 40), (7, 5), (625, 400)])
def test_a_finished_control_image_of_the_pictures_shape_is_taken_at_any_scale(size: tuple[int, int]) -> None:
    given = Guides(controls=(control(mode=ControlMode.AS_IS, picture=raster(size[1], size[0])),))
    common = {"prompt": "x", "picture": PICTURE, "sampling": sampling(), "checkpoint": "flux-mini", "guides": given}
    Inpaint(mask=MASK, **common)
    with pytest.raises(OperationError) as caught:  # over the canvas, which has another shape
        Outpaint(placement=Placement(width=120, height=50, left=0, top=0), **common)
    assert (caught.value.code, caught.value.value, caught.value.limit) == (
        "control_shape_mismatch",
        list(size),
        [120, 50],
    )


def test_a_picture_that_a_control_image_is_made_of_may_have_any_shape() -> None:
    generate(guides=Guides(controls=(control(picture=raster(64, 80)),)))
