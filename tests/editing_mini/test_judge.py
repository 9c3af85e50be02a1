"""The judge judged: right on drawings with their captions, wrong with any other."""

import cv2
import numpy as np
import pytest

from editing.mini import judge
from editing.mini.drawing import BACKGROUNDS, COLOURS, KINDS, PHOTO, Shape, draw, draw_background, draw_shapes


def words(drawing):
    return [(shape.colour, shape.kind) for shape in drawing.shapes]


def drawn(kind, colour, background="grey", *, size=128, radius=34.0):
    ground = draw_background(np.random.default_rng(1), background, size, size)
    return draw_shapes(ground, [Shape(kind=kind, colour=colour, x=66.0, y=62.0, radius=radius, rgb=COLOURS[colour])])


@pytest.mark.parametrize("seed", range(12))
def test_a_drawing_is_right_by_its_own_caption_even_when_soft(seed):
    drawing = draw(np.random.default_rng(seed), 128, 128, background=list(BACKGROUNDS)[seed % 6])
    soft = cv2.GaussianBlur(drawing.pixels, (0, 0), 1.2)
    assert judge.shows(drawing.pixels, words(drawing), drawing.background)
    assert judge.shows(soft, words(drawing), drawing.background)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("colour", COLOURS)
def test_another_kind_or_colour_is_wrong(kind, colour):
    picture = drawn(kind, colour)
    assert judge.shows(picture, [(colour, kind)], "grey")
    others = {name for name in KINDS if name != kind}
    assert not any(judge.shows(picture, [(colour, other)], "grey") for other in others)
    assert not judge.shows(picture, [("red" if colour != "red" else "blue", kind)], "grey")


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_another_background_is_wrong(background):
    picture = drawn("circle", "red", background)
    assert [name for name in BACKGROUNDS if judge.shows(picture, [("red", "circle")], name)] == [background]


def test_a_missing_a_second_and_a_swapped_shape_are_wrong():
    drawing = draw(np.random.default_rng(4), 128, 128, shapes=2, background="sky")
    pair = words(drawing)
    assert judge.shows(drawing.pixels, pair, "sky")
    assert not judge.shows(drawing.clean, pair, "sky")
    assert not judge.shows(drawing.pixels, pair[:1], "sky")
    assert not judge.shows(drawing.pixels, pair[::-1], "sky")


def test_a_blob_is_no_shape():
    blob = draw_background(np.random.default_rng(2), "pink", 128, 128)
    cv2.ellipse(blob, (50, 60), (40, 14), 30, 0, 360, COLOURS["blue"], -1)
    cv2.ellipse(blob, (70, 60), (12, 40), 20, 0, 360, COLOURS["blue"], -1)
    assert [patch.kind for patch in judge.read_shapes(blob, "pink")] == ["unclear"]


def test_on_a_photograph_only_the_shape_counts():
    noise = draw_background(np.random.default_rng(6), PHOTO, 128, 128)
    star = Shape(kind="star", colour="yellow", x=60.0, y=60.0, radius=40.0, rgb=COLOURS["yellow"])
    assert judge.shows(draw_shapes(noise, [star]), [("yellow", "star")], PHOTO)
    assert not judge.shows(noise, [("yellow", "star")], PHOTO)


def test_an_erasure_is_clean_only_if_nothing_is_left():
    drawing = draw(np.random.default_rng(3), 128, 128, shapes=1, background="sand")
    mask = (drawing.pixels != drawing.clean).any(-1)
    assert judge.is_clean(drawing.clean, drawing.clean, mask)
    assert not judge.is_clean(drawing.pixels, drawing.clean, mask)


def test_the_border_difference_is_the_step_in_colour():
    picture = np.full((96, 96, 3), BACKGROUNDS["grey"], np.uint8)
    whole = (16, 16, 80, 80)
    assert judge.border_difference(picture, whole) == pytest.approx(0.0, abs=1e-4)
    picture[:16] = BACKGROUNDS["night"]
    distance = np.linalg.norm(judge.lab_of(BACKGROUNDS["grey"]) - judge.lab_of(BACKGROUNDS["night"]))
    assert judge.border_difference(picture, whole) == pytest.approx(distance / 4, rel=1e-3)
    assert judge.border_difference(picture, (0, 0, 96, 96)) == 0.0


def test_edges_score_one_for_the_same_picture_and_little_for_another():
    one, other = drawn("circle", "red"), drawn("square", "red", radius=14.0)
    assert judge.edge_f1(one, judge.canny(one)) == 1.0
    assert judge.edge_f1(np.roll(one, 2, axis=1), judge.canny(one)) > 0.9
    assert judge.edge_f1(other, judge.canny(one)) < 0.3
