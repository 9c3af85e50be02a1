"""A test-only engine: paints one flat colour, drawn from the seed, where the mask repaints. No torch."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from editing import (
    EditCancelled,
    EditedImage,
    EditFacts,
    Erase,
    Generate,
    Inpaint,
    Operation,
    Outpaint,
    Progress,
    Raster,
)


@dataclass
class PaintEngine:
    """Paints; `steps` steps of `pause` seconds. Counts its runs, and can be told what to do at the end of one."""

    pause: float = 0.0
    runs: int = 0
    then: Callable[[Raster], Raster] = lambda raster: raster
    seen: list[Operation] = field(default_factory=list)

    def run(
        self, operation: Operation, *, on_step: Callable[[Progress], None], cancelled: Callable[[], bool]
    ) -> EditedImage:
        self.runs += 1
        self.seen.append(operation)
        steps = operation.sampling.steps
        for step in range(1, steps + 1):
            if cancelled():
                raise EditCancelled
            time.sleep(self.pause)
            on_step(Progress(step=step, steps=steps))
        if cancelled():
            raise EditCancelled
        return EditedImage(raster=self.then(paint(operation)), facts=facts_of(operation))


def paint(operation: Operation) -> Raster:
    colour = np.random.default_rng(operation.sampling.seed).integers(0, 256, 3, dtype=np.uint8)
    match operation:
        case Generate():
            return Raster(pixels=np.broadcast_to(colour, (operation.height, operation.width, 3)).copy())
        case Inpaint() | Erase():
            pixels = operation.picture.pixels.copy()
            pixels[operation.mask > 0] = colour
            picture = operation.picture
            return Raster(pixels=pixels, alpha=picture.alpha, icc_profile=picture.icc_profile)
        case Outpaint():
            place, picture = operation.placement, operation.picture
            pixels = np.broadcast_to(colour, (place.height, place.width, 3)).copy()
            pixels[place.top : place.top + picture.height, place.left : place.left + picture.width] = picture.pixels
            return Raster(pixels=pixels, icc_profile=picture.icc_profile)


def facts_of(operation: Operation) -> EditFacts:
    return EditFacts(
        checkpoint=operation.checkpoint,
        route="paint",
        weights={},
        checkpoints={operation.checkpoint: "none"},
        sampling=operation.sampling,
        device="cpu",
        dtype="uint8",
        threads=1,
        versions={},
        box=None,
        model_size=(16, 16),
        exact_outside_mask=True,
        seconds={"run": 0.0},
    )
