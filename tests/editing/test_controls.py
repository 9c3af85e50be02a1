import numpy as np
import pytest

from editing.boxes import Box
from editing.controls import canny, control_image
from editing.errors import OperationError
from editing.guides import Control, ControlKind, ControlMode
from editing.rasters import Raster
from tests.editing.pictures import scenery, wide_profile


def control(**values: object) -> Control:
    return Control(**{"kind": ControlKind.CANNY, "checkpoint": "flux-mini-canny", **values})


@pytest.mark.parametrize(("low", "high"), [(100, 200), (20, 60)])
def test_edges_are_exactly_those_of_controlnet_aux(low: int, high: int) -> None:
    from editing.diffusion.quiet import quiet_libraries

    with quiet_libraries():
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # controlnet-aux warns of what it was not installed with
            from controlnet_aux import CannyDetector

    for seed in range(3):
        picture = np.clip(scenery(128, 192, seed).astype(int) * 2 - 120, 0, 255).astype(np.uint8)
        theirs = CannyDetector()(picture, low, high, detect_resolution=128, image_resolution=128)
        assert theirs.any()
        assert np.array_equal(canny(picture, low, high), theirs)


def test_a_control_without_a_picture_uses_the_operations_own() -> None:
    own = scenery(64, 64)
    assert np.array_equal(control_image(control(low=10, high=20), size=(64, 64), own=own), canny(own, 10, 20))


def test_a_control_picture_of_another_size_is_laid_over_the_whole_picture() -> None:
    half = np.zeros((50, 50, 3), np.uint8)
    half[:, 25:] = 255
    right = Box(left=100, top=0, right=200, bottom=200)
    left = Box(left=0, top=0, right=100, bottom=200)
    given = control(picture=Raster(pixels=half), mode=ControlMode.AS_IS)
    assert control_image(given, size=(32, 64), box=right, frame=(200, 200)).min() == 255
    assert control_image(given, size=(32, 64), box=left, frame=(200, 200)).max() == 0


def test_a_control_image_used_as_it_is_is_only_scaled() -> None:
    picture = Raster(pixels=scenery(64, 64))
    assert np.array_equal(
        control_image(control(picture=picture, mode=ControlMode.AS_IS), size=(64, 64)), picture.pixels
    )


def test_a_control_picture_is_seen_in_srgb() -> None:
    flat = Raster(pixels=np.full((16, 16, 3), (200, 60, 60), np.uint8), icc_profile=wide_profile())
    assert int(control_image(control(picture=flat, mode=ControlMode.AS_IS), size=(16, 16))[0, 0, 0]) > 205


def test_a_control_with_no_picture_at_all_is_refused() -> None:
    with pytest.raises(OperationError) as caught:
        control_image(control(), size=(16, 16))
    assert caught.value.code == "control_picture_missing"
