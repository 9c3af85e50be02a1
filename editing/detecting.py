"""Detecting: which detector makes which kind of control image, and which weights it needs. No torch here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from editing.checkpoints import Checkpoint
from editing.entries import find
from editing.errors import OperationError
from editing.guides import ControlKind, Detector
from editing.operations import ControlMap

WITHOUT_WEIGHTS: Final = "opencv"
"""The catalogue's entry for detectors that need no weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorFacts:
    """What there is to know of a detector before it runs.

    Attributes:
        kind: What its control images show.
        checkpoint: Name in the catalogue of its weights; `opencv` if it needs none.
    """

    kind: ControlKind
    checkpoint: str = WITHOUT_WEIGHTS


DETECTORS: Final[Mapping[Detector, DetectorFacts]] = MappingProxyType(
    {
        Detector.CANNY: DetectorFacts(kind=ControlKind.CANNY),
        Detector.TILE: DetectorFacts(kind=ControlKind.TILE),
        Detector.BLUR: DetectorFacts(kind=ControlKind.BLUR),
        Detector.GREY: DetectorFacts(kind=ControlKind.GREY),
        Detector.LOW_QUALITY: DetectorFacts(kind=ControlKind.LOW_QUALITY),
    }
)
"""Every detector; of those of one kind the better first, so that those without weights come last."""


def detectors_of(kind: ControlKind) -> tuple[Detector, ...]:
    """List the detectors of a kind.

    Args:
        kind: What the control image shall show.

    Returns:
        Its detectors, the better first.
    """
    return tuple(detector for detector, facts in DETECTORS.items() if facts.kind is kind)


def pick_detector(kind: ControlKind, at_hand: Callable[[str], bool]) -> Detector:
    """Choose the detector for a control that names none.

    Args:
        kind: What the control image shall show.
        at_hand: Checkpoint's name -> whether its weights are on this machine and may load.

    Returns:
        The first whose weights are at hand.

    Raises:
        OperationError: `detector_unavailable`, if there is none, with what would make one available.
    """
    detectors = detectors_of(kind)
    for detector in detectors:
        checkpoint = DETECTORS[detector].checkpoint
        if checkpoint == WITHOUT_WEIGHTS or at_hand(checkpoint):
            return detector
    wanted = [DETECTORS[detector].checkpoint for detector in detectors]
    raise OperationError(
        f"no detector for {kind.value} has its weights on this machine: install those of {' or '.join(wanted)}, "
        "or give a finished control image with mode as_is",
        code="detector_unavailable",
        field="kind",
        value=kind.value,
        limit=wanted,
    )


def check_detector(operation: ControlMap) -> Checkpoint:
    """Check that a detector makes what a control map shall show, of its own weights.

    Args:
        operation: The map that is asked for.

    Returns:
        The catalogue's entry of its weights.

    Raises:
        OperationError: `detector_unsuitable`.
    """
    facts = DETECTORS.get(operation.detector)
    if facts is None or facts.kind is not operation.kind or facts.checkpoint != operation.checkpoint:
        able = [detector.value for detector in detectors_of(operation.kind)]
        raise OperationError(
            f"{operation.detector.value} makes no {operation.kind.value} maps of {operation.checkpoint}; "
            f"{', '.join(able) or 'nothing'} does",
            code="detector_unsuitable",
            field="detector",
            value=operation.detector.value,
            limit=able,
        )
    return find(operation.checkpoint)
