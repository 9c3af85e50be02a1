"""Edits: from an operation to the runs of a model that it takes, and back to one picture."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import cv2
import numpy as np

from editing.blending import Intent, Prefill
from editing.boxes import Box, around, model_size, outside, padded_size
from editing.catalogue import starts_from_picture
from editing.checkpoints import Checkpoint, Family
from editing.colour import from_srgb, srgb_pixels, to_srgb
from editing.controls import control_image
from editing.detecting import DETECTORS, Detect, detector_of
from editing.diffusion.rooms import Run
from editing.engine import BlendFacts, PaintPass, SeamTry
from editing.guides import Control, ControlKind, ControlMode, Guides
from editing.matching import match_palette
from editing.operations import ControlMap, Erase, Generate, Img2Img, Inpaint, Instruct, Outpaint, Sampling
from editing.outpainting import Extension, extend, extension_strips, paint_extension, plan_extension
from editing.prefill import prefilled
from editing.rasters import Mask, Pixels, Raster
from editing.regions import RegionPlan, Scene, edit_region, plan_region, repainted
from editing.resampling import resize_pixels, resize_plane
from editing.seams import SEAM_REACH, Seam, measure_seams
from editing.seeds import derived_seed

Paint: TypeAlias = Callable[[Run], Pixels]
"""Runs the model once: uint8 (h, w, 3), sRGB, of the run's size."""
MaskedEdit: TypeAlias = Inpaint | Outpaint | Erase

_PREFILLS = {
    Intent.FILL: Prefill.BLUR,
    Intent.ADD: Prefill.KEEP,
    Intent.REMOVE: Prefill.TELEA,
    Intent.REPLACE_BACKGROUND: Prefill.BLUR,
    Intent.EXPAND: Prefill.BLUR,
}
"""What a model that starts from what is there should start from, where the request does not say."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What an edit made, before the facts about its models."""

    raster: Raster
    sampling: Sampling | None
    size: tuple[int, int]
    box: Box | None = None
    exact: bool = True
    control_images: tuple[Pixels, ...] = ()
    passes: tuple[PaintPass, ...] = ()
    blend: BlendFacts | None = None
    seam: Seam | None = None
    tries: tuple[SeamTry, ...] = ()


def generate(operation: Generate, checkpoint: Checkpoint, paint: Paint, detect: Detect) -> Outcome:
    """Make a picture from text; the model runs at the next multiples, and the margin is cut off evenly."""
    asked = (operation.width, operation.height)
    size = padded_size(*asked, multiple=checkpoint.size_multiple)
    images = tuple(
        _padded(control_image(control, size=asked, detect=detect), size, control.kind)
        for control in operation.guides.controls
    )
    pixels = paint(
        Run(prompt=operation.prompt, size=size, sampling=operation.sampling, images=images, guides=operation.guides)
    )
    raster = Raster(pixels=_middle(pixels, asked))
    return Outcome(raster=raster, sampling=operation.sampling, size=size, control_images=images)


def img2img(operation: Img2Img, checkpoint: Checkpoint, paint: Paint, detect: Detect) -> Outcome:
    """Make a picture anew from one that is there; in its profile and with its alpha plane, scaled as it is."""
    size = _whole_size(operation.target, checkpoint)
    start = resize_pixels(srgb_pixels(operation.picture), size)
    images = tuple(control_image(control, size=size, own=start, detect=detect) for control in operation.guides.controls)
    painted = paint(
        Run(
            prompt=operation.prompt,
            size=size,
            sampling=operation.sampling,
            pixels=start,
            images=images,
            guides=operation.guides,
        )
    )
    raster = _like(operation.picture, painted, operation.target)
    return Outcome(raster=raster, sampling=operation.sampling, size=size, control_images=images)


def instruct(operation: Instruct, checkpoint: Checkpoint, paint: Paint) -> Outcome:
    """Change a picture as an instruction says; in its profile and with its alpha plane, scaled as it is.

    The model sees the pictures at about the area it likes, each in its own shape, and paints at the size asked for.
    """
    size = _whole_size(operation.target, checkpoint)
    seen = [_at_native(picture, checkpoint) for picture in (operation.picture, *operation.others)]
    painted = paint(
        Run(
            prompt=operation.prompt,
            size=size,
            sampling=operation.sampling,
            pixels=seen[0],
            others=seen[1:],
            guides=operation.guides,
        )
    )
    raster = _like(operation.picture, painted, operation.target)
    return Outcome(raster=raster, sampling=operation.sampling, size=size)


def control_map(operation: ControlMap, detect: Detect) -> Outcome:
    """Make the control image of a picture, at the picture's size; an opaque picture in sRGB."""
    seen = np.ascontiguousarray(srgb_pixels(operation.picture))
    pixels = detect(seen, operation.detector, low=operation.low, high=operation.high)
    return Outcome(raster=Raster(pixels=pixels), sampling=None, size=operation.picture.size)


def _whole_size(target: tuple[int, int], checkpoint: Checkpoint) -> tuple[int, int]:
    """Where a whole picture is painted: at its own size within the model's reach; only a tiny one is painted larger."""
    sizes = checkpoint.sizes
    at = max(sizes.smallest_pixels, target[0] * target[1])
    return model_size(*target, replace(sizes, smallest_pixels=at, native_pixels=at, bucket=sizes.multiple))


