"""The engine: from an operation to a finished picture and its facts, whatever architecture paints it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Protocol

import cv2
import torch

from editing import edits
from editing.catalogue import check_operation, find
from editing.checkpoints import Architecture
from editing.detecting import detector_of
from editing.diffusion.licences import require_licence
from editing.diffusion.quiet import quiet_libraries
from editing.diffusion.rooms import Painter, Plan, Room, Run, UsedWeights
from editing.edits import Outcome
from editing.engine import EditedImage, EditFacts, Progress
from editing.errors import EditCancelled
from editing.guides import ControlMode, Detector
from editing.operations import ControlMap, Generate, Img2Img, Instruct, Operation, Prompted
from editing.rasters import Pixels

_LIBRARIES = (
    "torch",
    "diffusers",
    "transformers",
    "peft",
    "controlnet-aux",
    "numpy",
    "pillow",
    "opencv-python-headless",
)


@dataclass(slots=True, kw_only=True)
class _Watch:
    """Callbacks of one edit, how many runs of the model it takes, and the seconds of its phases."""

    on_step: Callable[[Progress], None]
    cancelled: Callable[[], bool]
    seconds: dict[str, float] = field(default_factory=dict)
    runs: int = 0
    done: int = 0

    def lap(self, phase: str, start: float) -> None:
        self.seconds[phase] = round(self.seconds.get(phase, 0.0) + time.perf_counter() - start, 4)

    def expect(self, runs: int) -> None:
        """So many runs come next."""
        self.runs = self.done + runs

    def step(self, progress: Progress) -> None:
        """Pass a run's progress on as that of the whole edit."""
        runs = max(self.runs, self.done + 1)
        self.on_step(Progress(step=self.done * progress.steps + progress.step, steps=runs * progress.steps))


class Detecting(Protocol):
    """What makes control images: `editing.detectors.Detectors`."""

    def detect(self, pixels: Pixels, detector: Detector, *, low: int, high: int) -> Pixels:
        """Make one; see `editing.detecting.Detect`."""
        ...

    def used(self, detector: Detector) -> Sequence[UsedWeights]:
        """The weights of a detector that made something; none for one without weights."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where everything runs, for the record.

    Attributes:
        device: Such as `cpu` or `cuda:0`.
        dtype: Number format of the weights.
        threads: CPU threads to set before each edit; None leaves torch's choice.
        exclusive: Whether a room lets go of its weights before another loads: memory profiles count one room's.
    """

    device: str
    dtype: str
    threads: int | None
    exclusive: bool = False


