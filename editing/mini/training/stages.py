"""The stages in order, each from what the earlier ones left in the work folder.

A stage goes on from its saved state. `unpack` lays the packaged weights out as results, `more` trains the base's result
further, and Fill and the ControlNet go on from theirs where there is one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import AutoencoderKL, FluxControlNetModel, FluxTransformer2DModel
from rich.progress import Progress

from editing.mini.photographs import photographs
from editing.mini.styles import STYLES
from editing.mini.training.examples import Examples, Sample, unpack
from editing.mini.training.export import export, unpack_weights
from editing.mini.training.guidance import Teacher
from editing.mini.training.lora import save_lora, with_lora
from editing.mini.training.pace import Pace
from editing.mini.training.tasks import Sampler, base_sampler, canny_sampler, fill_sampler, style_sampler, union_sampler
from editing.mini.training.team import Team
from editing.mini.training.text import TextEncoders, train_text
from editing.mini.training.transformer import (
    GUIDANCE,
    Flow,
    Phase,
    denoise,
    flow_loss,
    new_controlnet,
    new_transformer,
    train_flow,
    widen,
)
from editing.mini.training.vae import example, save_reconstructions, to_pictures, train_vae

MINUTES = {
    "vae": 17.0,
    "text": 2.0,
    "base": 57.0,
    "fill": 14.0,
    "canny": 10.0,
    "guide-base": 10.0,
    "guide-fill": 7.0,
    "more": 60.0,
    "union": 30.0,
    "neon": 12.0,
    "stripes": 8.0,
}
USUAL = ("vae", "text", "base", "fill", "canny", "guide-base", "guide-fill", "export")
_WEIGHTS = Path(__file__).parents[1] / "weights"
_OBLONG = ((144, 112), (112, 144), (160, 96), (96, 160))  # width, height
_RATE = {"base": 3e-3, "fill": 2e-3, "canny": 2e-3, "union": 2e-3, "neon": 3e-3, "stripes": 3e-3}
_GUIDE_RATE = 1e-3
_SAMPLERS: dict[str, Sampler] = {
    "base": base_sampler,
    "fill": fill_sampler,
    "canny": canny_sampler,
    "union": union_sampler,
    **{name: style_sampler(style) for name, style in STYLES.items()},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Where and with whom a stage runs.

    Attributes:
        work: Folder of states and results.
        team: The processes that train together.
        progress: Where bars are drawn.
        minutes: Time of each stage.
    """

    work: Path
    team: Team
    progress: Progress
    minutes: dict[str, float]

    def pace(self, stage: str) -> Pace:
        """Return the pace of a stage."""
        return Pace(stage, 60 * self.minutes[stage], self.work, self.progress, team=self.team)


def run_vae(shop: Workshop) -> None:
    """Stage 1."""
    pictures = photographs()
    vae = train_vae(shop.pace("vae"), pictures, seed=1 + 1000 * shop.team.rank)
    if shop.team.leads:
        vae.save_pretrained(shop.work / "vae")
        rng = np.random.default_rng(5)
        save_reconstructions(vae, [example(rng, pictures) for _ in range(12)], shop.work / "vae.png")


def run_text(shop: Workshop) -> None:
    """Stage 2; the leader alone, since the encoders are small."""
    if shop.team.leads:
        pace = Pace("text", 60 * shop.minutes["text"], shop.work, shop.progress)
        train_text(pace, seed=2).save(shop.work)
    shop.team.wait()


def run_base(shop: Workshop) -> None:
    """Stage 3."""
    flow = Flow(new_transformer(), GUIDANCE["base"])
    pace = shop.pace("base")
    source = _sources(pace, shop, "base", seed=3)
    square = source(128, 128)
    oblong = [source(*size) for size in _OBLONG]
    phases = (
        Phase(until=0.2, sources=[source(64, 64)], batch=48, first=5000),
        Phase(until=0.65, sources=[square], batch=16, first=2500),
        Phase(until=0.8, sources=[square, *oblong], batch=16, first=1280),
        Phase(until=1.0, sources=_mostly(square, oblong), batch=16, first=1280),
    )
    _train(pace, shop, "base", flow, phases)


