"""The FLUX engine: from an operation to a finished picture and its facts."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version

import cv2
import numpy as np
import torch

from editing.blending import Blend
from editing.boxes import Box, padded_size
from editing.catalogue import Checkpoint, Family, check_operation, find
from editing.controls import control_image
from editing.engine import EditedImage, EditFacts, Progress
from editing.errors import EditCancelled, EngineError
from editing.flux.loading import CheckpointShelf, LoadedCheckpoint, pick_device, torch_dtype
from editing.flux.pipelines import PipelineRunner, Run, Steering
from editing.flux.quiet import quiet_libraries
from editing.flux.settings import FluxSettings
from editing.operations import Control, Erase, Generate, Img2Img, Inpaint, Operation, Outpaint, Sampling
from editing.rasters import Mask, Pixels, Raster
from editing.regions import ERASE_FEATHER, Scene, edit_region, extend, plan_region, prefilled

_LIBRARIES = ("torch", "diffusers", "transformers", "numpy", "pillow", "opencv-python-headless")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watch:
    """Callbacks of one run, and the seconds of its phases."""

    on_step: Callable[[Progress], None]
    cancelled: Callable[[], bool]
    seconds: dict[str, float] = field(default_factory=dict)

    def lap(self, phase: str, start: float) -> None:
        self.seconds[phase] = round(self.seconds.get(phase, 0.0) + time.perf_counter() - start, 4)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Models:
    """The checkpoints of one run."""

    main: LoadedCheckpoint
    controlnet: LoadedCheckpoint | None

    @property
    def used(self) -> list[LoadedCheckpoint]:
        return [self.main] if self.controlnet is None else [self.main, self.controlnet]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Outcome:
    """What a run made, before its facts."""

    raster: Raster
    route: str
    box: Box | None
    size: tuple[int, int]
    exact: bool
    control_images: tuple[Pixels, ...]


class FluxEngine:
    """Runs operations with FLUX checkpoints, one at a time; implements `editing.engine.EditEngine`.

    Every run has a scheduler of its own and a generator of its own, so that a run's pixels depend on its operation and
    on nothing that ran, failed or was cancelled before.
    """

    def __init__(self, settings: FluxSettings, accepted: Callable[[str], bool]) -> None:
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
        checkpoint = check_operation(operation)
        controls = operation.controls if isinstance(operation, Generate | Inpaint) else ()
        controlnet = find(controls[0].checkpoint) if controls else None
        self._require_licences([checkpoint, *([controlnet] if controlnet else [])])
        watch = _Watch(on_step=on_step, cancelled=cancelled)
        if cancelled():
            raise EditCancelled
        # 2. Load.
        if self._settings.threads is not None:
            torch.set_num_threads(self._settings.threads)
            cv2.setNumThreads(self._settings.threads)
        start = time.perf_counter()
        models = _Models(
            main=self._shelf.get(checkpoint), controlnet=self._shelf.get(controlnet) if controlnet else None
        )
        watch.lap("load", start)
        # 3. Run, 4. write down how.
        with quiet_libraries():
            outcome = self._outcome(operation, models, watch)
        watch.seconds["total"] = round(time.perf_counter() - begun, 4)
        facts = self._facts(models, operation.sampling, outcome, watch)
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

    def _outcome(self, operation: Operation, models: _Models, watch: _Watch) -> _Outcome:
        match operation:
            case Generate():
                return self._generate(operation, models, watch)
            case Img2Img():
                raise NotImplementedError
            case Inpaint():
                return self._edit(operation, operation.picture, operation.mask, models, watch)
            case Erase():
                return self._edit(operation, operation.picture, operation.mask, models, watch)
            case Outpaint():
                canvas = extend(operation.picture, operation.placement)
                return self._edit(operation, canvas.raster, canvas.mask, models, watch)

    def _generate(self, operation: Generate, models: _Models, watch: _Watch) -> _Outcome:
        asked = (operation.width, operation.height)
        size = padded_size(*asked, multiple=models.main.checkpoint.size_multiple)
        images = tuple(_padded(control_image(control, size=asked), size) for control in operation.controls)
        run = Run(
            prompt=operation.prompt,
            size=size,
            sampling=operation.sampling,
            steering=_steering(models, operation.controls, images),
        )
        route = "controlnet" if images else "generate"
        pixels = self._paint(models, run, route, watch)
        left, top = (size[0] - asked[0]) // 2, (size[1] - asked[1]) // 2
        raster = Raster(pixels=pixels[top : top + asked[1], left : left + asked[0]])
        return _Outcome(raster=raster, route=route, box=None, size=size, exact=True, control_images=images)

    def _edit(
        self, operation: Inpaint | Outpaint | Erase, raster: Raster, mask: Mask, models: _Models, watch: _Watch
    ) -> _Outcome:
        checkpoint = models.main.checkpoint
        controls = operation.controls if isinstance(operation, Inpaint) else ()
        route = "fill" if checkpoint.family is Family.FILL else ("controlnet_inpaint" if controls else "inpaint")
        plan = plan_region(
            mask,
            _blend(operation),
            native_pixels=checkpoint.native_pixels,
            multiple=checkpoint.size_multiple,
        )
        images: list[Pixels] = []

        def paint(scene: Scene) -> Pixels:
            if isinstance(operation, Outpaint) and route != "fill":  # Fill never sees what its mask covers
                scene = prefilled(scene)
            images.extend(
                control_image(control, size=plan.size, own=scene.pixels, box=scene.box, frame=raster.size)
                for control in controls
            )
            run = Run(
                prompt="" if isinstance(operation, Erase) else operation.prompt,
                size=plan.size,
                sampling=operation.sampling,
                pixels=scene.pixels,
                mask=scene.mask,
                steering=_steering(models, controls, images),
            )
            return self._paint(models, run, route, watch)

        start = time.perf_counter()
        edited = edit_region(raster, mask, plan, paint)
        watch.lap("edit", start)
        return _Outcome(
            raster=edited,
            route=route,
            box=plan.box,
            size=plan.size,
            exact=not plan.spill,
            control_images=tuple(images),
        )

    def _paint(self, models: _Models, run: Run, route: str, watch: _Watch) -> Pixels:
        start = time.perf_counter()
        pixels = self._runner.run(models.main, run, route=route, on_step=watch.on_step, cancelled=watch.cancelled)
        watch.lap("model", start)
        return pixels

    def _facts(self, models: _Models, sampling: Sampling, outcome: _Outcome, watch: _Watch) -> EditFacts:
        return EditFacts(
            checkpoint=models.main.checkpoint.name,
            route=outcome.route,
            weights={
                f"{loaded.checkpoint.name}/{file}": digest
                for loaded in models.used
                for file, digest in loaded.digests.items()
            },
            checkpoints={loaded.checkpoint.name: loaded.revision for loaded in models.used},
            sampling=sampling,
            device=str(self._device),
            dtype=str(self._dtype).removeprefix("torch."),
            threads=torch.get_num_threads(),
            versions=dict(self._versions),
            box=outcome.box.edges if outcome.box else None,
            model_size=outcome.size,
            exact_outside_mask=outcome.exact,
            seconds=dict(watch.seconds),
        )


def _blend(operation: Inpaint | Outpaint | Erase) -> Blend:
    if isinstance(operation, Erase) and operation.blend.feather is None:
        return replace(operation.blend, feather=ERASE_FEATHER)
    return operation.blend


def _steering(models: _Models, controls: Sequence[Control], images: Sequence[Pixels]) -> Steering | None:
    if models.controlnet is None:
        return None
    return Steering(controlnet=models.controlnet, controls=controls, images=images)


def _padded(edges: Pixels, size: tuple[int, int]) -> Pixels:
    """Centre a control image in the size at which the model runs; no edges in the margin that is cut off again."""
    height, width = edges.shape[:2]
    if (width, height) == size:
        return edges
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    padded = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    padded[top : top + height, left : left + width] = edges
    return padded
