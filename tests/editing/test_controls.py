import warnings
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from skimage import data

from editing.boxes import Box
from editing.controls import MOST_PIXELS, canny, control_image, control_map
from editing.drawn_maps import blur, gradient, grey, lineart_standard, low_quality, tile
from editing.errors import EngineError, OperationError
from editing.guides import Control, ControlKind, ControlMode, Detector
from editing.rasters import Pixels, Raster
from editing.reliefs import depth_picture, nearness, normal_picture
from editing.skeletons import POINTS, draw_skeletons, from_coco
from tests.editing.pictures import scenery, wide_profile

DRAWN = (
    Detector.CANNY,
    Detector.GRADIENT,
    Detector.LINEART_STANDARD,
    Detector.TILE,
    Detector.BLUR,
    Detector.GREY,
    Detector.LOW_QUALITY,
)

COCO = "nose l_eye r_eye l_ear r_ear l_sho r_sho l_elb r_elb l_wri r_wri l_hip r_hip l_kne r_kne l_ank r_ank"
OPENPOSE = "nose neck r_sho r_elb r_wri l_sho l_elb l_wri r_hip r_kne r_ank l_hip l_kne l_ank r_eye l_eye r_ear l_ear"


def control(**values: object) -> Control:
    return Control(**{"kind": ControlKind.CANNY, "checkpoint": "flux-mini-canny", **values})