def run_more(shop: Workshop) -> None:
    """Train the base's result further, at full size only; Fill and the ControlNet should follow."""
    flow = Flow(_base(shop), GUIDANCE["base"])
    pace = shop.pace("more")
    source = _sources(pace, shop, "base", seed=6)
    oblong = [source(*size) for size in _OBLONG]
    _train(
        pace, shop, "base", flow, [Phase(until=1.0, sources=_mostly(source(128, 128), oblong), batch=16, first=2500)]
    )


def run_fill(shop: Workshop) -> None:
    """Stage 4."""
    folder = shop.work / "fill"
    earlier = FluxTransformer2DModel.from_pretrained(folder, local_files_only=True) if folder.exists() else None
    flow = Flow(earlier or widen(_base(shop)), GUIDANCE["fill"])
    _train_from_base(shop, "fill", flow, seed=4)


def run_guide_base(shop: Workshop) -> None:
    """Distil guidance into the base; the ControlNet serves the student as it did the teacher."""
    _guide(shop, "base", _base(shop), _base(shop))


def run_guide_fill(shop: Workshop) -> None:
    """Distil guidance into Fill."""
    folder = shop.work / "fill"
    student, teacher = (FluxTransformer2DModel.from_pretrained(folder, local_files_only=True) for _ in range(2))
    _guide(shop, "fill", student, teacher)


def _guide(shop: Workshop, stage: str, student: FluxTransformer2DModel, teacher: FluxTransformer2DModel) -> None:
    pace = shop.pace(f"guide-{stage}")
    source = _sources(pace, shop, stage, seed=7)
    oblong = [source(*size) for size in _OBLONG]
    phases = [Phase(until=1.0, sources=_mostly(source(128, 128), oblong), batch=16, first=1024)]
    guided = Teacher(Flow(teacher, GUIDANCE[stage]), TextEncoders.load(shop.work))
    _train(pace, shop, stage, Flow(student, GUIDANCE[stage]), phases, guided=guided)


def run_canny(shop: Workshop) -> None:
    """Stage 5."""
    base = _base(shop)
    folder = shop.work / "canny"
    earlier = FluxControlNetModel.from_pretrained(folder, local_files_only=True) if folder.exists() else None
    flow = Flow(base, GUIDANCE["canny"], earlier or new_controlnet(base))
    _train_from_base(shop, "canny", flow, seed=5)


def run_union(shop: Workshop) -> None:
    """One ControlNet for every kind of control image; it goes on from the canny one."""
    base = _base(shop)
    earlier = next((folder for folder in (shop.work / "union", shop.work / "canny") if folder.exists()), None)
    controlnet = (
        FluxControlNetModel.from_pretrained(earlier, local_files_only=True) if earlier else new_controlnet(base)
    )
    _train_from_base(shop, "union", Flow(base, GUIDANCE["union"], controlnet), seed=8)


def run_neon(shop: Workshop) -> None:
    """A LoRA of the base: glowing outlines at night."""
    _style(shop, "neon", seed=9)


def run_stripes(shop: Workshop) -> None:
    """A LoRA of the base: striped shapes."""
    _style(shop, "stripes", seed=10)


def _style(shop: Workshop, stage: str, *, seed: int) -> None:
    flow = Flow(with_lora(_base(shop), shop.work / stage), GUIDANCE["base"])
    _train_from_base(shop, stage, flow, seed=seed)


def run_export(shop: Workshop) -> None:
    """Package the results."""
    if shop.team.leads:
        written = export(shop.work, _WEIGHTS)
        shop.progress.console.print(f"wrote {', '.join(written)}")


def run_unpack(shop: Workshop) -> None:
    """Take the packaged weights as the results of all stages, to train them further."""
    if shop.team.leads:
        unpack_weights(_WEIGHTS, shop.work)


