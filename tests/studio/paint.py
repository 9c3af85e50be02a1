"""A test-only engine: paints one flat colour, drawn from the seed, where the mask repaints. No torch.

A control map is the picture in grey; guides play no part, but `seen` has them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from editing import (
    BlendFacts,
    ControlMap,
    EditCancelled,
    EditedImage,
    EditFacts,
    Erase,
    Generate,
    Img2Img,
    Inpaint,
    Instruct,
    Join,
    Operation,
    Outpaint,
    PaintPass,
    Progress,
    Raster,
    Route,
    Sampling,
    Seam,
    SeamTry,
    derived_seed,
)

Whole = Generate | Img2Img | Instruct
"""Operations that make a whole picture, which has no border."""
Partial = Inpaint | Outpaint | Erase
"""Operations that paint a part."""


@dataclass
class PaintEngine:
    """Paints; `steps` steps of `pause` seconds. Counts its runs, and can be told what to do at the end of one."""

    pause: float = 0.0
    runs: int = 0
    then: Callable[[Raster], Raster] = lambda raster: raster
    score: Callable[[int], float] = lambda seed: 1.25
    """The seam score of an edit on this seed."""
    at_step: Callable[[int, int], None] = lambda run, step: None
    """Told the number of the run and the step before each step."""
    seen: list[Operation] = field(default_factory=list)

    def run(
        self, operation: Operation, *, on_step: Callable[[Progress], None], cancelled: Callable[[], bool]
    ) -> EditedImage:
        self.runs += 1
        self.seen.append(operation)
        if isinstance(operation, ControlMap):
            return EditedImage(raster=self.then(grey(operation.picture)), facts=facts_of_map(operation))
        steps = operation.sampling.steps
        for step in range(1, steps + 1):
            if cancelled():
                raise EditCancelled
            self.at_step(self.runs, step)
            time.sleep(self.pause)
            on_step(Progress(step=step, steps=steps))
        if cancelled():
            raise EditCancelled
        tries = self._tries(operation)
        kept = min(tries, key=lambda each: each.score).seed if tries else operation.sampling.seed
        sampling = replace(operation.sampling, seed=kept)
        seam = None if isinstance(operation, Whole) else seam_of(self.score(kept))
        return EditedImage(
            raster=self.then(paint(operation, kept)), facts=facts_of(operation, sampling, seam=seam, tries=tries)
        )

    def _tries(self, operation: Whole | Partial) -> tuple[SeamTry, ...]:
        tries: list[SeamTry] = []
        if not isinstance(operation, Whole) and operation.retry is not None:
            for number in range(operation.retry.attempts + 1):
                seed = derived_seed(operation.sampling.seed, "retry", number)
                tries.append(SeamTry(seed=seed, score=self.score(seed)))
                if tries[-1].score <= operation.retry.limit:
                    break
        return tuple(tries)


def grey(picture: Raster) -> Raster:
    level = picture.pixels.mean(axis=2).astype(np.uint8)
    return Raster(pixels=np.repeat(level[..., None], 3, axis=2))


def facts_of_map(operation: ControlMap) -> EditFacts:
    return EditFacts(
        checkpoint=operation.checkpoint,
        route=operation.name.value,
        weights={},
        checkpoints={operation.checkpoint: "none"},
        sampling=None,
        device="cpu",
        dtype="uint8",
        threads=1,
        versions={},
        box=None,
        model_size=operation.picture.size,
        exact_outside_mask=True,
        seconds={"run": 0.0},
    )


def paint(operation: Whole | Partial, seed: int) -> Raster:
    colour = np.random.default_rng(seed).integers(0, 256, 3, dtype=np.uint8)
    match operation:
        case Generate():
            return Raster(pixels=np.broadcast_to(colour, (operation.height, operation.width, 3)).copy())
        case Img2Img() | Instruct():
            width, height = operation.target
            return Raster(pixels=np.broadcast_to(colour, (height, width, 3)).copy())
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


def seam_of(score: float) -> Seam:
    return Seam(border_de=score * 2, own_de=2.0, score=score, length=64)


def facts_of(
    operation: Whole | Partial, sampling: Sampling, *, seam: Seam | None, tries: tuple[SeamTry, ...]
) -> EditFacts:
    edited = None if isinstance(operation, Whole) else operation
    box = (0, 0, 16, 16)
    return EditFacts(
        checkpoint=operation.checkpoint,
        route=operation.name.value if edited is None else _route(edited).value,
        weights={},
        checkpoints={operation.checkpoint: "none"},
        sampling=sampling,
        device="cpu",
        dtype="uint8",
        threads=1,
        versions={},
        box=None if edited is None else box,
        model_size=(16, 16),
        exact_outside_mask=True,
        seconds={"run": 0.0},
        passes=() if edited is None else (PaintPass(box=box, size=(16, 16), seed=sampling.seed),),
        blend=None if edited is None else blend_of(edited),
        seam=seam,
        tries=tries,
    )


def blend_of(operation: Partial) -> BlendFacts:
    blend = operation.blend
    return BlendFacts(
        intent=blend.intended(operation.intents),
        grow=blend.grow or 0,
        soften=blend.soften or 0,
        feather=blend.feather or 0,
        widest=blend.feather or 0,
        prefill=blend.prefill,
        join=blend.join or Join.SOFT,
        match_colour=blend.match_colour,
        match_grain=blend.match_grain,
    )


def _route(operation: Partial) -> Route:
    return Route.FILL if isinstance(operation, Erase) else operation.route or Route.FILL
