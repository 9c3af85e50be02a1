"""Membranes: harmonic between what is known, checked against a dense solver, and nothing else."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from editing import membranes
from editing.membranes import membrane

Field = npt.NDArray[np.float32]


def frame(height: int, width: int, ring: int = 1) -> npt.NDArray[np.bool_]:
    known = np.ones((height, width), bool)
    known[ring:-ring, ring:-ring] = False
    return known


def slope(height: int, width: int) -> Field:
    y, x = np.mgrid[:height, :width]
    return np.stack([0.7 * x - 0.4 * y + 30, 2.0 * y, -1.5 * x], axis=2).astype(np.float32)


def dense(values: Field, known: Field) -> Field:
    """The same equations, one row for each pixel, solved at once."""
    height, width = known.shape
    places = np.arange(height * width).reshape(height, width)
    matrix = np.eye(height * width)
    beyond = np.pad(places, 1, mode="edge")
    for beside in (beyond[1:-1, 2:], beyond[1:-1, :-2], beyond[2:, 1:-1], beyond[:-2, 1:-1]):
        np.subtract.at(matrix, (places.ravel(), beside.ravel()), (1.0 - known.ravel()) / 4.0)
    right = (known[:, :, None] * values).reshape(height * width, -1)
    return np.linalg.solve(matrix, right).reshape(values.shape).astype(np.float32)


def rough(height: int, width: int, seed: int) -> Field:
    return np.random.default_rng(seed).uniform(-100, 100, (height, width, 2)).astype(np.float32)


@pytest.mark.parametrize("shape", [(64, 64), (200, 131), (5, 300), (3, 3)])
def test_a_linear_field_is_reproduced_from_its_ring(shape: tuple[int, int]) -> None:
    field, known = slope(*shape), frame(*shape)
    ring_only = np.where(known[:, :, None], field, np.float32(np.nan))
    result = membrane(ring_only, known)
    assert np.abs(result - field).max() < 1e-3 * (field.max() - field.min())
    assert np.array_equal(result[known], field[known])


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_it_solves_laplaces_equation_for_any_mask(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    seed, share = data.draw(st.integers(0, 999)), data.draw(st.sampled_from([0.03, 0.3, 0.9]))
    known = np.random.default_rng(seed).random((height, width)) < share
    known[data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))] = True
    values = rough(height, width, seed)
    assert np.abs(membrane(values, known) - dense(values, known.astype(np.float32))).max() < 0.3  # of a range of 200


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), softness=st.sampled_from([0.01, 0.1, 0.5]))
def test_what_is_half_known_pulls_as_the_equation_says(seed: int, softness: float) -> None:
    drawn = np.random.default_rng(seed).random((11, 9))
    known = np.where(drawn < 0.5, 0.0, softness).astype(np.float32)
    known[0, 0] = 1.0
    values = rough(11, 9, seed)
    assert np.abs(membrane(values, known) - dense(values, known)).max() < 0.3


def test_large_holes_are_solved_too_and_not_only_approached() -> None:
    known = np.ones((400, 500), bool)
    known[20:380, 100:] = False
    values = rough(400, 500, 1)
    result = membrane(values, known)
    padded = np.pad(result, ((1, 1), (1, 1), (0, 0)), mode="edge")
    mean = (padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]) / 4
    assert np.abs(result - mean)[~known].max() < 0.02


def test_half_a_picture_goes_on_with_its_borders_mean() -> None:
    known = np.zeros((64, 256), bool)
    known[:, :8] = True
    values = rough(64, 256, 3)
    far = membrane(values, known)[:, -1]
    assert np.abs(far - values[:, 7].mean(axis=0)).max() < 1.0


@pytest.mark.parametrize("seed", range(5))
def test_nothing_lies_outside_the_range_of_what_is_known(seed: int) -> None:
    known = np.random.default_rng(seed).random((70, 90)) < 0.05
    values = rough(70, 90, seed)
    result = membrane(values, known)
    assert (result >= values[known].min(axis=0)).all()
    assert (result <= values[known].max(axis=0)).all()


def test_a_constant_goes_on_exactly() -> None:
    known = np.random.default_rng(0).random((61, 47)) < 0.1
    values = np.full((61, 47, 3), (1.5, -7.25, 200.125), np.float32)
    assert np.array_equal(membrane(values, known), values)


def test_a_smoothed_ramp_stays_a_ramp_across_what_is_unknown() -> None:
    known = np.full((96, 96), 0.03, np.float32)
    known[30:60, 30:60] = 0.0
    field = slope(96, 96)
    assert np.abs(membrane(field, known) - field)[30:60, 30:60].max() < 0.2


def test_with_nothing_known_it_is_zero_and_with_all_known_it_is_the_values() -> None:
    values = rough(9, 7, 0)
    assert not membrane(values, np.zeros((9, 7), bool)).any()
    assert np.array_equal(membrane(values, np.ones((9, 7), np.float32)), values)


def test_it_ends_well_before_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    cycles: list[int] = []
    original = membranes._cycle

    def counting(residual: Field, pulls: list[Field], level: int) -> Field:
        cycles.append(level)
        return original(residual, pulls, level)

    monkeypatch.setattr(membranes, "_cycle", counting)
    known = np.zeros((300, 300), bool)
    known[150] = True
    membrane(rough(300, 300, 0)[:, :, :1], known)
    assert 0 < cycles.count(0) <= 16
