"""Fits the linear model: logistic regression on the stretch of each text that matters. Pure.

Which stretch of a harmful text is the harmful one is not known, so the model chooses it and is fitted again, and of a
harmless text the stretch that looks worst is held against it (multiple-instance learning, Andrews et al. 2002).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize  # type: ignore[import-untyped]
from scipy.sparse import csr_matrix, vstack  # type: ignore[import-untyped]

from policy.head.features import SLOTS
from policy.head.model import EASE, LinearModel, untrained
from policy.head.training.prepared import PreparedRow

ROUNDS: Final = 3
PENALTY: Final = 5e-6
"""Of squared weights, against a mean loss."""

ITERATIONS: Final = 200

_HARMFUL = 3.0  # how much a harmful text counts against a harmless one, of which there are several times more
_SOURCE_WEIGHTS = {"openai_mod": 2.0}  # the only long harmless texts that are no captions
_Choice = tuple[int, int]  # of a row, of one of its stretches


def fit(rows: Sequence[PreparedRow], categories: Sequence[str]) -> LinearModel:
    """Fit one model.

    Args:
        rows: What to learn from.
        categories: The outputs, in order. For each, the rows of other categories are left out, not held against it.

    Returns:
        The model, always the same for the same rows.
    """
    model = untrained(len(categories))
    harmless = [index for index, each in enumerate(rows) if each.row.category is None]
    worst: dict[int, set[int]] = {index: {_longest(rows[index])} for index in harmless}
    judged: list[NDArray[np.float64]] = []
    for number in range(ROUNDS):
        if number:
            judged = [model.stretches(each.features, each.spans) for each in rows]
            for index in harmless:
                worst[index].update(judged[index].argmax(axis=0).tolist())
        safe = [(index, span) for index in harmless for span in sorted(worst[index])]
        safe_matrix = _matrix(rows, safe)
        safe_weights = np.array([_weight(rows[index]) / np.sqrt(len(worst[index])) for index, _ in safe])
        weights, biases = model.weights.copy(), model.biases.copy()
        for output, category in enumerate(categories):
            members = [index for index, each in enumerate(rows) if each.row.category == category]
            chosen = [(i, int(judged[i][:, output].argmax()) if number else _longest(rows[i])) for i in members]
            unsafe_weights = np.array([_weight(rows[index]) * _HARMFUL for index in members])
            start = np.append(weights[output], biases[output]).astype(np.float64)
            solved = _solve(_matrix(rows, chosen), safe_matrix, unsafe_weights, safe_weights, start)
            weights[output], biases[output] = solved[:-1], solved[-1]
        model = LinearModel(weights=weights, biases=biases)
    return model


def _weight(each: PreparedRow) -> float:
    return each.row.weight * _SOURCE_WEIGHTS.get(each.row.source, 1.0)


def _longest(each: PreparedRow) -> int:
    return int((each.spans[:, 1] - each.spans[:, 0]).argmax())


def _matrix(rows: Sequence[PreparedRow], choices: Sequence[_Choice]) -> csr_matrix:
    slots = []
    for index, span in choices:
        features = rows[index].features
        start, end = rows[index].spans[span]
        slots.append(features.slots[(features.places >= start) & (features.places < end)])
    counts = np.array([each.size for each in slots])
    values = np.repeat(1 / np.sqrt(counts + EASE), counts)
    ends = np.concatenate([[0], np.cumsum(counts)])
    matrix = csr_matrix((values, np.concatenate(slots), ends), shape=(len(choices), SLOTS))
    matrix.sum_duplicates()
    return matrix


def _solve(
    unsafe: csr_matrix,
    safe: csr_matrix,
    unsafe_weights: NDArray[np.float64],
    safe_weights: NDArray[np.float64],
    start: NDArray[np.float64],
) -> NDArray[np.float64]:
    matrix = vstack([unsafe, safe]).tocsr()
    turned = matrix.T.tocsr()
    signs = np.concatenate([np.ones(len(unsafe_weights)), -np.ones(len(safe_weights))])
    weights = np.concatenate([unsafe_weights, safe_weights])
    weights = weights / weights.sum()

    def loss(solution: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margins = signs * (matrix @ solution[:-1] + solution[-1])
        slopes = -signs * weights / (1 + np.exp(np.clip(margins, -50, 50)))
        value = weights @ np.logaddexp(0, -margins) + PENALTY / 2 * solution[:-1] @ solution[:-1]
        return float(value), np.append(turned @ slopes + PENALTY * solution[:-1], slopes.sum())

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    return np.asarray(found.x, dtype=np.float64)
