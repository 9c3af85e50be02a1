"""The FLUX engine: from an operation to a finished picture and its facts."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

import cv2
import torch

from editing import edits
from editing.catalogue import Checkpoint, check_operation, find, resolve_route
from editing.diffusion.quiet import quiet_libraries
from editing.diffusion.settings import EngineSettings
from editing.edits import Outcome
from editing.engine import EditedImage, EditFacts, Progress
from editing.errors import EditCancelled, EngineError
from editing.flux.loading import CheckpointShelf, LoadedCheckpoint, pick_device, torch_dtype
from editing.flux.pipelines import PipelineRunner, Run, Steering
from editing.guides import Control
from editing.operations import Generate, Img2Img, Inpaint, Operation, Outpaint, Sampling
from editing.rasters import Mask, Pixels

_LIBRARIES = ("torch", "diffusers", "transformers", "numpy", "pillow", "opencv-python-headless")


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Models:
    """The checkpoints of one edit.

    Attributes:
        main: What paints.
        controlnet: The ControlNet of the request's controls.
        inpainting: The ControlNet that reads the masked picture.
        route: What the record says: `generate`, `img2img` or a `Route`.
    """

    main: LoadedCheckpoint
    controlnet: LoadedCheckpoint | None
    inpainting: LoadedCheckpoint | None
    route: str

    @property
    def used(self) -> list[LoadedCheckpoint]:
        return [each for each in (self.main, self.controlnet, self.inpainting) if each is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """The catalogue's entries that an operation needs, and the route."""

    main: Checkpoint
    controlnet: Checkpoint | None
    inpainting: Checkpoint | None
    route: str

    @classmethod
    def of(cls, operation: Operation) -> "_Choice":
        main = check_operation(operation)
        controls = _controls(operation)
        route, net = operation.name.value, None
        if not isinstance(operation, Generate | Img2Img):
            asked, named = None, None  # an erasure takes the route of its Fill checkpoint
            if isinstance(operation, Inpaint | Outpaint):
                asked, named = operation.route, operation.inpainting_controlnet
            chosen, net = resolve_route(main.name, asked, named)
            route = chosen.value
        return cls(
            main=main,
            controlnet=find(controls[0].checkpoint) if controls else None,
            inpainting=find(net) if net else None,
            route=route,
        )


class DiffusionEngine:
    """Runs operations with FLUX checkpoints, one at a time; implements `editing.engine.EditEngine`.

    Every run has a scheduler of its own and a generator of its own, so that a run's pixels depend on its operation and
    on nothing that ran, failed or was cancelled before.
    """

    def __init__(self, settings: EngineSettings, accepted: Callable[[str], bool]) -> None:
        """Set the engine up; nothing is loaded yet.

        Args:
            settings: How to load and run.
            accepted: Whether the licence of a checkpoint of this name was accepted; asked at every run.

        Raises:
            EngineError: `offload_unavailable`.
        """
        self._settings = settings
        self._accepted = accepted
        self._device = pick_device(settings)
        self._dtype = torch_dtype(settings.dtype, self._device)
        self._shelf = CheckpointShelf(settings, device=self._device, dtype=self._dtype)
        self._runner = PipelineRunner(settings, device=self._device)
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
        choice = _Choice.of(operation)
        self._require_licences([each for each in (choice.main, choice.controlnet, choice.inpainting) if each])
        watch = _Watch(on_step=on_step, cancelled=cancelled)
        if cancelled():
            raise EditCancelled
        # 2. Load.
        if self._settings.threads is not None:
            torch.set_num_threads(self._settings.threads)
            cv2.setNumThreads(self._settings.threads)
        start = time.perf_counter()
        models = self._load(choice)
        watch.lap("load", start)
        # 3. Run, 4. write down how.
        with quiet_libraries():
            start = time.perf_counter()
            outcome = self._outcome(operation, models, watch)
            watch.lap("edit", start)
        watch.seconds["total"] = round(time.perf_counter() - begun, 4)
        facts = self._facts(models, outcome, watch)
        return EditedImage(raster=outcome.raster, facts=facts, control_images=outcome.control_images)

    def _require_licences(self, checkpoints: Sequence[Checkpoint]) -> None:
        for checkpoint in checkpoints:
            if checkpoint.needs_acceptance and not self._accepted(checkpoint.name):
                raise EngineError(
                    f"the licence of {checkpoint.name} ({checkpoint.licence}, {checkpoint.licence_url}) has not been "
                    f"accepted: read it, then `studio models accept {checkpoint.name}`",
                    code="licence_not_accepted",
                    field="checkpoint",
                    value=checkpoint.name,
                    limit=checkpoint.licence,
                )

    def _load(self, choice: _Choice) -> _Models:
        return _Models(
            main=self._shelf.get(choice.main),
            controlnet=self._shelf.get(choice.controlnet) if choice.controlnet else None,
            inpainting=self._shelf.get(choice.inpainting) if choice.inpainting else None,
            route=choice.route,
        )

    def _outcome(self, operation: Operation, models: _Models, watch: _Watch) -> Outcome:
        checkpoint = models.main.checkpoint
        paint = self._painter(models, _controls(operation), watch)
        match operation:
            case Generate():
                return edits.generate(operation, checkpoint, paint)
            case Img2Img():
                return edits.img2img(operation, checkpoint, paint)
            case _:
                return edits.masked(operation, checkpoint, paint, watch.expect)

    def _painter(self, models: _Models, controls: Sequence[Control], watch: _Watch) -> edits.Paint:
        def paint(
            *,
            prompt: str,
            size: tuple[int, int],
            sampling: Sampling,
            pixels: Pixels | None = None,
            mask: Mask | None = None,
            images: Sequence[Pixels] = (),
        ) -> Pixels:
            start = time.perf_counter()
            run = Run(
                prompt=prompt,
                size=size,
                sampling=sampling,
                pixels=pixels,
                mask=mask,
                steering=Steering(controlnet=models.controlnet, controls=controls, images=images)
                if models.controlnet
                else None,
                inpainting=models.inpainting,
            )
            painted = self._runner.run(
                models.main, run, route=models.route, on_step=watch.step, cancelled=watch.cancelled
            )
            watch.done += 1
            watch.lap("model", start)
            return painted

        return paint

    def _facts(self, models: _Models, outcome: Outcome, watch: _Watch) -> EditFacts:
        return EditFacts(
            checkpoint=models.main.checkpoint.name,
            route=models.route,
            weights={
                f"{loaded.checkpoint.name}/{file}": digest
                for loaded in models.used
                for file, digest in loaded.digests.items()
            },
            checkpoints={loaded.checkpoint.name: loaded.revision for loaded in models.used},
            sampling=outcome.sampling,
            device=str(self._device),
            dtype=str(self._dtype).removeprefix("torch."),
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


def _controls(operation: Operation) -> tuple[Control, ...]:
    return operation.controls if isinstance(operation, Generate | Inpaint) else ()
