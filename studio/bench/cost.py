"""How much an edit costs beside stock FluxFillPipeline: operations of whole jobs, not seconds, so any machine can tell.

Ours is what the engine does: the model runs on the box of the mask, and the picture is encoded once (twice where the
mask is soft or strength is below 1). Stock is diffusers' pipeline on the whole picture, which encodes it twice: masked,
and, at strength 1 too, whole. Both take the catalogue's steps. Each job has both text encoders, every step and one
decoding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from editing.blending import Blend
from editing.boxes import Box
from editing.catalogue import find
from editing.costs import PartOperations
from editing.operations import OperationName
from editing.regions import plan_region

CHECKPOINT = "FLUX.1-Fill-dev"
STOCK_ENCODES = 2
OUR_ENCODES = 1
"""With a hard mask at strength 1."""
TERA = 1e12

Counter: TypeAlias = Callable[[int, int], PartOperations]
"""From the width and height at which a model runs to the operations of its parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostCase:
    """An edit to count.

    Attributes:
        name: What it is.
        picture: Width and height of the picture, in pixels.
        mask: The part to repaint.
        stock: Width and height at which stock runs: the picture's own, where it can.
        goal: Share of stock's operations that ours may take at most; None where there is no goal.
        soften: Width in pixels over which the model's mask fades; None is the edit's own default.
    """

    name: str
    picture: tuple[int, int]
    mask: Box
    stock: tuple[int, int]
    goal: float | None = None
    soften: int | None = None


def _square(
    name: str,
    picture: tuple[int, int],
    side: int,
    *,
    stock: tuple[int, int] | None = None,
    goal: float | None = None,
    soften: int | None = None,
) -> CostCase:
    """An edit of a square in the middle; stock runs at the picture's own size if nothing else is said."""
    left, top = (picture[0] - side) // 2, (picture[1] - side) // 2
    mask = Box(left=left, top=top, right=left + side, bottom=top + side)
    return CostCase(name=name, picture=picture, mask=mask, stock=stock or picture, goal=goal, soften=soften)


CASES: Sequence[CostCase] = (
    _square("square mask of 10 %", (1024, 1024), 324, goal=1 / 3),
    _square("the same, fading over 16 px: one encoding more", (1024, 1024), 324, goal=1 / 3, soften=16),
    _square("512 px crop of a large picture", (2048, 2048), 300, goal=1 / 10),
    _square("square mask of 25 %", (1024, 1024), 512),
    # Nobody runs stock on 50 megapixels. It is counted at the most pixels it is used at, in the picture's shape, and
    # gives a result of a 24th of the pixels; ours comes back at full size.
    _square("small mask in 50 megapixels (stock: scaled to 2)", (8660, 5773), 300, stock=(1760, 1184)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseCost:
    """What one edit costs.

    Attributes:
        case: The edit.
        box: Width and height of what the model sees, in pixels of the picture.
        size: Width and height at which the model runs.
        encodes: Pictures that ours encodes.
        ours: Floating-point operations of our job.
        stock: Of stock's.
    """

    case: CostCase
    box: tuple[int, int]
    size: tuple[int, int]
    encodes: int
    ours: int
    stock: int

    @property
    def share(self) -> float:
        """Ours over stock."""
        return self.ours / self.stock

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without a goal."""
        return None if self.case.goal is None else self.share <= self.case.goal

    def to_json(self) -> dict[str, Any]:
        """Give it as a JSON object, in 10**12 operations."""
        return {
            "name": self.case.name,
            "picture": list(self.case.picture),
            "mask": list(self.case.mask.edges),
            "ours": {
                "box": list(self.box),
                "size": list(self.size),
                "encodes": self.encodes,
                "tflop": round(self.ours / TERA, 1),
            },
            "stock": {
                "size": list(self.case.stock),
                "encodes": STOCK_ENCODES,
                "tflop": round(self.stock / TERA, 1),
            },
            "share": round(self.share, 4),
            "goal": None if self.case.goal is None else round(self.case.goal, 4),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What the cases cost.

    Attributes:
        steps: Denoising steps of every job.
        cases: One each.
    """

    steps: int
    cases: tuple[CaseCost, ...]

    def to_json(self) -> dict[str, Any]:
        """Give them as a JSON object."""
        return {"checkpoint": CHECKPOINT, "steps": self.steps, "cases": [case.to_json() for case in self.cases]}


def run(count: Counter, cases: Sequence[CostCase] = CASES) -> Costs:
    """Count whole jobs, ours and stock's.

    Args:
        count: Counts the parts of a job at one size.
        cases: The edits.

    Returns:
        Their costs.
    """
    steps = find(CHECKPOINT).defaults[OperationName.INPAINT].steps
    return Costs(steps=steps, cases=tuple(_cost(case, count, steps) for case in cases))


def _cost(case: CostCase, count: Counter, steps: int) -> CaseCost:
    mask = np.zeros((case.picture[1], case.picture[0]), dtype=np.float32)
    mask[case.mask.slices] = 1.0
    plan = plan_region(mask, Blend(soften=case.soften), find(CHECKPOINT).sizes)
    encodes = OUR_ENCODES + (1 if plan.soften > 0 else 0)
    return CaseCost(
        case=case,
        box=(plan.box.width, plan.box.height),
        size=plan.size,
        encodes=encodes,
        ours=count(*plan.size).job(steps=steps, encodes=encodes),
        stock=count(*case.stock).job(steps=steps, encodes=STOCK_ENCODES),
    )
