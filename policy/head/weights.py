"""The file the head's weights are kept in: several small models, and which text each of them has not seen. Pure.

A NumPy archive without objects, so that nothing is unpickled. Model 0 was trained on everything and is the one that
screens; model 1 + f was trained on all but fold f, and judges texts of that fold when the head itself is evaluated.
Of the training texts only 32 bits of a digest are kept.
"""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policy.errors import PolicyError
from policy.head.features import SLOTS
from policy.head.masking import fold
from policy.head.model import LinearModel

MOST: Final = 15
"""Weights are whole numbers in -15..15 times a scale: as good as floats here, and a tenth of their size."""

_NAMES = ("biases", "folds", "scales", "seen", "weights")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """What the file holds.

    Attributes:
        weights: int8 (models, categories, SLOTS), -MOST..MOST.
        scales: float32 (models, categories), what one step of a weight is worth.
        biases: float32 (models, categories).
        seen: uint32 (n), `text_key` of the training texts, rising.
        folds: uint8 (n), the fold each is in, 0..models - 2.
    """

    weights: NDArray[np.int8]
    scales: NDArray[np.float32]
    biases: NDArray[np.float32]
    seen: NDArray[np.uint32]
    folds: NDArray[np.uint8]

    def model(self, index: int) -> LinearModel:
        """Return a model ready to use: 0 for the one that screens, 1 + f for the one that has not seen fold f."""
        return LinearModel(
            weights=self.weights[index].astype(np.float32) * self.scales[index, :, None], biases=self.biases[index]
        )

    def unseeing(self, text: str) -> int:
        """Return the index of a model that was not trained on a text; 0 if none was."""
        key = text_key(text)
        place = int(np.searchsorted(self.seen, key))
        return 1 + int(self.folds[place]) if place < self.seen.size and self.seen[place] == key else 0


def text_key(text: str) -> np.uint32:
    """Return 32 bits of the digest of a text, the same however it is capitalised and spaced."""
    return np.uint32(int.from_bytes(hashlib.sha256(fold(text).encode()).digest()[:4], "big"))


def quantised(models: list[LinearModel]) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.float32]]:
    """Round models to what the file can hold.

    Args:
        models: All with the same categories.

    Returns:
        `weights`, `scales` and `biases` of `Weights`.
    """
    exact = np.stack([model.weights for model in models])
    # The few heaviest weights are cut off: a step small enough for the many others matters more.
    scales = np.maximum(np.quantile(np.abs(exact), 0.9995, axis=2) / MOST, 1e-12)
    steps = np.clip(np.rint(exact / scales[:, :, None]), -MOST, MOST).astype(np.int8)
    return steps, scales.astype(np.float32), np.stack([model.biases for model in models])


def to_bytes(weights: Weights) -> bytes:
    """Return the file's content; the same weights always give the same bytes."""
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **{name: getattr(weights, name) for name in _NAMES})
    return content.getvalue()


def parse_weights(content: bytes, *, digest: str, categories: int) -> Weights:
    """Read the file's content.

    Args:
        content: The file, whole.
        digest: The SHA-256 it must have, lower hex.
        categories: How many categories it must be for.

    Raises:
        PolicyError: It has another digest, is no such file, or its arrays do not fit together.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != digest:  # before anything is parsed
        raise PolicyError(f"the head's weights have the digest {found[:12]}..., the pinned one is {digest[:12]}...")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            weights = Weights(**{name: archive[name] for name in _NAMES})
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise PolicyError(f"the head's weights cannot be read: {type(error).__name__}") from error
    models = weights.weights.shape[0]
    shapes = (weights.weights.shape, weights.scales.shape, weights.biases.shape, weights.folds.shape)
    if shapes != ((models, categories, SLOTS), (models, categories), (models, categories), weights.seen.shape):
        raise PolicyError(f"the head's weights do not fit together: shapes {shapes}")
    return weights
