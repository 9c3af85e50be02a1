"""Rows made ready for fitting: masked, taken apart into features and stretches, and told apart into folds. Pure."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policy.head.features import Features, extract
from policy.head.masking import Masks
from policy.head.segments import segments
from policy.head.training.rows import TrainingRow

FOLDS: Final = 5

_BANDS, _PER_BAND = 8, 3
_ALIKE = 0.6  # share of features in common from which two rows count as one
_NOT_LETTERS = re.compile(r"\W")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedRow:
    """A row as the fitting sees it: `spans` are the stretches of the masked text, `fold` is 0..FOLDS - 1."""

    row: TrainingRow
    features: Features
    spans: NDArray[np.int64]
    fold: int


def prepare(rows: Sequence[TrainingRow], masks: Masks) -> list[PreparedRow]:
    """Make rows ready.

    Args:
        rows: The rows.
        masks: What is masked.

    Returns:
        One for each, in order. Rows that are nearly the same, or made from one template, are in the same fold.
    """
    texts = [masks.mask(row.text) for row in rows]
    features = [extract(text) for text in texts]
    folds = _folds(rows, texts, features)
    return [
        PreparedRow(row=row, features=found, spans=segments(text), fold=fold)
        for row, text, found, fold in zip(rows, texts, features, folds, strict=True)
    ]


def _folds(rows: Sequence[TrainingRow], texts: Sequence[str], features: Sequence[Features]) -> list[int]:
    slots = [frozenset(found.slots.tolist()) for found in features]
    parents = list(range(len(rows)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = index = parents[parents[index]]
        return index

    first: dict[object, int] = {}
    for index, row in enumerate(rows):
        sure = [("text", _NOT_LETTERS.sub("", texts[index])), ("kin", row.kin or index)]
        for key in sure + _bands(slots[index]):
            other = first.setdefault(key, index)
            if key in sure or len(slots[index] & slots[other]) >= _ALIKE * len(slots[index] | slots[other]):
                parents[root(index)] = root(other)
    return [int(hashlib.sha256(texts[root(index)].encode()).hexdigest()[:8], 16) % FOLDS for index in range(len(rows))]


def _bands(slots: frozenset[int]) -> list[tuple[str, object]]:
    """Return keys of which rows with many features in common probably share one (Broder's min-wise hashing)."""
    if not slots:
        return []
    odd = np.random.default_rng(0).integers(1, 1 << 61, _BANDS * _PER_BAND).astype(np.uint64) * np.uint64(
        2
    ) + np.uint64(1)
    values = np.fromiter(slots, dtype=np.uint64) + np.uint64(1)
    least = ((values[:, None] * odd) >> np.uint64(20)).min(axis=0).reshape(_BANDS, _PER_BAND)
    return [(f"band {band}", tuple(each)) for band, each in enumerate(least.tolist())]
