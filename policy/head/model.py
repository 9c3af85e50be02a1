"""The linear model of the head: a text's worst stretch, per category. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policy.head.features import SLOTS, Features, extract
from policy.head.segments import segments

EASE: Final = 5.0
"""Added to the number of features before its root is taken, so that a single word cannot weigh like a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearModel:
    """One set of weights.

    Attributes:
        weights: float32 (categories, SLOTS).
        biases: float32 (categories).
    """

    weights: NDArray[np.float32]
    biases: NDArray[np.float32]

    def scores(self, masked: str) -> NDArray[np.float64]:
        """Judge a text by its worst stretch, for each category by itself.

        Args:
            masked: A masked text; see `policy.head.masking`.

        Returns:
            float64 (categories), 0..1; no calibrated probability.
        """
        return np.asarray(1 / (1 + np.exp(-self.stretches(extract(masked), segments(masked)).max(axis=0))))

    def stretches(self, features: Features, spans: NDArray[np.int64]) -> NDArray[np.float64]:
        """Judge stretches of a text.

        Args:
            features: Of the whole text.
            spans: int64 (n, 2), from `policy.head.segments`.

        Returns:
            float64 (n, categories), log odds.
        """
        counts = stretch_sums(features, spans, None)
        judged = np.empty((len(spans), len(self.biases)))
        for category, bias in enumerate(self.biases):
            sums = stretch_sums(features, spans, self.weights[category, features.slots])
            judged[:, category] = bias + sums / np.sqrt(counts + EASE)
        return judged


def stretch_sums(
    features: Features, spans: NDArray[np.int64], values: NDArray[np.float32] | None
) -> NDArray[np.float64]:
    """Add up what belongs to the features that begin in each stretch.

    Args:
        features: Of the whole text.
        spans: int64 (n, 2).
        values: float32, one per feature; None counts the features.

    Returns:
        float64 (n).
    """
    at_places = np.bincount(features.places, weights=values, minlength=features.length)
    running = np.concatenate([[0.0], np.cumsum(at_places)])
    return np.asarray(running[spans[:, 1]] - running[spans[:, 0]])


def untrained(categories: int) -> LinearModel:
    """Return a model that knows nothing, to begin training from."""
    return LinearModel(
        weights=np.zeros((categories, SLOTS), dtype=np.float32), biases=np.zeros(categories, dtype=np.float32)
    )
