"""Detecting: which detector makes which kind of control image, and which weights it needs. No torch here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from editing.checkpoints import Checkpoint
from editing.entries import find
from editing.errors import OperationError
from editing.guides import Control, ControlKind, Detector
from editing.operations import ControlMap
from editing.rasters import Pixels

WITHOUT_WEIGHTS: Final = "opencv"
"""The catalogue's entry for detectors that need no weights."""


class Detect(Protocol):
    """Makes control images; `editing.detectors.Detectors.detect` is one."""

    def __call__(self, pixels: Pixels, detector: Detector, *, low: int, high: int) -> Pixels:
        """Make one.

        Args:
            pixels: uint8 (h, w, 3), 0..255, sRGB.
            detector: What makes it.
            low: Lower Canny threshold.
            high: Upper Canny threshold.

        Returns:
            uint8 (h, w, 3), of the same size.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorFacts:
    """What there is to know of a detector before it runs.

    Attributes:
        kind: What its control images show.
        checkpoint: Name in the catalogue of its weights; `opencv` if it needs none.
        beside: Names of further weights that it needs.
        whole: Whether it must see the whole picture: how near a thing is, or which person a hand belongs to, cannot be
            told from a part.
    """

    kind: ControlKind
    checkpoint: str = WITHOUT_WEIGHTS
    beside: tuple[str, ...] = ()
    whole: bool = False

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """Names of all the weights it needs; none for `opencv`."""
        return () if self.checkpoint == WITHOUT_WEIGHTS else (self.checkpoint, *self.beside)


def _drawn(kind: ControlKind) -> DetectorFacts:
    return DetectorFacts(kind=kind)


def _lines(kind: ControlKind, checkpoint: str) -> DetectorFacts:
    return DetectorFacts(kind=kind, checkpoint=checkpoint)


def _scene(kind: ControlKind, checkpoint: str, *beside: str) -> DetectorFacts:
    return DetectorFacts(kind=kind, checkpoint=checkpoint, beside=beside, whole=True)


DETECTORS: Final[Mapping[Detector, DetectorFacts]] = MappingProxyType(
    {
        Detector.CANNY: _drawn(ControlKind.CANNY),
        Detector.HED: _lines(ControlKind.SOFT_EDGE, "hed"),
        Detector.PIDINET: _lines(ControlKind.SOFT_EDGE, "pidinet"),
        Detector.TEED: _lines(ControlKind.SOFT_EDGE, "teed"),
        Detector.GRADIENT: _drawn(ControlKind.SOFT_EDGE),
        Detector.LINEART: _lines(ControlKind.LINE_ART, "lineart"),
        Detector.LINEART_COARSE: _lines(ControlKind.LINE_ART, "lineart-coarse"),
        Detector.LINEART_ANIME: _lines(ControlKind.LINE_ART, "lineart-anime"),
        Detector.LINEART_STANDARD: _drawn(ControlKind.LINE_ART),
        Detector.DEPTH_ANYTHING: _scene(ControlKind.DEPTH, "Depth-Anything-V2-Small"),
        Detector.MIDAS: _scene(ControlKind.DEPTH, "midas-dpt-hybrid"),
        Detector.NORMALBAE: _scene(ControlKind.NORMAL, "normalbae"),
        Detector.NORMAL_FROM_DEPTH: _scene(ControlKind.NORMAL, "Depth-Anything-V2-Small"),
        Detector.VITPOSE: _scene(ControlKind.POSE, "vitpose-base-simple", "rtdetr-r50vd"),
        Detector.OPENPOSE: _scene(ControlKind.POSE, "openpose"),
        Detector.TILE: _drawn(ControlKind.TILE),
        Detector.BLUR: _drawn(ControlKind.BLUR),
        Detector.GREY: _drawn(ControlKind.GREY),
        Detector.LOW_QUALITY: _drawn(ControlKind.LOW_QUALITY),
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
        The first all of whose weights are at hand.

    Raises:
        OperationError: `detector_unavailable`, if there is none, with what would make one available.
    """
    for detector in detectors_of(kind):
        if all(at_hand(name) for name in DETECTORS[detector].checkpoints):
            return detector
    wanted = [" and ".join(DETECTORS[detector].checkpoints) for detector in detectors_of(kind)]
    raise OperationError(
        f"no detector for {kind.value} has its weights on this machine: install those of {', or '.join(wanted)}; "
        "or give a finished control image with mode as_is",
        code="detector_unavailable",
        field="kind",
        value=kind.value,
        limit=wanted,
    )


def detector_of(control: Control, field: str = "detector") -> Detector:
    """Say which detector makes the control image of a control that is to be made.

    Args:
        control: What is asked for, with `ControlMode.PREPROCESS`.
        field: Name of the request field, for the error.

    Returns:
        The detector it names, or `canny` for edges that name none.

    Raises:
        OperationError: `detector_missing`, if another kind names none; `detector_unsuitable`, if it names one of
            another kind.
    """
    able = [detector.value for detector in detectors_of(control.kind)]
    if control.detector is None:
        if control.kind is ControlKind.CANNY:
            return Detector.CANNY
        raise OperationError(
            f"a {control.kind.value} control must name the detector that makes it: {', '.join(able)}",
            code="detector_missing",
            field=field,
            value=control.kind.value,
            limit=able,
        )
    require_suitable(control.detector, control.kind, field)
    return control.detector


def check_detector(operation: ControlMap) -> Checkpoint:
    """Check that a detector makes what a control map shall show, of its own weights.

    Args:
        operation: The map that is asked for.

    Returns:
        The catalogue's entry of its weights.

    Raises:
        OperationError: `detector_unsuitable`.
    """
    require_suitable(operation.detector, operation.kind)
    facts = DETECTORS[operation.detector]
    if facts.checkpoint != operation.checkpoint:
        raise OperationError(
            f"{operation.detector.value} runs on the weights of {facts.checkpoint}, not of {operation.checkpoint[:80]}",
            code="detector_unsuitable",
            field="checkpoint",
            value=operation.checkpoint[:80],
            limit=[facts.checkpoint],
        )
    return find(operation.checkpoint)


def require_suitable(detector: Detector, kind: ControlKind, field: str = "detector") -> None:
    """Check that a detector makes control images of a kind.

    Args:
        detector: What shall make it.
        kind: What it shall show.
        field: Name of the request field, for the error.

    Raises:
        OperationError: `detector_unsuitable`, with those that do.
    """
    if DETECTORS[detector].kind is kind:
        return
    able = [each.value for each in detectors_of(kind)]
    raise OperationError(
        f"{detector.value} makes no {kind.value} maps; {', '.join(able)} does",
        code="detector_unsuitable",
        field=field,
        value=detector.value,
        limit=able,
    )
