"""Chooses from which score on the head asks for review, within the false alarms that `outputs.toml` allows. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from policy.head.screener import is_chinese
from policy.head.training.prepared import PreparedRow
from policy.head.training.rows import WRITTEN
from policy.tolerance import LAXEST_TOLERANCE

REFERENCES: Final[Mapping[str, tuple[str, ...]]] = {
    "spaced": ("refl", "parti", "coco10k", f"{WRITTEN}_en"),
    "chinese": (f"{WRITTEN}_zh",),
}
"""Which harmless texts the thresholds of a script are held against."""

# The hardest, sentences about groups of people, are left to the rules.
_TOPICS = ("", "scenes", "edits", "questions", "talk")
_HALVINGS = 30
_NEVER = 1.0
_Scores = NDArray[np.float64]


def thresholds(
    rows: Sequence[PreparedRow], scores: NDArray[np.float64], outputs: Mapping[str, Any], script: str
) -> NDArray[np.float64]:
    """Choose the thresholds of one script.

    Args:
        rows: The rows.
        scores: float64 (rows, categories), 0..1, by models that have not seen the row.
        outputs: `false_alarms`: for each reference, the share of its texts that may be sent to review; `least`: the
            lowest threshold, however rare such scores are; both one per tolerance 0..6.
        script: `spaced` or `chinese`.

    Returns:
        float64 (categories, 7), rising; every category takes the same share of each budget.
    """
    judged = {name: scores[[is_reference(each, name) for each in rows]] for name in REFERENCES[script]}
    columns = []
    for tolerance in range(LAXEST_TOLERANCE + 1):
        allowed = {name: outputs["false_alarms"][name][tolerance] for name in judged}
        chosen = _chosen(judged, allowed) if any(allowed.values()) else np.full(scores.shape[1], _NEVER)
        columns.append(np.maximum(chosen, outputs["least"][tolerance]))
    return np.minimum(np.maximum.accumulate(np.stack(columns, axis=1), axis=1), _NEVER)


def _chosen(judged: Mapping[str, _Scores], allowed: Mapping[str, float]) -> _Scores:
    """Return the lowest thresholds that keep within what each set allows, each category taking the same share of it."""

    def at(share: float) -> _Scores:
        each = [
            np.quantile(scores, 1 - share * allowed[name], axis=0, method="higher") for name, scores in judged.items()
        ]
        return np.asarray(np.ceil(np.max(each, axis=0) * 1e4) / 1e4)

    def kept(chosen: _Scores) -> bool:
        return all((scores > chosen).any(axis=1).mean() <= allowed[name] for name, scores in judged.items())

    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        share = (low + high) / 2
        low, high = (share, high) if kept(at(share)) else (low, share)
    return at(low)


def is_reference(each: PreparedRow, name: str) -> bool:
    """Say whether a row is one of the harmless texts of a set that thresholds are held against."""
    row = each.row
    if row.source != name or row.category is not None or row.topic not in _TOPICS:
        return False
    return is_chinese(row.text) == (name in REFERENCES["chinese"])
