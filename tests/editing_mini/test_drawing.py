"""The drawings: named by their seeds, true to their captions."""

import numpy as np
import pytest

from editing.mini.drawing import BACKGROUNDS, COLOURS, KINDS, PHOTO, Shape, draw, draw_background, draw_shapes, outline
from editing.mini.photographs import NAMES, photographs


def a_shape(kind="circle", colour="red", **places):
    return Shape(kind=kind, colour=colour, rgb=COLOURS[colour], **{"x": 40.0, "y": 50.0, "radius": 20.0, **places})


def test_a_seed_names_a_picture():
    once, again = (draw(np.random.default_rng(7), 144, 112) for _ in range(2))
    assert np.array_equal(once.pixels, again.pixels)
    assert once.caption == again.caption
    assert not np.array_equal(once.pixels, draw(np.random.default_rng(8), 144, 112).pixels)


@pytest.mark.parametrize("size", [(64, 64), (128, 128), (96, 160), (160, 96)])
@pytest.mark.parametrize("seed", range(6))
def test_shapes_lie_inside_and_from_left_to_right(size, seed):
    drawing = draw(np.random.default_rng(seed), *size)
    assert drawing.pixels.shape == (size[1], size[0], 3)
    for shape in drawing.shapes:
        corners = outline(shape)
        assert corners.min() >= 0
        assert (corners.max(0) <= size).all()
    assert [shape.x for shape in drawing.shapes] == sorted(shape.x for shape in drawing.shapes)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_not_under_a_shape_is_the_clean_background(seed):
    drawing = draw(np.random.default_rng(seed), 128, 128)
    changed = (drawing.pixels != drawing.clean).any(-1)
    rows, columns = np.mgrid[:128, :128]
    near = np.zeros((128, 128), bool)
    for shape in drawing.shapes:
        near |= np.maximum(abs(rows - shape.y), abs(columns - shape.x)) <= shape.radius + 2
    assert changed.any()
    assert not (changed & ~near).any()


def test_captions_read_as_people_write():
    two = (a_shape("star", "blue"), a_shape("square", "orange"))
    drawing = draw(np.random.default_rng(0), 64, 64, background="grass")
    assert drawing.caption.endswith(" on a grass background")
    assert two[0].phrase == "a blue star"
    assert two[1].phrase == "an orange square"


def test_drawing_leaves_the_picture_it_draws_on():
    ground = draw_background(np.random.default_rng(1), "sand", 64, 64)
    before = ground.copy()
    drawn = draw_shapes(ground, [a_shape(radius=10.0, x=30.0, y=30.0)])
    assert np.array_equal(ground, before)
    assert tuple(drawn[30, 30]) == COLOURS["red"]


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_every_background_keeps_its_colour_in_every_style(name):
    rng = np.random.default_rng(3)
    for _ in range(8):
        mean = draw_background(rng, name, 48, 48).reshape(-1, 3).mean(0)
        assert np.abs(mean - BACKGROUNDS[name]).max() < 16


def test_a_photo_background_is_cut_from_the_photographs_or_noise():
    white = np.full((90, 200, 3), 255, np.uint8)
    cut = draw_background(np.random.default_rng(0), PHOTO, 64, 64, [white])
    assert (cut == 255).all()
    noise = draw_background(np.random.default_rng(0), PHOTO, 64, 64)
    assert noise.std() > 10


def test_every_photograph_is_in_the_wheel_of_scikit_image():
    pictures = photographs()
    assert len(pictures) == len(NAMES)
    assert all(picture.dtype == np.uint8 and min(picture.shape[:2]) >= 128 for picture in pictures)


def test_kinds_and_colours_are_all_drawn():
    rng = np.random.default_rng(5)
    shapes = [shape for _ in range(120) for shape in draw(rng, 64, 64, background="sky").shapes]
    assert {shape.kind for shape in shapes} == set(KINDS)
    assert {shape.colour for shape in shapes} == set(COLOURS)
