"""What is saved without changing a bit: the same edits with a saving and without it, on flux-mini, in one run.

Without is an engine that forgets, weights of their own for each edit, or diffusers' pipeline, whichever does not save;
with is what runs here. Calls are counted on the models, bytes on the tensors that are alive; seconds are this machine's
and tell of the switch of LoRAs alone. Every pair of pictures is compared.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from statistics import median
from typing import Any, Final, Protocol

import numpy as np

from editing.blending import Route
from editing.catalogue import find
from editing.diffusion.rooms import Plan, Run
from editing.engine import EditEngine
from editing.guides import Control, ControlKind, ControlMode, Guides, Lora
from editing.operations import Generate, Img2Img, Inpaint, Operation, Outpaint, Sampling
from editing.placement import Placement
from editing.rasters import Mask, Pixels, Raster

BASE: Final = "flux-mini"
FILL: Final = "flux-mini-fill"
NET: Final = "flux-mini-canny"
LORAS: Final = ("flux-mini-neon", "flux-mini-stripes")
SIDE: Final = 128
EDITS: Final = 3
"""Edits of one picture, and pictures from one prompt."""
STEPS: Final = 2
PROMPT: Final = "a red circle on sand"
WEIGHTS_LIMIT: Final = 1.02
"""Bytes of all base operations over those of one pipeline and a ControlNet, at most."""
SWITCH_SECONDS: Final = 0.3
"""A switch of LoRAs may take this long."""


class Calls(Protocol):
    """Counts of calls; see `editing.flux.savings.Calls`."""

    texts: int
    pictures: int
    nets: int
    first_step: float | None


class Ground(Protocol):
    """Where the edits run: `editing.flux.savings.SavingsGround`."""

    def engine(self, *, remembers: bool) -> EditEngine:
        """Build an engine on which nothing is loaded, and which keeps what encoders made or does not."""
        ...

    def counted(self) -> AbstractContextManager[Calls]:
        """Count calls of models while a block runs."""
        ...

    def weighed(self) -> AbstractContextManager[Callable[[], int]]:
        """Weigh, when called, the tensors that came to life within a block and are alive, in bytes."""
        ...

    def ours(self, plan: Plan, run: Run) -> Callable[[], Pixels]:
        """Load what a run takes, and hand out what runs it."""
        ...

    def stock(self, plan: Plan, run: Run) -> Callable[[], Pixels]:
        """The same with diffusers' pipeline."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """One saving, measured.

    Attributes:
        what: What is saved.
        unit: What is counted.
        without: What the baseline took.
        with_: What it takes here.
        identical: Whether every picture was the same with it and without it, to the bit.
        limit: The most that `with_` may be; None where there is no such goal.
    """

    what: str
    unit: str
    without: float
    with_: float
    identical: bool
    limit: float | None = None

    @property
    def saved(self) -> float:
        """Share of the baseline that is not spent, 0..1."""
        return 1.0 - self.with_ / self.without

    @property
    def holds(self) -> bool:
        """Whether it saves something, keeps its limit, and changed no bit."""
        return self.identical and self.saved > 0.0 and (self.limit is None or self.with_ <= self.limit)

    def to_json(self) -> dict[str, Any]:
        """Return what `studio bench savings --json` prints of it."""
        return {
            "what": self.what,
            "unit": self.unit,
            "without": round(self.without, 4),
            "with": round(self.with_, 4),
            "saved": round(self.saved, 4),
            "identical": self.identical,
            "limit": None if self.limit is None else round(self.limit, 4),
            "holds": self.holds,
        }


def run(ground: Ground, *, on_progress: Callable[[int, int], None] = lambda _done, _all: None) -> tuple[Saving, ...]:
    """Measure every saving.

    Args:
        ground: Where the edits run.
        on_progress: Called with savings measured and savings in all.

    Returns:
        The savings.

    Raises:
        EngineError: The packaged weights are missing or do not load.
    """
    parts = (prompts, pictures, spans, full_strength, weights, switches)
    found = []
    for done, part in enumerate(parts):
        on_progress(done, len(parts))
        found.append(part(ground))
    on_progress(len(parts), len(parts))
    return tuple(found)


def prompts(ground: Ground) -> Saving:
    """One prompt on several seeds: it is read once."""
    many = [_generate(seed) for seed in range(EDITS)]
    return _remembered(ground, "embeddings of a prompt", many, lambda calls: calls.texts, "prompts read")


def pictures(ground: Ground) -> Saving:
    """Several edits of one picture: it is encoded once."""
    many = [_inpaint(seed) for seed in range(EDITS)]
    return _remembered(ground, "encodings of a picture", many, lambda calls: calls.pictures, "pictures encoded")


def spans(ground: Ground) -> Saving:
    """A ControlNet that acts in half of the steps: diffusers runs it in all of them, and adds nothing in the rest."""
    control = _control(end=0.5)
    guides = Guides(controls=(control,))
    sampling = Sampling(steps=2 * STEPS, guidance=3.5, seed=1)
    run_ = Run(prompt=PROMPT, size=(SIDE, SIDE), sampling=sampling, images=(_edges(),), guides=guides)
    plan = Plan(main=find(BASE), route="generate", guides=guides)
    return _beside_stock(ground, "a ControlNet outside its span", plan, run_, lambda calls: calls.nets, "steps run")


def full_strength(ground: Ground) -> Saving:
    """Fill at strength 1 with a hard mask: diffusers encodes the whole picture too, which does not show."""
    sampling = Sampling(steps=STEPS, guidance=30.0, seed=1)
    run_ = Run(prompt=PROMPT, size=(SIDE, SIDE), sampling=sampling, pixels=_picture(), mask=_mask())
    plan = Plan(main=find(FILL), route=Route.FILL.value)
    name = "a picture that strength 1 ignores"
    return _beside_stock(ground, name, plan, run_, lambda calls: calls.pictures, "pictures encoded")


def weights(ground: Ground) -> Saving:
    """Every base operation, in one engine and in an engine for each."""
    steered = Guides(controls=(_control(),))
    operations: list[Operation] = [_generate(1), _img2img(), _inpaint(1), _outpaint()]
    operations += [_generate(1, guides=steered), _inpaint(1, guides=steered)]
    with ground.weighed() as weigh:
        apart, alone = [], []
        for operation in operations:
            engine = ground.engine(remembers=False)
            alone.append(_painted(engine, operation))
            apart.append(weigh())
            del engine
        shared = ground.engine(remembers=False)
        same = _same([_painted(shared, operation) for operation in operations], alone)
        together = weigh()
    return Saving(
        what=f"weights of {len(operations)} operations",
        unit="MB",
        without=sum(apart) / 1e6,
        with_=together / 1e6,
        identical=same,
        limit=WEIGHTS_LIMIT * apart[-1] / 1e6,  # one pipeline and its ControlNet
    )


def switches(ground: Ground) -> Saving:
    """From one LoRA to another: seconds until the first step, with the weights at hand and with weights loaded anew."""
    edits = [_generate(1, steps=1, guides=Guides(loras=(Lora(name=name),))) for name in LORAS]
    engine = ground.engine(remembers=True)
    _painted(engine, _generate(1, steps=1))
    anew, switched, same = [], [], True
    for edit in edits * 2:
        seconds, alone = _until_first_step(ground, ground.engine(remembers=True), edit)
        anew.append(seconds)
        seconds, after = _until_first_step(ground, engine, edit)
        switched.append(seconds)
        same = same and _same([after], [alone])
    return Saving(
        what="a switch of LoRAs",
        unit="seconds",
        without=median(anew),
        with_=median(switched),
        identical=same,
        limit=SWITCH_SECONDS,
    )


def _remembered(
    ground: Ground, what: str, operations: Sequence[Operation], count: Callable[[Calls], int], unit: str
) -> Saving:
    """The same operations in an engine that forgets, and in one that remembers."""
    counts, made = [], []
    for remembers in (False, True):
        engine = ground.engine(remembers=remembers)
        with ground.counted() as calls:
            made.append([_painted(engine, operation) for operation in operations])
        counts.append(count(calls))
    return Saving(what=what, unit=unit, without=counts[0], with_=counts[1], identical=_same(*made))


def _beside_stock(ground: Ground, what: str, plan: Plan, run_: Run, count: Callable[[Calls], int], unit: str) -> Saving:
    """One run by diffusers' pipeline, and by our sampler."""
    counts, made = [], []
    for paint in (ground.stock(plan, run_), ground.ours(plan, run_)):
        with ground.counted() as calls:
            made.append(paint())
        counts.append(count(calls))
    return Saving(what=what, unit=unit, without=counts[0], with_=counts[1], identical=_same([made[0]], [made[1]]))


