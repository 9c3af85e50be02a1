"""What the seam score sees, and what it takes for the picture's own."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage

from editing import seams
from editing.rasters import Mask, Pixels
from editing.seams import SEAM_REACH, SEAM_WIDTH, Seam, border_step, measure_seam, measure_seams
from tests.editing.pictures import box_mask, noise, scenery

SIDE = 200
BOX = box_mask(SIDE, SIDE, (50, 60, 140, 150))


def lightness(plane: np.ndarray) -> Pixels:
    """A grey picture of that CIE lightness."""
    lab = np.zeros((*plane.shape, 3), np.float32)
    lab[:, :, 0] = plane
    return np.rint(np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1) * 255).astype(np.uint8)


def photograph() -> Pixels:
    picture = cv2.imread(str(Path(skimage.__file__).parent / "data" / "coffee.png"))
    assert picture is not None
    return np.ascontiguousarray(picture[:, :, ::-1])


def feathered(mask: Mask, pixels: int) -> np.ndarray:
    inside = cv2.distanceTransform((mask > 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.clip(inside / pixels, 0, 1)


def found(pixels: Pixels, mask: Mask) -> Seam:
    seam = measure_seam(pixels, mask)
    assert seam is not None
    return seam


@pytest.mark.parametrize("step", [3.0, 10.0, 30.0])
def test_a_hard_edge_in_a_flat_picture_scores_its_step(step: float) -> None:
    seam = found(lightness(50 + step * BOX), BOX)
    assert seam.score == pytest.approx(step, abs=0.4)  # to 8 bits and back
    assert seam.border_de == seam.score
    assert seam.own_de < 0.01
    assert seam.length == 4 * 90 + 4


def test_a_perfect_continuation_scores_about_one_or_less() -> None:
    y, x = np.mgrid[:SIDE, :SIDE]
    for picture in (lightness(np.full((SIDE, SIDE), 40.0)), lightness(10 + 0.4 * x), lightness(20 + 0.2 * x + 0.2 * y)):
        assert found(picture, BOX).score < 1.1


def test_the_pictures_own_step_is_measured_over_the_same_distance() -> None:
    x = np.mgrid[:SIDE, :SIDE][1]
    seam = found(lightness(10 + 0.4 * x), box_mask(SIDE, SIDE, (100, 0, SIDE, SIDE)))
    assert seam.own_de == pytest.approx(seam.border_de, rel=0.03)
    assert border_step(lightness(10 + 0.4 * x), box_mask(SIDE, SIDE, (100, 0, SIDE, SIDE)), 5) == pytest.approx(
        2.0, rel=0.03
    )


def test_a_photograph_that_nobody_edited_scores_about_one() -> None:
    picture = photograph()
    scores = []
    for number in range(12):
        mask = np.zeros(picture.shape[:2], np.float32)
        cv2.circle(mask, (100 + 35 * number, 120 + 14 * number), 40 + 4 * number, 1, -1)
        scores.append(found(picture, mask).score)
    assert 0.7 < float(np.median(scores)) < 1.4
    assert max(scores) < 2.5


def test_grain_is_no_step() -> None:
    assert found(noise(SIDE, SIDE), BOX).score < 1.5
    assert border_step(noise(SIDE, SIDE), BOX, 12) < border_step(noise(SIDE, SIDE), BOX, 3)


def test_a_soft_edge_does_not_hide_a_patch() -> None:
    for width, least in ((8, 5.0), (16, 3.0), (32, 1.6)):
        soft = lightness(50 + 10 * feathered(BOX, width))
        assert found(soft, BOX).score > least
        assert border_step(soft, BOX, SEAM_WIDTH) < 3.2  # what the narrow band alone would have seen


def test_the_same_step_counts_less_where_the_picture_steps_itself() -> None:
    picture = scenery(SIDE, SIDE)
    darker = np.where(BOX[:, :, None] > 0, np.maximum(picture, 20) - 20, picture).astype(np.uint8)
    busy, flat = (
        found(darker, BOX),
        found(np.where(BOX[:, :, None] > 0, np.uint8(100), np.uint8(120)) * np.ones((1, 1, 3), np.uint8), BOX),
    )
    assert busy.own_de > flat.own_de
    assert 1.2 < busy.score < flat.score


def test_soft_mask_values_count_as_painted() -> None:
    picture = lightness(50 + 10 * BOX)
    assert measure_seam(picture, (BOX * np.float32(0.2)).astype(np.float32)) == measure_seam(picture, BOX)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_without_a_border_there_is_no_seam(value: float) -> None:
    mask = np.full((40, 50), value, np.float32)
    assert measure_seam(noise(40, 50), mask) is None
    assert border_step(noise(40, 50), mask) == 0.0


def test_a_mask_at_the_pictures_rim_has_a_border_only_inside() -> None:
    mask = box_mask(SIDE, SIDE, (120, 0, SIDE, SIDE))
    seam = found(lightness(50 + 10 * mask), mask)
    assert seam.length == SIDE
    assert seam.score == pytest.approx(10, rel=0.05)


def test_a_checkerboard_one_pixel_and_islands_are_measured() -> None:
    checks = (np.indices((60, 60)).sum(axis=0) % 2).astype(np.float32)
    assert found(lightness(50 + 10 * checks), checks).border_de == pytest.approx(10, rel=0.1)
    one = np.zeros((60, 60), np.float32)
    one[0, 30] = 1.0
    assert found(lightness(50 + 10 * one), one).length == 5
    islands = np.zeros((200, 200), np.float32)
    islands[3::7, 3::7] = 1.0
    assert found(lightness(50 + 10 * islands), islands).border_de == pytest.approx(10, rel=0.1)


def test_how_the_picture_is_cut_into_tiles_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, mask = photograph(), np.zeros((400, 600), np.float32)
    cv2.circle(mask, (250, 180), 120, 1, -1)
    mask[300:303, 500:580] = 0.5
    whole = found(picture, mask)
    for tile in (64, 100):
        monkeypatch.setattr(seams, "TILE", tile)
        again = found(picture, mask)
        assert again.length == whole.length
        assert again.score == pytest.approx(whole.score, abs=1e-4)
        assert again.own_de == pytest.approx(whole.own_de, abs=1e-4)


def test_what_lies_beyond_its_reach_is_not_read() -> None:
    picture, mask = photograph(), box_mask(400, 600, (200, 150, 330, 260))
    near = (slice(150 - SEAM_REACH, 260 + SEAM_REACH), slice(200 - SEAM_REACH, 330 + SEAM_REACH))
    other = noise(400, 600)
    other[near] = picture[near]
    assert measure_seam(other, mask) == measure_seam(picture, mask)


def stepped(step: float, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey, with a hard step in lightness at the middle; painted on the right."""
    lab = np.full((length, 80, 3), (50, 0, 0), np.float32)
    lab[:, 40:, 0] += step
    pixels = np.clip(np.rint(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * 255), 0, 255).astype(np.uint8)
    return pixels, box_mask(length, 80, (40, 0, 80, length))


def test_borders_of_several_parts_are_measured_as_one() -> None:
    short, long = stepped(12, 100), stepped(4, 300)
    both = measure_seams([short, long])
    assert both.length == 400
    assert both.border_de == pytest.approx((12 * 100 + 4 * 300) / 400, abs=0.4)
    assert measure_seams([short]) == measure_seam(*short)
    kept = (short[0], np.zeros_like(short[1]))
    assert measure_seams([short, kept]) == measure_seam(*short)
    assert measure_seams([kept]) is None
    assert measure_seams([]) is None


def test_a_floor_keeps_small_steps_in_flat_pictures_small() -> None:
    seam = measure_seam(*stepped(0.8, 60))
    assert seam.own_de < 0.1
    assert seam.score == pytest.approx(seam.border_de)
