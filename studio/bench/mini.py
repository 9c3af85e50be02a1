"""How good flux-mini is: every operation through the real engine, judged by `editing.mini.judge`.

Scenes and seeds are fixed and never occurred in training (training draws from other seeds). Prompts of one and of two
shapes take turns; some sizes are not square.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from editing.catalogue import find, pick
from editing.engine import EditEngine
from editing.guides import ControlKind
from editing.mini import judge
from editing.mini.drawing import (
    BACKGROUNDS,
    PHOTO,
    Drawing,
    Picture,
    background_phrase,
    draw,
    draw_background,
    draw_shapes,
    random_shape,
)
from editing.mini.photographs import photographs
from editing.operations import Erase, Inpaint, Operation, OperationName, Outpaint
from editing.placement import Placement
from editing.rasters import Pixels, Raster
from studio.bench.steering import LORAS, UNION, edges_followed, follow, generate, in_style, styled

_SEED = 977_000
_SIZES = ((128, 128), (128, 128), (144, 112), (128, 128), (112, 144), (128, 128), (160, 96), (128, 128))
_FEWER = 3
_CANVAS = 160  # side of the pictures that are edited, pixels
_ROOM = 12  # pixels round a mask within which an inpainted shape is looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One picture and what the judge said.

    Attributes:
        operation: Column of the scores: "generate", "inpaint", "erase", "outpaint", "edges with", "edges without",
            "edges by KIND", "style LORA".
        prompt: What was asked.
        before: What the engine was given, uint8 (h, w, 3), or None.
        after: What it made, uint8 (h, w, 3).
        score: 1 or 0 for right or wrong; the colour error (CIE dE) for outpaint; F1 for edges.
    """

    operation: str
    prompt: str
    before: Pixels | None
    after: Pixels
    score: float


Part = Callable[[EditEngine, int], Judged]


