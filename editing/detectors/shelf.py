"""The shelf of detectors: loaded when first asked, two kept; each map comes back at the size of its picture."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError  # noqa: TID251 - only its error: what torch.load refuses to read as tensors
from typing import Any, Final

import cv2
import numpy as np
import torch
from safetensors import SafetensorError

from editing.controls import control_map
from editing.detecting import DETECTORS
from editing.detectors import lines, poses, scenes
from editing.detectors.nets import hushed, load
from editing.diffusion.licences import require_licence
from editing.diffusion.memo import Memo
from editing.diffusion.rooms import UsedWeights
from editing.diffusion.settings import EngineSettings
from editing.diffusion.weights import Digests, locate
from editing.entries import find
from editing.errors import EngineError
from editing.guides import Detector
from editing.rasters import Pixels
from editing.resampling import resize_pixels
from editing.zoo.detectors import PICKLED

KEPT: Final = 2
"""Detectors in memory: one for lines and one for the scene."""
REMEMBERED: Final = 4
"""Maps in memory: the passes, tries and variants of one edit ask for the same map of the whole picture."""
_LOADING_ERRORS = (
    OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError, EOFError, UnpicklingError,
    SafetensorError,
)  # fmt: skip
_RUNNING_ERRORS = (RuntimeError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, cv2.error)

_RUNS: Final[Mapping[Detector, Callable[[Any, Pixels], Pixels]]] = {
    Detector.HED: lines.hed,
    Detector.PIDINET: lines.pidinet,
    Detector.TEED: lines.teed,
    Detector.LINEART: lines.lineart,
    Detector.LINEART_COARSE: lines.lineart,
    Detector.LINEART_ANIME: lines.lineart_anime,
    Detector.DEPTH_ANYTHING: scenes.depth_anything,
    Detector.MIDAS: scenes.midas,
    Detector.NORMALBAE: scenes.normalbae,
    Detector.NORMAL_FROM_DEPTH: scenes.normal_from_depth,
    Detector.VITPOSE: poses.vitpose,
    Detector.OPENPOSE: poses.openpose,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Loaded:
    model: Any
    used: tuple[UsedWeights, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Made:
    pixels: Pixels
    used: tuple[UsedWeights, ...]


class Detectors:
    """Makes control images; `detect` is an `editing.detecting.Detect`.

    A map depends on its picture, its detector and the weights on disk when these were loaded, and on nothing else: no
    network is trained, none draws random numbers. A picture of more than `editing.controls.MOST_PIXELS` is looked at
    smaller. What fails leaves everything as it was.
    """

    def __init__(self, settings: EngineSettings, *, device: torch.device, accepted: Callable[[str], bool]) -> None:
        """Set the shelf up; nothing is loaded yet.

        Args:
            settings: Where weights lie.
            device: Where networks run, in float32.
            accepted: Whether the licence of weights of this name was accepted; asked at every map.
        """
        self._settings = settings
        self._device = device
        self._accepted = accepted
        self._digests = Digests()
        self._kept: Memo[_Loaded] = Memo(kept=KEPT)
        self._made: Memo[_Made] = Memo(kept=REMEMBERED)
        self._used: dict[Detector, tuple[UsedWeights, ...]] = {}

    def detect(self, pixels: Pixels, detector: Detector, *, low: int = 100, high: int = 200) -> Pixels:
        """Make a control image.

        Args:
            pixels: uint8 (h, w, 3), 0..255, sRGB, any size.
            detector: What makes it.
            low: Lower Canny threshold.
            high: Upper Canny threshold.

        Returns:
            uint8 (h, w, 3), of the same size.

        Raises:
            EngineError: `licence_not_accepted`, `weights_missing`, `revision_unpinned`, `weights_unreadable`, or
                `detector_failed`.
        """
        self._require_licences(detector)
        return control_map(pixels, detector, low=low, high=high, detect=self._detected)

    def _detected(self, pixels: Pixels, detector: Detector, *, low: int, high: int) -> Pixels:  # noqa: ARG002 - Detect's
        def make() -> _Made:
            names = DETECTORS[detector].checkpoints
            loaded = self._kept.get(names, lambda: self._load(detector, names))
            return _Made(pixels=self._run(loaded, detector, pixels), used=loaded.used)

        made = self._made.get((detector, _fingerprint(pixels)), make)
        self._used[detector] = made.used
        return made.pixels.copy()

    def used(self, detector: Detector) -> tuple[UsedWeights, ...]:
        """Say which weights made the last map of a detector, for the record.

        Args:
            detector: The detector.

        Returns:
            Its weights with their digests; empty for one that needs none, or has made nothing yet.
        """
        return self._used.get(detector, ())

    def release(self) -> None:
        """Let go of all networks and maps; what is asked for next is loaded again."""
        self._kept.clear()
        self._made.clear()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _require_licences(self, detector: Detector) -> None:
        for checkpoint in map(find, DETECTORS[detector].checkpoints):
            require_licence(checkpoint, self._accepted, field="detector", instead=_instead(detector))

    def _load(self, detector: Detector, names: tuple[str, ...]) -> _Loaded:
        folders: list[Path] = []
        used: list[UsedWeights] = []
        for checkpoint in map(find, names):
            try:
                location = locate(checkpoint, self._settings)
                digests = self._digests.of_parts(checkpoint, location.folder)
            except EngineError as error:
                raise EngineError(
                    f"{error}; {_instead(detector)}",
                    code=error.code,
                    field="detector",
                    value=checkpoint.name,
                    limit=error.limit,
                ) from error
            folders.append(location.folder)
            used.append(UsedWeights(name=checkpoint.name, revision=location.revision, digests=digests))
        try:
            model = self._model(names, folders)
        except _LOADING_ERRORS as error:
            raise EngineError(
                f"the weights of {' and '.join(names)} cannot be loaded: {_first_line(error)}; {_instead(detector)}",
                code="weights_unreadable",
                field="detector",
                value=names[0],
            ) from error
        return _Loaded(model=model, used=tuple(used))

    def _model(self, names: tuple[str, ...], folders: list[Path]) -> Any:
        if names[0] in PICKLED:
            return load(names[0], folders[0] / PICKLED[names[0]], self._device)
        if len(folders) > 1:
            return poses.load_vitpose(folders[0], folders[1], self._device)
        return scenes.load_depth(folders[0], self._device)

    def _run(self, loaded: _Loaded, detector: Detector, pixels: Pixels) -> Pixels:
        try:
            with hushed(), torch.inference_mode(), np.errstate(all="ignore"):
                made = _RUNS[detector](loaded.model, pixels)
        except _RUNNING_ERRORS as error:
            raise EngineError(
                f"{detector.value} failed on this picture: {_first_line(error)}; {_instead(detector)}",
                code="detector_failed",
                field="detector",
                value=detector.value,
            ) from error
        return resize_pixels(made, (pixels.shape[1], pixels.shape[0]))


def _fingerprint(pixels: Pixels) -> str:
    return hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _instead(detector: Detector) -> str:
    """What is possible without this detector."""
    kind = DETECTORS[detector].kind
    others = [
        each.value if facts.checkpoints else f"{each.value} (which needs no weights)"
        for each, facts in DETECTORS.items()
        if facts.kind is kind and each is not detector
    ]
    return f"{' or '.join(others)} makes {kind.value} maps too, or give a finished one with mode as_is"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:300] or type(error).__name__