def _at_native(picture: Raster, checkpoint: Checkpoint) -> Pixels:
    """A picture scaled to about the area that a checkpoint likes, in its own shape, sides multiples of its own.

    Kontext was trained on pictures of that area alone; others take smaller ones as they are, at less cost.
    """
    sizes = checkpoint.sizes
    at = sizes.native_pixels
    if checkpoint.family is not Family.KONTEXT:
        at = min(at, picture.width * picture.height)
    size = model_size(*picture.size, replace(sizes, smallest_pixels=at, native_pixels=at, bucket=sizes.multiple))
    return resize_pixels(np.ascontiguousarray(srgb_pixels(picture)), size)


def _like(picture: Raster, painted: Pixels, size: tuple[int, int]) -> Raster:
    """What was painted, at a size, in the profile of a picture and with its alpha plane."""
    pixels = from_srgb(resize_pixels(painted, size), picture.icc_profile)
    alpha = None if picture.alpha is None else resize_plane(picture.alpha, size)
    return Raster(pixels=pixels, alpha=alpha, icc_profile=picture.icc_profile)


def masked(
    operation: MaskedEdit, checkpoint: Checkpoint, paint: Paint, detect: Detect, expect: Callable[[int], None]
) -> Outcome:
    """Edit part of a picture; again on other seeds if its seam shows and the request says so. The best is kept.

    Args:
        operation: What to do.
        checkpoint: The checkpoint that paints.
        paint: Runs the model once.
        detect: Makes control images.
        expect: Told how many runs of the model come next.

    Returns:
        The outcome.
    """
    job = _Job(operation, checkpoint, paint, detect)
    retry, first = operation.retry, operation.sampling.seed

    def seed_of(number: int) -> int:
        return derived_seed(first, "retry", number)

    def attempt(number: int) -> Outcome:
        expect(job.passes)
        return job.run(replace(operation.sampling, seed=seed_of(number)))

    best = latest = attempt(0)
    tries: list[SeamTry] = []
    while retry is not None and latest.seam is not None:
        tries.append(SeamTry(seed=seed_of(len(tries)), score=latest.seam.score))
        if latest.seam.score <= retry.limit or len(tries) > retry.attempts:
            break
        latest = attempt(len(tries))
        if latest.seam is not None and best.seam is not None and latest.seam.score < best.seam.score:
            best = latest
    return replace(best, tries=tuple(tries))


class _Job:
    """One masked edit: planned once, painted as often as needed."""

    def __init__(self, operation: MaskedEdit, checkpoint: Checkpoint, paint: Paint, detect: Detect) -> None:
        self._operation = operation
        self._paint = paint
        self._detect = detect
        self._intent = operation.blend.intended(operation.intents)
        self._guides = Guides() if isinstance(operation, Erase) else operation.guides
        self._whole = _own_whole(operation) if any(_sees_own_whole(each) for each in self._guides.controls) else None
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
            read = [
                control_image(
                    control,
                    size=_size(own),
                    own=own,
                    whole=self._whole,
                    box=scene.box,
                    frame=self._frame,
                    detect=self._detect,
                )
                for control in self._guides.controls
            ]
            images.extend(read)
            if self._prefill is not None:
                at_once = (scene.mask >= 1.0).astype(np.float32)  # what only fades in keeps what is there
                own = prefilled(own, at_once, self._prefill, seed=derived_seed(sampling.seed, "prefill", scene.number))
            painted = self._paint(
                Run(
                    prompt=prompt,
                    size=_size(own),
                    sampling=replace(sampling, seed=derived_seed(sampling.seed, "pass", scene.number)),
                    pixels=own,
                    mask=scene.mask,
                    images=read,
                    guides=self._guides,
                )
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


def _sees_own_whole(control: Control) -> bool:
    """Whether its map is found in all of the operation's own picture, not in the part that the model sees."""
    made = control.picture is None and control.mode is ControlMode.PREPROCESS
    return made and DETECTORS[detector_of(control)].whole


def _own_whole(operation: MaskedEdit) -> Raster:
    """All of an edit's own picture; an outpaint's on its canvas, mirrored beyond its borders as the model sees it."""
    if isinstance(operation, Outpaint):
        pixels, _ = extend(operation.picture, operation.placement)
        return Raster(pixels=pixels, icc_profile=operation.picture.icc_profile)
    return operation.picture


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


def _middle(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    left, top = (pixels.shape[1] - size[0]) // 2, (pixels.shape[0] - size[1]) // 2
    return pixels[top : top + size[1], left : left + size[0]]


_BLACK_IS_NOTHING = frozenset({ControlKind.CANNY, ControlKind.SOFT_EDGE, ControlKind.LINE_ART, ControlKind.POSE})
"""Kinds whose control images are black where there is nothing; in the others black says something."""


def _padded(image: Pixels, size: tuple[int, int], kind: ControlKind) -> Pixels:
    """Centre a control image in the size at which the model runs, whose margin is cut off again.

    In the margin there is nothing, or what lies at the border goes on: black bars would be painted and shine inwards.
    """
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    margins = (top, size[1] - height - top, left, size[0] - width - left)
    how = cv2.BORDER_CONSTANT if kind in _BLACK_IS_NOTHING else cv2.BORDER_REPLICATE
    return np.asarray(cv2.copyMakeBorder(image, *margins, how, value=(0, 0, 0)), dtype=np.uint8)
