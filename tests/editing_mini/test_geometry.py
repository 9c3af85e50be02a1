"""A drawing's depth and normals: near is white, and surfaces face where they face."""

import numpy as np
import pytest

from editing.mini.drawing import COLOURS, KINDS, Shape, draw
from editing.mini.geometry import coverage, depth_map, normal_map


def a_shape(kind="circle", x=64.0, y=64.0, radius=30.0):
    return Shape(kind=kind, colour="red", rgb=COLOURS["red"], x=x, y=y, radius=radius)


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_are_nearer_than_the_ground_and_later_ones_nearer_still(kind):
    depth = depth_map((160, 96), [a_shape(kind, x=40, y=48), a_shape(kind, x=120, y=48)])[..., 0].astype(int)
    assert depth.shape == (96, 160)
    assert depth[48, 120] > depth[48, 40] > depth[95, 80] > depth[0, 80]


def test_the_ground_comes_nearer_without_a_step():
    depth = depth_map((32, 128), [])[:, 0, 0].astype(int)
    assert (np.diff(depth) >= 0).all()
    assert np.diff(depth).max() <= 1


def test_normals_are_red_to_the_left_green_to_the_top_and_blue_to_the_front():
    normals = normal_map((128, 128), [a_shape()]).astype(int)
    left, right = normals[64, 36], normals[64, 91]
    top, bottom = normals[36, 64], normals[91, 64]
    assert left[0] > 160
    assert right[0] < 95
    assert top[1] > 160
    assert bottom[1] < 95
    assert abs(normals[64, 64, :2] - 128).max() < 12
    assert normals[64, 64, 2] > 250


def test_normals_have_length_one():
    drawing = draw(np.random.default_rng(2), 144, 112, anywhere=True)
    vectors = normal_map((144, 112), drawing.shapes) / 127.5 - 1
    assert np.abs(np.linalg.norm(vectors, axis=-1) - 1).max() < 0.02


def test_coverage_is_where_shapes_are_drawn():
    drawing = draw(np.random.default_rng(3), 128, 128, background="sky")
    covered = coverage((128, 128), drawing.shapes)
    changed = (drawing.pixels != drawing.clean).any(-1)
    assert covered.max() == 1
    assert not (changed & (covered == 0)).any()