STAGES: dict[str, Callable[[Workshop], None]] = {
    "vae": run_vae,
    "text": run_text,
    "base": run_base,
    "fill": run_fill,
    "canny": run_canny,
    "guide-base": run_guide_base,
    "guide-fill": run_guide_fill,
    "more": run_more,
    "union": run_union,
    "neon": run_neon,
    "stripes": run_stripes,
    "export": run_export,
    "unpack": run_unpack,
}


def _train_from_base(shop: Workshop, stage: str, flow: Flow, *, seed: int) -> None:
    """Train what starts from the base: on square pictures, then on other sizes among them."""
    pace = shop.pace(stage)
    source = _sources(pace, shop, stage, seed=seed)
    square = source(128, 128)
    oblong = [source(*size) for size in _OBLONG]
    phases = (
        Phase(until=0.6, sources=[square], batch=16, first=1280),
        Phase(until=1.0, sources=_mostly(square, oblong), batch=16, first=1280),
    )
    _train(pace, shop, stage, flow, phases)


def _mostly(square: Examples, others: Sequence[Examples]) -> list[Examples]:
    """Return an order in which one batch in five is of another size."""
    return [source for other in others for source in (*[square] * 4, other)]


def _base(shop: Workshop) -> FluxTransformer2DModel:
    return FluxTransformer2DModel.from_pretrained(shop.work / "base", local_files_only=True)


def _sources(pace: Pace, shop: Workshop, stage: str, *, seed: int) -> Callable[[int, int], Examples]:
    """Return a maker of examples by width and height; each member of the team draws its own."""
    vae = AutoencoderKL.from_pretrained(shop.work / "vae", local_files_only=True).eval()
    encoders = TextEncoders.load(shop.work)
    pictures = photographs()
    rng = np.random.default_rng([seed, shop.team.rank, pace.resumed_at])
    torch.manual_seed(int(rng.integers(2**63)))

    def source(width: int, height: int) -> Examples:
        return Examples(vae, encoders, _SAMPLERS[stage](rng, width, height, pictures))

    return source


def _train(
    pace: Pace, shop: Workshop, stage: str, flow: Flow, phases: Sequence[Phase], *, guided: Teacher | None = None
) -> None:
    """Train a flow and write its averaged weights and a sheet of what it draws."""
    result = stage if guided is None else f"{stage}-guided"
    rate, loss_of = (_RATE[stage], flow_loss) if guided is None else (_GUIDE_RATE, guided.loss)
    vae = AutoencoderKL.from_pretrained(shop.work / "vae", local_files_only=True).eval()
    shown = Examples(vae, TextEncoders.load(shop.work), _shown(stage))

    def look(averaged: Flow) -> None:
        if shown.count == 0:
            shown.grow(16)
        _draw_sheet(averaged, vae, shown, shop.work / f"{result}.png")
        _save(averaged, shop.work / result)

    train_flow(pace, shop.team, flow, phases, rate=rate, look=look, loss_of=loss_of)
    shop.team.wait()


def _save(flow: Flow, folder: Path) -> None:
    """Write what was trained: the ControlNet or the LoRA where there is one."""
    if flow.controlnet is not None:
        flow.controlnet.save_pretrained(folder)
    elif getattr(flow.transformer, "peft_config", None):
        save_lora(flow.transformer, folder)
    else:
        flow.transformer.save_pretrained(folder)


def _shown(stage: str) -> Callable[[], Sample]:
    return _SAMPLERS[stage](np.random.default_rng(99), 128, 128, photographs())


def _draw_sheet(flow: Flow, vae: AutoencoderKL, shown: Examples, path: Path) -> None:
    """Write a sheet: what was given, what is drawn, what it could have looked like."""
    batch = shown.batch_in_order(16)
    drawn = denoise(flow, batch, torch.Generator().manual_seed(0))
    rows = [drawn, batch.target] if batch.given is None else [batch.given[..., :64], drawn, batch.target]
    with torch.no_grad():
        pictures: list[list[np.ndarray]] = [to_pictures(vae.decode(unpack(row, batch.size)).sample) for row in rows]
    sheet = np.concatenate([np.concatenate(row, 1) for row in pictures])
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