def astronaut(side: int = 256) -> Pixels:
    return np.asarray(cv2.resize(data.astronaut(), (side, side), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def detail(pixels: Pixels) -> float:
    return float(cv2.Laplacian(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


@pytest.mark.parametrize(("low", "high"), [(100, 200), (20, 60)])
def test_edges_are_exactly_those_of_controlnet_aux(low: int, high: int) -> None:
    from editing.diffusion.quiet import quiet_libraries

    with quiet_libraries(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # controlnet-aux warns of what it was not installed with
        from controlnet_aux import CannyDetector

    for seed in range(3):
        picture = np.clip(scenery(128, 192, seed).astype(int) * 2 - 120, 0, 255).astype(np.uint8)
        theirs = CannyDetector()(picture, low, high, detect_resolution=128, image_resolution=128)
        assert theirs.any()
        assert np.array_equal(canny(picture, low, high), theirs)


def test_standard_line_art_is_exactly_that_of_controlnet_aux() -> None:
    from editing.diffusion.quiet import quiet_libraries

    with quiet_libraries(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from controlnet_aux import LineartStandardDetector

    for picture in (astronaut(), scenery(256, 320, 2)):
        theirs = LineartStandardDetector()(picture, detect_resolution=256, output_type="np")
        assert theirs.max() > 80
        assert np.array_equal(lineart_standard(picture), theirs)


@pytest.mark.parametrize("detector", DRAWN)
@pytest.mark.parametrize("size", [(1, 1), (17, 33), (50, 300), (2, 900)])
def test_maps_without_weights_keep_any_size_and_are_the_same_every_time(
    detector: Detector, size: tuple[int, int]
) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (*size, 3), dtype=np.uint8)
    before = pixels.copy()
    made = control_map(pixels, detector, low=100, high=200)
    assert made.shape == pixels.shape
    assert made.dtype == np.uint8
    assert np.array_equal(made, control_map(pixels, detector, low=100, high=200))
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize("draw", [gradient, lineart_standard])
def test_nothing_is_drawn_where_nothing_is(draw: Callable[[Pixels], Pixels]) -> None:
    assert draw(np.full((40, 60, 3), 130, np.uint8)).max() == 0


def test_soft_edges_show_a_border_between_colours_of_one_lightness() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, :32], picture[:, 32:] = (200, 90, 90), (57, 137, 114)
    lightness = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)[:, :, 0]
    assert abs(int(lightness[0, 0]) - int(lightness[0, 63])) <= 3
    soft = gradient(picture)[:, :, 0]
    assert soft[32, 30:34].max() > 200
    assert soft[:, :24].max() == soft[:, 40:].max() == 0


def test_soft_edges_are_brighter_the_steeper_they_are_and_a_few_pixels_wide() -> None:
    peaks = []
    for step in (20, 60, 160):
        picture = np.full((96, 96, 3), 40, np.uint8)
        picture[48:] += np.uint8(step)
        line = gradient(picture)[:, 48, 0].astype(int)
        peaks.append(int(line.max()))
        assert 2 <= (line > line.max() / 2).sum() <= 5
    assert peaks == sorted(peaks)
    assert peaks[0] < peaks[2] - 30


def test_soft_edges_leave_grain_out() -> None:
    picture = np.full((128, 128, 3), 110, np.uint8)
    picture[:, 64:] = 170
    grainy = np.clip(picture + np.random.default_rng(0).normal(0, 8, picture.shape), 0, 255).astype(np.uint8)
    soft = gradient(grainy)[:, :, 0].astype(float)
    beside = np.delete(soft, slice(56, 72), axis=1)
    assert soft[8:-8, 60:68].max(axis=1).mean() > 6 * beside.mean()
    assert (canny(grainy, 20, 60)[:, :56] > 0).mean() > 0.05  # which plain edges do not


@pytest.mark.parametrize("spoil", [tile, blur, low_quality])
def test_spoilt_pictures_lose_detail_and_keep_their_colours(spoil: Callable[[Pixels], Pixels]) -> None:
    picture = astronaut()
    spoilt = spoil(picture)
    assert detail(spoilt) < 0.5 * detail(picture)
    wide = [cv2.resize(each, (8, 8), interpolation=cv2.INTER_AREA).astype(int) for each in (picture, spoilt)]
    assert np.abs(wide[0] - wide[1]).mean() < 6


def test_grey_pictures_have_no_colour_and_opencvs_luma() -> None:
    picture = astronaut()
    made = grey(picture)
    assert np.array_equal(made[:, :, 0], cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    assert np.ptp(made, axis=2).max() == 0


def test_a_very_large_picture_is_mapped_at_a_bounded_size() -> None:
    seen: list[tuple[int, int]] = []

    def detect(pixels: Pixels, detector: Detector, *, low: int, high: int) -> Pixels:
        seen.append((pixels.shape[1], pixels.shape[0]))
        return pixels

    made = control_map(np.zeros((2000, 6000, 3), np.uint8), Detector.HED, low=1, high=2, detect=detect)
    assert made.shape == (2000, 6000, 3)
    assert MOST_PIXELS * 0.99 < seen[0][0] * seen[0][1] <= MOST_PIXELS


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
    for kind in (ControlKind.CANNY, ControlKind.DEPTH):
        given = control(kind=kind, picture=picture, mode=ControlMode.AS_IS)
        assert np.array_equal(control_image(given, size=(64, 64)), picture.pixels)


def test_a_control_picture_is_seen_in_srgb() -> None:
    flat = Raster(pixels=np.full((16, 16, 3), (200, 60, 60), np.uint8), icc_profile=wide_profile())
    assert int(control_image(control(picture=flat, mode=ControlMode.AS_IS), size=(16, 16))[0, 0, 0]) > 205


def test_a_control_with_no_picture_at_all_is_refused() -> None:
    with pytest.raises(OperationError) as caught:
        control_image(control(), size=(16, 16))
    assert caught.value.code == "control_picture_missing"


def test_a_control_to_be_made_by_nothing_is_refused() -> None:
    with pytest.raises(OperationError) as caught:
        control_image(control(kind=ControlKind.DEPTH), size=(16, 16), own=scenery(16, 16))
    assert caught.value.code == "detector_missing"
    with pytest.raises(EngineError) as failed:
        control_image(control(kind=ControlKind.SOFT_EDGE, detector=Detector.HED), size=(16, 16), own=scenery(16, 16))
    assert failed.value.code == "weights_missing"


class Across:
    """Answers with how far to the right each pixel lies in what it was shown: 0..255 from edge to edge."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def __call__(self, pixels: Pixels, detector: Detector, *, low: int, high: int) -> Pixels:
        self.sizes.append((pixels.shape[1], pixels.shape[0]))
        line = np.linspace(0, 255, pixels.shape[1]).astype(np.uint8)
        return np.broadcast_to(line[None, :, None], pixels.shape).copy()


@pytest.mark.parametrize("given", ["control", "own"])
def test_depth_is_found_in_the_whole_picture_and_cut_out_where_the_model_sees_a_part(given: str) -> None:
    whole = Raster(pixels=scenery(100, 200))
    box = Box(left=100, top=0, right=150, bottom=50)
    across = Across()
    made = control_image(
        control(
            kind=ControlKind.DEPTH,
            detector=Detector.DEPTH_ANYTHING,
            picture=whole if given == "control" else None,
        ),
        size=(100, 100),
        own=None if given == "control" else whole.pixels[:50, 100:150],
        whole=None if given == "control" else whole,
        box=box,
        frame=(200, 100),
        detect=across,
    )
    assert across.sizes == [(400, 200)]  # the model sees each pixel as two, and so does the detector
    assert abs(int(made[0, 0, 0]) - 127) <= 2
    assert abs(int(made[0, -1, 0]) - 191) <= 2


def test_edges_are_found_in_the_part_that_the_model_sees_at_its_size() -> None:
    across = Across()
    made = control_image(
        control(kind=ControlKind.SOFT_EDGE, detector=Detector.HED, picture=Raster(pixels=scenery(100, 200))),
        size=(96, 64),
        box=Box(left=100, top=0, right=150, bottom=50),
        frame=(200, 100),
        detect=across,
    )
    assert across.sizes == [(96, 64)]
    assert (int(made[0, 0, 0]), int(made[0, -1, 0])) == (0, 255)


def test_a_tiny_part_of_a_huge_picture_is_cut_from_a_map_of_bounded_size() -> None:
    across = Across()
    control_image(
        control(kind=ControlKind.POSE, detector=Detector.VITPOSE, picture=Raster(pixels=scenery(100, 200))),
        size=(512, 512),
        box=Box(left=7000, top=100, right=7100, bottom=200),
        frame=(8000, 4000),
        detect=across,
    )
    assert MOST_PIXELS * 0.99 < across.sizes[0][0] * across.sizes[0][1] <= MOST_PIXELS


def test_depth_is_spread_over_all_greys_with_near_in_white() -> None:
    disparity = np.array([[2.0, 3.0], [4.0, 6.0]], np.float32)
    assert depth_picture(nearness(disparity))[:, :, 0].tolist() == [[0, 64], [128, 255]]
    metres = np.array([[1.0, 2.0], [4.0, 8.0]], np.float32)
    assert depth_picture(nearness(metres, metric=True))[0, 0, 0] == 255
    assert nearness(np.full((3, 3), 7.0, np.float32)).max() == 0
    with pytest.raises(EngineError) as caught:
        nearness(np.array([[1.0, np.nan]], np.float32))
    assert caught.value.code == "detector_failed"


def test_normals_are_blue_to_the_front_red_to_the_left_green_to_the_top() -> None:
    height = width = 128
    focal = width / 2 / np.tan(np.deg2rad(55) / 2)
    right = np.broadcast_to((np.arange(width) - 63.5)[None, :] / focal, (height, width))
    up = np.broadcast_to((63.5 - np.arange(height))[:, None] / focal, (height, width))
    with np.errstate(divide="ignore"):
        floor = np.where(up < 0, -0.6 / up, 8.0)
        walls = 0.9 / np.abs(right)
    depth = np.minimum(np.minimum(floor, walls), 8.0)
    room = normal_picture(nearness((1.0 / depth).astype(np.float32))).astype(int)
    faces = {
        (115, 64): (128, 255, 128),  # the floor
        (60, 8): (0, 128, 128),  # the left wall, which faces right
        (60, 119): (255, 128, 128),
        (50, 64): (128, 128, 255),  # the back
    }
    for place, colour in faces.items():
        assert np.abs(room[place] - colour).max() <= 6, place


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (40, 1)])
def test_normals_of_what_has_no_surface_face_the_viewer(shape: tuple[int, int]) -> None:
    assert np.array_equal(np.unique(normal_picture(np.zeros(shape, np.float32))), [128, 255])


def person(seed: int) -> list[tuple[float, float] | None]:
    places = np.random.default_rng(seed).uniform(0.05, 0.95, (POINTS, 2))
    return [None if index == seed + 3 else (float(x), float(y)) for index, (x, y) in enumerate(places)]


def test_skeletons_are_drawn_exactly_as_controlnet_aux_draws_them() -> None:
    from editing.diffusion.quiet import quiet_libraries

    with quiet_libraries(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from controlnet_aux.open_pose.body import Keypoint
        from controlnet_aux.open_pose.util import draw_bodypose

    people = [person(0), person(5)]
    theirs = np.zeros((512, 640, 3), np.uint8)
    for each in people:
        draw_bodypose(theirs, [None if point is None else Keypoint(*point) for point in each])
    ours = draw_skeletons(people, (640, 512))
    assert ours.any()
    assert np.array_equal(ours, theirs)


def test_skeletons_are_drawn_in_proportion_to_the_picture() -> None:
    share = [(draw_skeletons([person(1)], (side, side)) > 0).any(axis=2).mean() for side in (256, 1024)]
    assert 0.7 < share[0] / share[1] < 1.4
    assert draw_skeletons([], (33, 17)).shape == (17, 33, 3)
    assert draw_skeletons([person(1)], (1, 1)).shape == (1, 1, 3)


def test_cocos_points_become_openposes_with_the_neck_between_the_shoulders() -> None:
    names, wanted = COCO.split(), OPENPOSE.split()
    points = {name: (index / 20, index / 40) for index, name in enumerate(names)}
    points["neck"] = (5.5 / 20, 5.5 / 40)
    mapped = from_coco([points[name] for name in names])
    assert np.allclose(mapped, [points[name] for name in wanted])  # type: ignore[arg-type]
    assert from_coco([None, *mapped[1:17]])[0] is None
    assert from_coco([None] * 6 + [(0.5, 0.5)] + [None] * 10)[1] is None
