"""What the head answers with, and from which score on: two small TOML documents, checked. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policy.errors import PolicyError
from policy.tolerance import LAXEST_TOLERANCE

SCRIPTS = ("spaced", "chinese")
"""Texts with a Chinese character are held against thresholds of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadDocument:
    """Everything about a trained head but its weights.

    Attributes:
        version: Of the head.
        reasons: Public sentence per category, in the order of the model's outputs.
        digest: SHA-256 that the weights must have, lower hex.
        thresholds: Script -> category -> seven scores, one per tolerance 0..6; a text goes to review above it. They
            rise with the tolerance; 1.0 is never passed.
    """

    version: str
    reasons: Mapping[str, str]
    digest: str
    thresholds: Mapping[str, Mapping[str, tuple[float, ...]]]


def parse_head(outputs: Mapping[str, Any], trained: Mapping[str, Any]) -> HeadDocument:
    """Put the two documents together.

    Args:
        outputs: `outputs.toml`.
        trained: `trained.toml`.

    Raises:
        PolicyError: A field is missing or of another type, the two name other categories, or thresholds do not rise.
    """
    try:
        reasons = {str(name): str(reason) for name, reason in outputs["reasons"].items()}
        thresholds = {script: _thresholds(script, trained["thresholds"][script], tuple(reasons)) for script in SCRIPTS}
        return HeadDocument(
            version=str(outputs["version"]), reasons=reasons, digest=str(trained["weights"]), thresholds=thresholds
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise PolicyError(f"the head's documents are incomplete: {type(error).__name__}: {error}") from error


def _thresholds(script: str, found: Mapping[str, Any], categories: tuple[str, ...]) -> dict[str, tuple[float, ...]]:
    if tuple(found) != categories:
        raise PolicyError(f"thresholds of {script} must be for {', '.join(categories)}, got {', '.join(found)}")
    for category, scores in found.items():
        rising = all(isinstance(score, float) and 0 <= score <= 1 for score in scores) and scores == sorted(scores)
        if not rising or len(scores) != LAXEST_TOLERANCE + 1:
            raise PolicyError(f"thresholds of {script}.{category} must be 7 rising scores in 0..1, got {scores}")
    return {category: tuple(scores) for category, scores in found.items()}