@dataclass(frozen=True, slots=True, kw_only=True)
class MiniScores:
    """The scores of flux-mini.

    Attributes:
        right: Share of prompts judged right, by operation: generate, inpaint, erase.
        outpaint_border_de: Mean CIE dE across the borders of outpainted pictures.
        edge_f1_with: Mean F1 of canny edges (3 px) against the control image.
        edge_f1_without: The same prompts and seeds without the ControlNet.
        edge_f1_by: Mean F1 with the union ControlNet, by kind of control image.
        styles: Share of pictures drawn in a LoRA's style, by its name.
        judged: Every picture.
    """

    right: Mapping[str, float]
    outpaint_border_de: float
    edge_f1_with: float
    edge_f1_without: float
    edge_f1_by: Mapping[str, float] = field(default_factory=dict)
    styles: Mapping[str, float] = field(default_factory=dict)
    judged: tuple[Judged, ...] = field(default=(), repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return the scores as the JSON object that `studio bench mini --json` prints."""
        return {
            "right": {name: round(share, 4) for name, share in self.right.items()},
            "outpaint_border_de": round(self.outpaint_border_de, 3),
            "edge_f1": {"with": round(self.edge_f1_with, 4), "without": round(self.edge_f1_without, 4)},
            "edge_f1_by": {kind: round(score, 4) for kind, score in self.edge_f1_by.items()},
            "styles": {name: round(share, 4) for name, share in self.styles.items()},
        }


def run(
    engine: EditEngine, *, count: int, on_progress: Callable[[int, int], None] = lambda _done, _all: None
) -> MiniScores:
    """Measure flux-mini.

    Args:
        engine: Runs the operations.
        count: Prompts per operation; a third as many for each kind of control image and for each LoRA.
        on_progress: Called with pictures done and pictures in all.

    Returns:
        The scores and every judged picture.

    Raises:
        EngineError: The packaged weights are missing or do not load.
    """
    kinds, fewer = find(UNION).controls, math.ceil(count / _FEWER)
    parts: list[tuple[Part, int]] = [
        (part, count) for part in (_generated, _inpainted, _erased, _outpainted, _edges_with, _edges_without)
    ]
    parts += [(part, fewer) for part in (*map(_steered, kinds), *map(_styled, LORAS))]
    total = sum(each for _, each in parts)
    judged: list[Judged] = []
    for part, each in parts:
        for index in range(each):
            judged.append(part(engine, index))
            on_progress(len(judged), total)

    def mean(operation: str) -> float:
        return float(np.mean([one.score for one in judged if one.operation == operation]))

    return MiniScores(
        right={name: mean(name) for name in ("generate", "inpaint", "erase")},
        outpaint_border_de=mean("outpaint"),
        edge_f1_with=mean("edges with"),
        edge_f1_without=mean("edges without"),
        edge_f1_by={kind.value: mean(f"edges by {kind}") for kind in kinds},
        styles={name: mean(f"style {name}") for name in LORAS},
        judged=tuple(judged),
    )


def _generated(engine: EditEngine, index: int) -> Judged:
    scene = _scene(index, _SIZES[index % len(_SIZES)])
    after = generate(engine, scene, _SEED + index)
    right = judge.shows(after, [(shape.colour, shape.kind) for shape in scene.shapes], scene.background)
    return Judged(operation="generate", prompt=scene.caption, before=None, after=after, score=float(right))


def _inpainted(engine: EditEngine, index: int) -> Judged:
    """A box in an empty scene, every fourth a photograph; a shape is asked for."""
    rng = _rng(index, 2)
    background = PHOTO if index % 4 == 3 else str(rng.choice(list(BACKGROUNDS)))  # noqa: PLR2004
    ground = draw_background(rng, background, _CANVAS, _CANVAS, photographs())
    side = rng.integers(56, 80, size=2)
    left, top = (int(rng.integers(8, _CANVAS - 8 - length)) for length in side)
    shape = random_shape(rng, left + side[0] / 2, top + side[1] / 2, 24.0)
    mask = np.zeros((_CANVAS, _CANVAS), np.float32)
    mask[top : top + side[1], left : left + side[0]] = 1.0
    checkpoint = _checkpoint(OperationName.INPAINT)
    operation = Inpaint(
        prompt=shape.phrase,
        picture=Raster(pixels=ground),
        mask=mask,
        sampling=find(checkpoint).sampling(OperationName.INPAINT, seed=_SEED + index),
        checkpoint=checkpoint,
    )
    after = _run(engine, operation)
    room = np.s_[max(0, top - _ROOM) : top + side[1] + _ROOM, max(0, left - _ROOM) : left + side[0] + _ROOM]
    right = judge.shows(np.ascontiguousarray(after[room]), [(shape.colour, shape.kind)], background)
    return Judged(
        operation="inpaint", prompt=shape.phrase, before=_veiled(ground, mask), after=after, score=float(right)
    )


def _erased(engine: EditEngine, index: int) -> Judged:
    """One shape of a scene is masked; a second one, if there is one, must not tempt."""
    scene = _scene(index, (_CANVAS, _CANVAS), salt=3)
    gone = scene.shapes[0]
    truth = draw_shapes(scene.clean, scene.shapes[1:])
    rows, columns = np.mgrid[:_CANVAS, :_CANVAS]
    reach = gone.radius + 5
    other = cv2.dilate((truth != scene.clean).any(-1).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    mask = ((abs(rows - gone.y) <= reach) & (abs(columns - gone.x) <= reach) & ~other).astype(np.float32)
    checkpoint = _checkpoint(OperationName.ERASE)
    operation = Erase(
        picture=Raster(pixels=scene.pixels),
        mask=mask,
        sampling=find(checkpoint).sampling(OperationName.ERASE, seed=_SEED + index),
        checkpoint=checkpoint,
    )
    after = _run(engine, operation)
    right = judge.is_clean(after, truth, mask > 0)
    return Judged(operation="erase", prompt="", before=_veiled(scene.pixels, mask), after=after, score=float(right))


def _outpainted(engine: EditEngine, index: int) -> Judged:
    """A whole scene, every fourth a photograph alone, gains margins on one to four sides."""
    rng = _rng(index, 4)
    if index % 4 == 3:  # noqa: PLR2004
        old, prompt = draw_background(rng, PHOTO, 128, 128, photographs()), background_phrase(PHOTO)
    else:
        scene = _scene(index, (128, 128), salt=4)
        old, prompt = scene.pixels, background_phrase(scene.background)
    margins = [
        int(margin) if on else 0 for margin, on in zip(rng.integers(16, 48, 4), rng.integers(2, size=4), strict=True)
    ]
    margins[index % 4] = margins[index % 4] or 32
    top, right, bottom, left = margins
    placement = Placement.from_margins((128, 128), top=top, right=right, bottom=bottom, left=left)
    checkpoint = _checkpoint(OperationName.OUTPAINT)
    operation = Outpaint(
        prompt=prompt,
        picture=Raster(pixels=old),
        placement=placement,
        sampling=find(checkpoint).sampling(OperationName.OUTPAINT, seed=_SEED + index),
        checkpoint=checkpoint,
    )
    after = _run(engine, operation)
    error = judge.border_difference(after, (left, top, left + 128, top + 128))
    return Judged(operation="outpaint", prompt=prompt, before=old, after=after, score=error)


def _edges_with(engine: EditEngine, index: int) -> Judged:
    return _edges(engine, index, "edges with", ControlKind.CANNY)


def _edges_without(engine: EditEngine, index: int) -> Judged:
    return _edges(engine, index, "edges without", None)


def _edges(engine: EditEngine, index: int, operation: str, kind: ControlKind | None, net: str | None = None) -> Judged:
    """Does a picture follow the edges of another? The prompt names what is in it, not where."""
    scene = _scene(index, (128, 128), salt=5)
    after = follow(engine, scene, _SEED + index, kind, net)
    score = edges_followed(scene, after)
    return Judged(operation=operation, prompt=scene.caption, before=scene.pixels, after=after, score=score)


def _steered(kind: ControlKind) -> Part:
    """The union ControlNet by one kind of control image."""

    def part(engine: EditEngine, index: int) -> Judged:
        return _edges(engine, index, f"edges by {kind}", kind, UNION)

    return part


def _styled(lora: str) -> Part:
    """A LoRA at full weight."""

    def part(engine: EditEngine, index: int) -> Judged:
        scene = _scene(index, (128, 128), salt=6)
        after = styled(engine, scene, _SEED + index, lora)
        right = in_style(after, scene, lora)
        return Judged(operation=f"style {lora}", prompt=scene.caption, before=None, after=after, score=float(right))

    return part


def _checkpoint(operation: OperationName) -> str:
    return pick(operation)


def _rng(index: int, salt: int) -> np.random.Generator:
    return np.random.default_rng([_SEED, salt, index])


def _scene(index: int, size: tuple[int, int], salt: int = 1) -> Drawing:
    """Draw scene `index`: one and two shapes take turns, on a named background."""
    rng = _rng(index, salt)
    background = str(rng.choice(list(BACKGROUNDS)))
    return draw(rng, *size, shapes=1 + index % 2, background=background)


def _run(engine: EditEngine, operation: Operation) -> Pixels:
    return engine.run(operation, on_step=lambda _progress: None, cancelled=lambda: False).raster.pixels


def _veiled(picture: Picture, mask: np.ndarray) -> Pixels:
    """Show a mask as a grey veil."""
    return np.where(mask[..., None] > 0, picture // 2 + 64, picture).astype(np.uint8)
