"""Membranes: carry values that are known in some places smoothly over all others.

A membrane is the smoothest field through what is known (Laplace's equation between, u = the mean of its four
neighbours). The picture's own rim is a natural border: it pulls nowhere. It is solved by conjugate gradients, each
step of which asks a multigrid cycle (Briggs, Henson and McCormick, A Multigrid Tutorial, 2000) for its direction; the
start is a push-pull pyramid (Gortler and others, The Lumigraph, 1996), relaxed on every level. The cost is that of the
box round the places that are not known.
"""

import math

import cv2
import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
"""float32 (h, w)."""

TOLERANCE = 3e-4
"""Iteration ends when it changes no value by more than this share of the known values' range."""
MOST_CYCLES = 40
"""About eight are usual; the bound is for what rounding keeps from the tolerance."""
_SWEEPS = 2
_COARSEST_SWEEPS = 8
_DAMPING = np.float32(0.8)
_RIGID = np.float32(1e6)
# What a wholly known pixel weighs on the coarser grids: a cell that holds one is nearly known, but not wholly.
_RIGID_BELOW = np.float32(1.0)
_NEIGHBOURS = np.array([[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]], dtype=np.float32)


def membrane(values: npt.NDArray[np.float32], known: npt.NDArray[np.float32] | npt.NDArray[np.bool_]) -> Field:
    """Spread known values smoothly over a picture.

    Args:
        values: float32 (h, w, c); read only where `known` is above 0.
        known: bool or float32 (h, w), 0..1. Where it is 1 the value stands; where it is 0 it is interpolated. Between,
            k pulls: u = k * value + (1 - k) * mean of the four neighbours, which smooths the values over about
            sqrt((1 - k) / 4k) pixels. Such a smoothed field passes on the slope of what it smooths.

    Returns:
        float32 (h, w, c), within the range of the known values of its plane; zeros if nothing is known.
    """
    held = np.clip(np.asarray(known, dtype=np.float32), 0.0, 1.0)
    if not held.any():
        return np.zeros(values.shape, dtype=np.float32)
    result = np.where(held[:, :, None] > 0.0, values, np.float32(0.0)).astype(np.float32)
    rows, columns = _box_round(held < 1.0)
    part = np.ascontiguousarray(held[rows, columns])
    if part.size and float(part.min()) < 1.0:
        pulls = _pulls(part)
        for plane in range(values.shape[2]):
            result[rows, columns, plane] = _solved(np.ascontiguousarray(result[rows, columns, plane]), part, pulls)
    return result


def _box_round(unknown: npt.NDArray[np.bool_]) -> tuple[slice, slice]:
    """Find what is to be solved, with the one pixel round it that decides it."""
    rows, columns = np.flatnonzero(unknown.any(axis=1)), np.flatnonzero(unknown.any(axis=0))
    if not rows.size:
        return slice(0, 0), slice(0, 0)
    return slice(max(0, int(rows[0]) - 1), int(rows[-1]) + 2), slice(max(0, int(columns[0]) - 1), int(columns[-1]) + 2)


def _solved(values: Field, held: Field, pulls: list[Field]) -> Field:
    """Solve one plane: (1 + pull) u - mean of neighbours = pull * value, wherever `held` is below 1."""
    lowest, highest = float(values[held > 0.0].min()), float(values[held > 0.0].max())
    if lowest == highest:
        return np.full_like(values, lowest)
    free = (held < 1.0).astype(np.float32)
    pull = pulls[0] * free
    weight = np.float32(1.0) + pull
    field = _start(values, held)
    residual = (pull * values - weight * field + _mean(field)) * free
    direction, energy = np.zeros_like(field), math.inf
    for _ in range(MOST_CYCLES):
        correction = _cycle(residual, pulls, 0) * free
        before, energy = energy, _dot(correction, residual)
        direction = correction + np.float32(energy / before) * direction
        bent = (weight * direction - _mean(direction)) * free
        stiffness = _dot(direction, bent)
        if energy <= 0.0 or stiffness <= 0.0:
            break
        step = np.float32(energy / stiffness)
        field += step * direction
        residual -= step * bent
        if float(step * np.abs(direction).max()) <= TOLERANCE * (highest - lowest):
            break
    return np.asarray(np.where(free > 0.0, np.clip(field, lowest, highest), values), dtype=np.float32)


def _start(values: Field, held: Field) -> Field:
    """Average what is known on ever coarser grids, then fill from there, relaxing on the way back."""
    if max(held.shape) == 1:
        return values
    weight = _halved(held)
    coarse = np.asarray(_halved(held * values) / np.maximum(weight, np.float32(1e-20)), dtype=np.float32)
    coarse_held = np.asarray(np.minimum(np.float32(4.0) * weight, 1.0), dtype=np.float32)
    filled = _doubled(_start(coarse, coarse_held), held.shape)
    given, open_share = held * values, np.float32(1.0) - held
    field = given + open_share * filled
    for _ in range(_SWEEPS):
        field = given + open_share * _mean(field)
    return np.asarray(field, dtype=np.float32)


def _pulls(held: Field) -> list[Field]:
    """How strongly each pixel is held to its value, on every grid from the finest on."""
    pull = np.minimum(held / np.maximum(np.float32(1.0) - held, np.float32(1e-7)), _RIGID)
    grids = [pull]
    pull = np.minimum(pull, _RIGID_BELOW)
    while max(pull.shape) > 2:  # noqa: PLR2004 - two by two is solved by sweeps
        # The spacing doubles, so that the same pull weighs four times as much against the neighbours.
        pull = np.float32(4.0) * _halved(pull)
        grids.append(pull)
    return grids


def _cycle(residual: Field, pulls: list[Field], level: int) -> Field:
    """Solve approximately for the correction that a residual asks for: one V-cycle, damped Jacobi sweeps."""
    weight = np.float32(1.0) + pulls[level]
    relax = _DAMPING / weight
    last = level == len(pulls) - 1
    field = relax * residual
    for _ in range(_COARSEST_SWEEPS if last else _SWEEPS - 1):
        field += relax * (residual + _mean(field) - weight * field)
    if last:
        return field
    left = residual + _mean(field) - weight * field
    field += _doubled(_cycle(np.float32(4.0) * _halved(left), pulls, level + 1), field.shape)
    for _ in range(_SWEEPS):
        field += relax * (residual + _mean(field) - weight * field)
    return field


def _mean(field: Field) -> Field:
    """Return the mean of each pixel's four neighbours; beyond the rim a pixel is its own neighbour."""
    return np.asarray(cv2.filter2D(field, -1, _NEIGHBOURS, borderType=cv2.BORDER_REPLICATE), dtype=np.float32)


def _halved(field: Field) -> Field:
    height, width = field.shape
    size = ((width + 1) // 2, (height + 1) // 2)
    return np.asarray(cv2.resize(field, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _doubled(field: Field, shape: tuple[int, ...]) -> Field:
    return np.asarray(cv2.resize(field, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _dot(one: Field, other: Field) -> float:
    # not numpy.vdot: what BLAS sums, and so the last bits, would depend on its number of threads
    return float(np.sum(one * other, dtype=np.float64))