def _painted(engine: EditEngine, operation: Operation) -> Pixels:
    return engine.run(operation, on_step=lambda _progress: None, cancelled=lambda: False).raster.pixels


def _until_first_step(ground: Ground, engine: EditEngine, operation: Operation) -> tuple[float, Pixels]:
    with ground.counted() as calls:
        start = time.perf_counter()
        pixels = _painted(engine, operation)
    return (calls.first_step or math.inf) - start, pixels


def _same(ones: Sequence[Pixels], others: Sequence[Pixels]) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(ones, others, strict=True))


def _sampling(seed: int, *, steps: int = STEPS, strength: float = 1.0) -> Sampling:
    return Sampling(steps=steps, guidance=3.5, seed=seed, strength=strength)


def _picture() -> Pixels:
    """A disc on a ramp."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    pixels = np.stack([90 + rows // 2, 60 + columns, 200 - rows], axis=2)
    pixels[(rows - 50) ** 2 + (columns - 70) ** 2 < 24**2] = (220, 60, 40)
    return pixels.astype(np.uint8)


def _edges() -> Pixels:
    """A drawn rectangle, as a control image."""
    pixels = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    pixels[30:100, 30:100] = 255
    pixels[32:98, 32:98] = 0
    return pixels


def _mask() -> Mask:
    mask = np.zeros((SIDE, SIDE), dtype=np.float32)
    mask[32:96, 40:104] = 1.0
    return mask


def _control(*, end: float = 1.0) -> Control:
    edges = Raster(pixels=_edges())
    return Control(kind=ControlKind.CANNY, checkpoint=NET, picture=edges, mode=ControlMode.AS_IS, end=end)


def _generate(seed: int, *, steps: int = STEPS, guides: Guides | None = None) -> Generate:
    return Generate(
        prompt=PROMPT,
        checkpoint=BASE,
        width=SIDE,
        height=SIDE,
        sampling=_sampling(seed, steps=steps),
        guides=guides or Guides(),
    )


def _img2img() -> Img2Img:
    return Img2Img(
        prompt=PROMPT, checkpoint=BASE, picture=Raster(pixels=_picture()), sampling=_sampling(1, strength=0.5)
    )


def _inpaint(seed: int, *, guides: Guides | None = None) -> Inpaint:
    return Inpaint(
        prompt=PROMPT,
        checkpoint=BASE,
        picture=Raster(pixels=_picture()),
        mask=_mask(),
        sampling=_sampling(seed),
        guides=guides or Guides(),
    )


def _outpaint() -> Outpaint:
    placement = Placement.from_margins((SIDE, SIDE), top=0, right=32, bottom=0, left=0)
    picture = Raster(pixels=_picture())
    return Outpaint(prompt=PROMPT, checkpoint=BASE, picture=picture, placement=placement, sampling=_sampling(1))


def to_json(savings: Sequence[Saving]) -> Mapping[str, Any]:
    """Return the JSON object that `studio bench savings --json` prints."""
    return {"savings": [each.to_json() for each in savings], "holds": all(each.holds for each in savings)}
