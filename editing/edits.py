"""Edits: from an operation to the runs of a model that it takes, and back to one picture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import numpy as np

from editing.blending import Intent, Prefill
from editing.boxes import Box, around, model_size, outside, padded_size
from editing.catalogue import starts_from_picture
from editing.checkpoints import Checkpoint
from editing.colour import from_srgb, srgb_pixels, to_srgb
from editing.controls import control_image
from editing.engine import BlendFacts, PaintPass, SeamTry
from editing.guides import Control
from editing.matching import match_palette
from editing.operations import Erase, Generate, Img2Img, Inpaint, Outpaint, Sampling
from editing.outpainting import Extension, extension_strips, paint_extension, plan_extension
from editing.prefill import prefilled
from editing.rasters import Mask, Pixels, Raster
from editing.regions import RegionPlan, Scene, edit_region, plan_region, repainted
from editing.resampling import resize_pixels, resize_plane
from editing.seams import SEAM_REACH, Seam, measure_seams
from editing.seeds import derived_seed

MaskedEdit: TypeAlias = Inpaint | Outpaint | Erase

_PREFILLS = {
    Intent.FILL: Prefill.BLUR,
    Intent.ADD: Prefill.KEEP,
    Intent.REMOVE: Prefill.TELEA,
    Intent.REPLACE_BACKGROUND: Prefill.BLUR,
    Intent.EXPAND: Prefill.BLUR,
}
"""What a model that starts from what is there should start from, where the request does not say."""


class Paint(Protocol):
    """Runs the model once."""

    def __call__(
        self,
        *,
        prompt: str,
        size: tuple[int, int],
        sampling: Sampling,
        pixels: Pixels | None = None,
        mask: Mask | None = None,
        images: Sequence[Pixels] = (),
    ) -> Pixels:
        """Paint a picture of `size`; `images` are the control images of the operation's controls, in order."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What an edit made, before the facts about its models."""

    raster: Raster
    sampling: Sampling
    size: tuple[int, int]
    box: Box | None = None
    exact: bool = True
    control_images: tuple[Pixels, ...] = ()
    passes: tuple[PaintPass, ...] = ()
    blend: BlendFacts | None = None
    seam: Seam | None = None
    tries: tuple[SeamTry, ...] = ()


def generate(operation: Generate, checkpoint: Checkpoint, paint: Paint) -> Outcome:
    """Make a picture from text; the model runs at the next multiples, and the margin is cut off evenly."""
    asked = (operation.width, operation.height)
    size = padded_size(*asked, multiple=checkpoint.size_multiple)
    images = tuple(_padded(control_image(control, size=asked), size) for control in operation.controls)
    pixels = paint(prompt=operation.prompt, size=size, sampling=operation.sampling, images=images)
    left, top = (size[0] - asked[0]) // 2, (size[1] - asked[1]) // 2
    raster = Raster(pixels=pixels[top : top + asked[1], left : left + asked[0]])
    return Outcome(raster=raster, sampling=operation.sampling, size=size, control_images=images)


def img2img(operation: Img2Img, checkpoint: Checkpoint, paint: Paint) -> Outcome:
    """Make a picture anew from one that is there; in its profile and with its alpha plane, scaled as it is."""
    picture, target = operation.picture, operation.target
    # a picture within the model's reach is painted at its own size; only a tiny one is painted larger
    at = max(checkpoint.sizes.smallest_pixels, target[0] * target[1])
    sizes = checkpoint.sizes
    size = model_size(*target, replace(sizes, smallest_pixels=at, native_pixels=at, bucket=sizes.multiple))
    start = resize_pixels(srgb_pixels(picture), size)
    painted = paint(prompt=operation.prompt, size=size, sampling=operation.sampling, pixels=start)
    pixels = from_srgb(resize_pixels(painted, target), picture.icc_profile)
    alpha = None if picture.alpha is None else resize_plane(picture.alpha, target)
    raster = Raster(pixels=pixels, alpha=alpha, icc_profile=picture.icc_profile)
    return Outcome(raster=raster, sampling=operation.sampling, size=size)


def masked(operation: MaskedEdit, checkpoint: Checkpoint, paint: Paint, expect: Callable[[int], None]) -> Outcome:
    """Edit part of a picture; again on other seeds if its seam shows and the request says so. The best is kept.

    Args:
        operation: What to do.
        checkpoint: The checkpoint that paints.
        paint: Runs the model once.
        expect: Told how many runs of the model come next.

    Returns:
        The outcome.
    """
    job = _Job(operation, checkpoint, paint)
    retry, first = operation.retry, operation.sampling.seed

    def attempt(number: int) -> Outcome:
        expect(job.passes)
        return job.run(replace(operation.sampling, seed=derived_seed(first, "retry", number)))

    best = latest = attempt(0)
    tries: list[SeamTry] = []
    while retry is not None and latest.seam is not None:
        tries.append(SeamTry(seed=latest.sampling.seed, score=latest.seam.score))
        if latest.seam.score <= retry.limit or len(tries) > retry.attempts:
            break
        latest = attempt(len(tries))
        if latest.seam is not None and best.seam is not None and latest.seam.score < best.seam.score:
            best = latest
    return replace(best, tries=tuple(tries))


