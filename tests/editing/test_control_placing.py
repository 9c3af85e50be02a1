"""Where control images lie: under the part that the model sees, whatever the size of what they are taken from."""

from typing import Any

import numpy as np
import pytest

from editing import edits
from editing.boxes import Box
from editing.catalogue import find
from editing.controls import control_image
from editing.diffusion.rooms import Run
from editing.edits import Outcome
from editing.guides import Control, ControlKind, ControlMode, Detector, Guides
from editing.operations import Generate, Inpaint, Outpaint
from editing.placement import Placement
from editing.rasters import Pixels, Raster
from tests.editing.pictures import box_mask, sampling, scenery

NAME = "FLUX.1-dev"


def across(width: int, height: int) -> Raster:
    """A picture that says of each pixel how far to the right and how far down its middle lies."""
    x, y = ((np.arange(side) + 0.5) * 255 / side for side in (width, height))
    planes = (
        np.broadcast_to(x, (height, width)),
        np.broadcast_to(y[:, None], (height, width)),
        np.zeros((height, width)),
    )
    return Raster(pixels=np.rint(np.stack(planes, axis=2)).astype(np.uint8))


def depth(picture: Raster | None, mode: ControlMode = ControlMode.AS_IS) -> Guides:
    return Guides(
        controls=(
            Control(
                kind=ControlKind.DEPTH,
                checkpoint="any",
                picture=picture,
                mode=mode,
                detector=Detector.DEPTH_ANYTHING,
            ),
        )
    )


def paint(run: Run) -> Pixels:
    return np.zeros((run.size[1], run.size[0], 3), np.uint8) if run.pixels is None else run.pixels


def masked(operation: Any, detect: Any = None) -> Outcome:
    return edits.masked(operation, find(NAME), paint, detect, lambda _runs: None)


def shift(image: Pixels, box: tuple[int, int, int, int], frame: tuple[int, int]) -> float:
    """How far, in pixels of the frame, the middle of a control image lies from where it should, at worst."""
    middle = image[image.shape[0] // 4 : -image.shape[0] // 4, image.shape[1] // 4 : -image.shape[1] // 4]
    found = middle.reshape(-1, 3).mean(axis=0)[:2] / 255 * frame
    wanted = np.array([box[0] + box[2], box[1] + box[3]]) / 2
    return float(np.abs(found - wanted).max())


@pytest.mark.parametrize("size", [(64, 48), (500, 375), (2000, 1500), (3001, 2251)])
def test_a_map_of_another_size_lies_where_it_should_to_half_a_grey_level(size: tuple[int, int]) -> None:
    picture = Raster(pixels=scenery(1500, 2000))
    for left, top in ((777, 333), (780, 350), (1203, 911)):
        operation = Inpaint(
            prompt="sand",
            picture=picture,
            mask=box_mask(1500, 2000, (left, top, left + 120, top + 90)),
            sampling=sampling(),
            checkpoint=NAME,
            guides=depth(across(*size)),
        )
        outcome = masked(operation)
        (image,), (each,) = outcome.control_images, outcome.passes
        assert shift(image, each.box, picture.size) < 0.5 * 2000 / 255 + 0.5


def test_each_pass_of_an_outpaint_is_given_its_own_part_of_the_map() -> None:
    picture = Raster(pixels=scenery(200, 260))
    placement = Placement.from_margins(picture.size, top=150, right=900, bottom=40, left=700)
    operation = Outpaint(
        prompt="sand",
        picture=picture,
        placement=placement,
        sampling=sampling(),
        checkpoint=NAME,
        guides=depth(across(186, 39)),
    )
    outcome = masked(operation)
    assert len(outcome.passes) > 2
    for image, each in zip(outcome.control_images, outcome.passes, strict=True):
        assert (image.shape[1], image.shape[0]) == each.size
        assert shift(image, each.box, (placement.width, placement.height)) < 4.0


def test_a_box_at_the_end_of_a_picture_of_any_size_is_cut() -> None:
    random = np.random.default_rng(5)
    for _ in range(200):
        width, height, frame_width, frame_height = (int(each) for each in random.integers(1, 90, 4))
        left, top = int(random.integers(0, frame_width)), int(random.integers(0, frame_height))
        given = Control(kind=ControlKind.TILE, checkpoint="any", picture=across(width, height), mode=ControlMode.AS_IS)
        box = Box(left=left, top=top, right=frame_width, bottom=frame_height)
        made = control_image(given, size=(32, 16), box=box, frame=(frame_width, frame_height))
        assert made.shape == (16, 32, 3)


@pytest.mark.parametrize("own", [True, False])
def test_depth_of_an_edit_is_found_in_the_whole_picture_its_own_or_another(own: bool) -> None:
    picture = across(2000, 1500)
    seen: list[tuple[int, int]] = []

    def detect(pixels: Pixels, _detector: Detector, **_thresholds: int) -> Pixels:
        seen.append((pixels.shape[1], pixels.shape[0]))
        return pixels

    common: Any = {
        "prompt": "sand",
        "picture": picture,
        "sampling": sampling(),
        "checkpoint": NAME,
        "guides": depth(None if own else picture, ControlMode.PREPROCESS),
    }
    outcome = masked(Inpaint(mask=box_mask(1500, 2000, (777, 333, 900, 420)), **common), detect)
    assert seen == [picture.size]
    assert shift(outcome.control_images[0], outcome.passes[0].box, picture.size) < 4.0


def test_all_passes_of_an_outpaint_follow_the_depth_of_one_canvas() -> None:
    picture = Raster(pixels=scenery(200, 260))
    placement = Placement.from_margins(picture.size, top=0, right=900, bottom=0, left=700)
    seen: list[float] = []

    def detect(pixels: Pixels, _detector: Detector, **_thresholds: int) -> Pixels:
        seen.append(pixels.shape[1] / pixels.shape[0])
        return pixels

    operation = Outpaint(
        prompt="sand",
        picture=picture,
        placement=placement,
        sampling=sampling(),
        checkpoint=NAME,
        guides=depth(None, ControlMode.PREPROCESS),
    )
    assert len(masked(operation, detect).passes) > 2
    assert min(seen) > 5.0  # the canvas is 9 times as wide as high; no pass sees a part more than 4 times


@pytest.mark.parametrize(("kind", "level"), [(ControlKind.TILE, 200), (ControlKind.DEPTH, 200), (ControlKind.POSE, 0)])
def test_a_map_goes_on_into_the_margin_of_an_odd_size_where_black_would_say_something(
    kind: ControlKind, level: int
) -> None:
    flat = Raster(pixels=np.full((70, 100, 3), 200, np.uint8))
    given = Control(kind=kind, checkpoint="any", picture=flat, mode=ControlMode.AS_IS)
    operation = Generate(
        prompt="sand", width=100, height=70, sampling=sampling(), checkpoint=NAME, guides=Guides(controls=(given,))
    )
    made = edits.generate(operation, find(NAME), paint, lambda pixels, *_other, **_thresholds: pixels)
    (image,) = made.control_images
    assert image.shape == (80, 112, 3)
    assert (image[5:75, 6:106] == 200).all()
    assert (image[[0, -1]] == level).all()
    assert (image[:, [0, -1]] == level).all()
