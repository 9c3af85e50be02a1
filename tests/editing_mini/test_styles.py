"""The LoRAs' styles, and the judge that reads them."""

import numpy as np
import pytest

from editing.mini.drawing import BACKGROUNDS, draw
from editing.mini.geometry import coverage
from editing.mini.style_judge import neon_kinds, striped_share
from editing.mini.styles import STYLES, neon, stripes


def scenes(count):
    for seed in range(count):
        yield draw(np.random.default_rng([8, seed]), 128, 128, background=list(BACKGROUNDS)[seed % 6])


def test_neon_is_read_as_the_shapes_it_draws():
    read = [neon_kinds(neon(scene)) == [shape.kind for shape in scene.shapes] for scene in scenes(40)]
    assert np.mean(read) >= 0.8


def test_a_plain_drawing_is_no_neon():
    assert [neon_kinds(scene.pixels) for scene in scenes(40)] == [None] * 40


def test_an_empty_night_is_no_neon():
    assert neon_kinds(np.full((128, 128, 3), 20, np.uint8)) is None


def test_stripes_are_told_from_plain_shapes():
    for scene in scenes(20):
        covered = coverage((128, 128), scene.shapes) > 0.9
        assert striped_share(stripes(scene), covered) == 1.0
        assert striped_share(scene.pixels, covered) <= 0.2
    assert striped_share(scene.pixels, np.zeros((128, 128), bool)) == 0.0


@pytest.mark.parametrize("name", STYLES)
def test_a_style_leaves_the_drawing_it_draws(name):
    scene = draw(np.random.default_rng(1), 160, 96)
    before = scene.pixels.copy(), scene.clean.copy()
    drawn = STYLES[name](scene)
    assert drawn.shape == scene.pixels.shape
    assert drawn.dtype == np.uint8
    assert np.array_equal(scene.pixels, before[0])
    assert np.array_equal(scene.clean, before[1])
    assert not np.array_equal(drawn, scene.pixels)


def test_stripes_leave_the_ground():
    scene = draw(np.random.default_rng(1), 128, 128, background="sand")
    outside = coverage((128, 128), scene.shapes) == 0
    assert np.array_equal(stripes(scene)[outside], scene.pixels[outside])