class DiffusionEngine:
    """Runs operations, one at a time; implements `editing.engine.EditEngine`.

    Every run has a scheduler of its own and a generator of its own, so that a run's pixels depend on its operation and
    on nothing that ran, failed or was cancelled before.
    """

    def __init__(
        self,
        rooms: Mapping[Architecture, Room],
        detectors: Detecting,
        *,
        accepted: Callable[[str], bool],
        ground: Ground,
    ) -> None:
        """Set the engine up; nothing is loaded yet.

        Args:
            rooms: The code of each architecture.
            detectors: Makes control images.
            accepted: Whether the licence of a checkpoint of this name was accepted; asked at every run.
            ground: Where the rooms run.
        """
        self._rooms = rooms
        self._detectors = detectors
        self._accepted = accepted
        self._ground = ground
        self._versions = {name: version(name) for name in _LIBRARIES}

    def run(
        self, operation: Operation, *, on_step: Callable[[Progress], None], cancelled: Callable[[], bool]
    ) -> EditedImage:
        """Run one operation; see `EditEngine.run`.

        Args:
            operation: What to do.
            on_step: Called after each denoising step.
            cancelled: Asked before loading, before the first step and after each step, which is before decoding.

        Returns:
            The finished picture and its facts.

        Raises:
            OperationError: The checkpoint cannot run this operation.
            EngineError: A checkpoint cannot be loaded (also `licence_not_accepted`), or the run failed.
            EditCancelled: `cancelled()` said so.
        """
        begun = time.perf_counter()
        # 1. Judge the request; ask for licences before anything is read from disk.
        check_operation(operation)
        plan = None if isinstance(operation, ControlMap) else Plan.of(operation)
        for checkpoint in plan.checkpoints if plan else ():
            require_licence(checkpoint, self._accepted)
        watch = _Watch(on_step=on_step, cancelled=cancelled)
        if cancelled():
            raise EditCancelled
        # 2. Load.
        if self._ground.threads is not None:
            torch.set_num_threads(self._ground.threads)
            cv2.setNumThreads(self._ground.threads)
        start = time.perf_counter()
        painter = self._load(plan) if plan else None
        watch.lap("load", start)
        # 3. Run, 4. write down how.
        with quiet_libraries():
            start = time.perf_counter()
            outcome = self._outcome(operation, painter, watch)
            watch.lap("edit", start)
        watch.seconds["total"] = round(time.perf_counter() - begun, 4)
        facts = self._facts(operation, plan, painter, outcome, watch)
        return EditedImage(raster=outcome.raster, facts=facts, control_images=outcome.control_images)

    def _load(self, plan: Plan) -> Painter:
        if self._ground.exclusive:
            for architecture, room in self._rooms.items():
                if architecture is not plan.main.architecture:
                    room.release()
        return self._rooms[plan.main.architecture].load(plan)

    def _outcome(self, operation: Operation, painter: Painter | None, watch: _Watch) -> Outcome:
        detect = self._detectors.detect
        if isinstance(operation, ControlMap):
            return edits.control_map(operation, detect)
        assert painter is not None  # noqa: S101 - for the type checker: all others have one
        checkpoint, paint = find(operation.checkpoint), self._paint(painter, watch)
        match operation:
            case Generate():
                return edits.generate(operation, checkpoint, paint, detect)
            case Img2Img():
                return edits.img2img(operation, checkpoint, paint, detect)
            case Instruct():
                return edits.instruct(operation, checkpoint, paint)
            case _:
                return edits.masked(operation, checkpoint, paint, detect, watch.expect)

    def _paint(self, painter: Painter, watch: _Watch) -> edits.Paint:
        def paint(run: Run) -> Pixels:
            start = time.perf_counter()
            painted = painter.paint(run, on_step=watch.step, cancelled=watch.cancelled)
            watch.done += 1
            watch.lap("model", start)
            return painted

        return paint

    def _facts(
        self,
        operation: Operation,
        plan: Plan | None,
        painter: Painter | None,
        outcome: Outcome,
        watch: _Watch,
    ) -> EditFacts:
        used = [*(painter.weights if painter else ())]
        used += [each for detector in detectors_of(operation) for each in self._detectors.used(detector)]
        return EditFacts(
            checkpoint=operation.checkpoint,
            route=plan.route if plan else operation.name.value,
            weights={f"{each.name}/{file}": digest for each in used for file, digest in each.digests.items()},
            checkpoints={each.name: each.revision for each in used},
            sampling=outcome.sampling,
            device=self._ground.device,
            dtype=self._ground.dtype,
            memory=painter.memory if painter else {},
            threads=torch.get_num_threads(),
            versions=dict(self._versions),
            box=outcome.box.edges if outcome.box else None,
            model_size=outcome.size,
            exact_outside_mask=outcome.exact,
            seconds=dict(watch.seconds),
            passes=outcome.passes,
            blend=outcome.blend,
            seam=outcome.seam,
            tries=outcome.tries,
        )


def detectors_of(operation: Operation) -> tuple[Detector, ...]:
    """List the detectors that make control images for an operation.

    Args:
        operation: What is done.

    Returns:
        Each once.
    """
    if isinstance(operation, ControlMap):
        return (operation.detector,)
    if not isinstance(operation, Prompted):
        return ()
    made = [each for each in operation.guides.controls if each.mode is ControlMode.PREPROCESS]
    return tuple(dict.fromkeys(detector_of(each) for each in made))