class _Job:
    """One masked edit: planned once, painted as often as needed."""

    def __init__(self, operation: MaskedEdit, checkpoint: Checkpoint, paint: Paint) -> None:
        self._operation = operation
        self._paint = paint
        self._intent = operation.blend.intended(operation.intents)
        self._controls: tuple[Control, ...] = operation.controls if isinstance(operation, Inpaint) else ()
        self._prefill = _prefill(operation, self._intent)
        self._extension: Extension | None = None
        if isinstance(operation, Outpaint):
            self._extension = plan_extension(
                operation.picture.size, operation.placement, operation.blend, checkpoint.sizes
            )
            self._plans: tuple[RegionPlan, ...] = self._extension.plans
            self._frame = (operation.placement.width, operation.placement.height)
        else:
            self._plans = (plan_region(operation.mask, operation.blend, checkpoint.sizes, intent=self._intent),)
            self._frame = operation.picture.size

    def run(self, sampling: Sampling) -> Outcome:
        """Paint it once, on one seed."""
        images: list[Pixels] = []
        painter = self._painter(sampling, images)
        raster = self._painted(painter, sampling.seed)
        plan = self._plans[0]
        return Outcome(
            raster=raster,
            sampling=sampling,
            size=plan.size,
            box=around([each.box for each in self._plans]),
            exact=not plan.spill,
            control_images=tuple(images),
            passes=tuple(
                PaintPass(box=each.box.edges, size=each.size, seed=derived_seed(sampling.seed, "pass", number))
                for number, each in enumerate(self._plans)
            ),
            blend=self._blend_facts(plan),
            seam=self._seam(raster),
        )

    @property
    def passes(self) -> int:
        """Runs of the model that one try takes."""
        return len(self._plans)

    def _painted(self, painter: Callable[[Scene], Pixels], seed: int) -> Raster:
        operation = self._operation
        grain = derived_seed(seed, "grain", 1) if operation.blend.match_grain else None
        if isinstance(operation, Outpaint) and self._extension is not None:
            return paint_extension(operation.picture, operation.placement, self._extension, painter, grain_seed=grain)
        assert not isinstance(operation, Outpaint)  # noqa: S101 - for the type checker: an outpaint has its extension
        return edit_region(operation.picture, operation.mask, self._plans[0], painter, grain_seed=grain)

    def _painter(self, sampling: Sampling, images: list[Pixels]) -> Callable[[Scene], Pixels]:
        operation = self._operation
        prompt = "" if isinstance(operation, Erase) else operation.prompt
        continues = isinstance(operation, Erase) or (isinstance(operation, Outpaint) and not prompt.strip())

        def paint(scene: Scene) -> Pixels:
            own = scene.pixels
            images.extend(
                control_image(control, size=_size(own), own=own, box=scene.box, frame=self._frame)
                for control in self._controls
            )
            if self._prefill is not None:
                at_once = (scene.mask >= 1.0).astype(np.float32)  # what only fades in keeps what is there
                own = prefilled(own, at_once, self._prefill, seed=derived_seed(sampling.seed, "prefill", scene.number))
            painted = self._paint(
                prompt=prompt,
                size=_size(own),
                sampling=replace(sampling, seed=derived_seed(sampling.seed, "pass", scene.number)),
                pixels=own,
                mask=scene.mask,
                images=images,
            )
            if continues and operation.blend.match_colour:
                return match_palette(painted, scene.pixels, repainted(scene.mask))
            return painted

        return paint

    def _blend_facts(self, plan: RegionPlan) -> BlendFacts:
        return BlendFacts(
            intent=self._intent,
            grow=plan.grow,
            soften=plan.soften,
            feather=plan.feather,
            widest=plan.widest,
            prefill=self._prefill,
            join=plan.join,
            match_colour=plan.match_colour,
            match_grain=self._operation.blend.match_grain,
        )

    def _seam(self, raster: Raster) -> Seam | None:
        """Measure the border near which anything was painted; only those parts are converted to sRGB."""
        if self._extension is not None:
            old = self._extension.old
            strips = extension_strips(old, self._frame, SEAM_REACH)
            return measure_seams(_srgb_part(raster, strip, outside(strip, (old,))) for strip in strips)
        assert not isinstance(self._operation, Outpaint)  # noqa: S101 - for the type checker
        near = self._plans[0].box.widened(SEAM_REACH, raster.size)
        return measure_seams([_srgb_part(raster, near, self._operation.mask[near.slices])])


def _prefill(operation: MaskedEdit, intent: Intent) -> Prefill | None:
    """What the model starts from; nothing where it starts from noise alone."""
    if not starts_from_picture(operation.sampling):
        return None
    return operation.blend.prefill or _PREFILLS[intent]


def _srgb_part(raster: Raster, box: Box, mask: Mask) -> tuple[Pixels, Mask]:
    pixels = to_srgb(np.ascontiguousarray(raster.pixels[box.slices]), raster.icc_profile)
    return pixels, np.ascontiguousarray(mask)


def _size(pixels: Pixels) -> tuple[int, int]:
    return int(pixels.shape[1]), int(pixels.shape[0])


def _padded(edges: Pixels, size: tuple[int, int]) -> Pixels:
    """Centre a control image in the size at which the model runs; no edges in the margin that is cut off again."""
    height, width = edges.shape[:2]
    if (width, height) == size:
        return edges
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    padded = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    padded[top : top + height, left : left + width] = edges
    return padded
