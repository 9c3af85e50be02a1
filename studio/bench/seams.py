"""How visible the borders of edits are: ours beside what others make of the same weights, seeds and crops.

Three methods finish every case of `studio.bench.seam_cases`:

* ours: the real engine with default blending;
* plain: diffusers' `FluxFillPipeline` on our crop at our steps, pasted through the hard mask;
* template: the steps of ComfyUI's published Fill templates on our crop, saved as decoded.

The template pastes nothing back: the border of the mask lies within one decoded crop, and its price is the error
outside the mask and a border at the crop's rim, where the crop is not the whole picture. Both are measured.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any, Final

import numpy as np

from editing.engine import EditEngine
from editing.rasters import Pixels
from editing.seams import border_step, measure_seam
from studio.bench.baselines import Crop, FillRecipes, plain_edit, template_edit
from studio.bench.seam_cases import KINDS, SeamCase, seam_case

METHODS: Final = ("ours", "plain", "template")
NARROW: Final = 3
WIDE: Final = 12
_SURE: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class SeamMeasures:
    """What was measured on one finished picture.

    Attributes:
        border_de: Mean CIE76 dE across the mask's border, 3 pixels to either side.
        border_wide_de: The same, 12 pixels to either side.
        seam_score: Score of `editing.seams.measure_seam`.
        outside_max: Largest change of a value outside the mask, 0..255.
        outside_mean: Mean change of the values outside the mask within the crop.
        rim_de: Mean dE across the crop's rim, 3 pixels to either side, where the crop was replaced wholly and is not
            the whole picture; else None.
    """

    border_de: float
    border_wide_de: float
    seam_score: float
    outside_max: int
    outside_mean: float
    rim_de: float | None = None


MEASURES: Final = ("border_de", "border_wide_de", "seam_score", "outside_max", "outside_mean", "rim_de")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeamTrial:
    """One case, finished by every method.

    Attributes:
        case: The case.
        box: Left, top, right, bottom (exclusive) of the crop.
        model_size: Width and height at which the model ran.
        after: The finished picture by method, uint8 (h, w, 3) each.
        measures: What was measured by method.
    """

    case: SeamCase
    box: tuple[int, int, int, int]
    model_size: tuple[int, int]
    after: Mapping[str, Pixels]
    measures: Mapping[str, SeamMeasures]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeamScores:
    """The outcome of the benchmark.

    Attributes:
        trials: Every case.
    """

    trials: tuple[SeamTrial, ...]

    def values(self, method: str, measure: str) -> list[float]:
        """List a measure over all cases that have it.

        Args:
            method: One of `METHODS`.
            measure: One of `MEASURES`.

        Returns:
            The values, by case.
        """
        found = (getattr(trial.measures[method], measure) for trial in self.trials)
        return [float(value) for value in found if value is not None]

    def ratio(self, measure: str, other: str = "plain") -> float | None:
        """Our mean over another method's; None where that is 0."""
        theirs = fmean(self.values(other, measure))
        return fmean(self.values("ours", measure)) / theirs if theirs > _SURE else None

    def best_share(self, measure: str, among: Sequence[str] = METHODS) -> float:
        """Share of the cases in which ours is lower than every other method named."""
        others = [self.values(method, measure) for method in among if method != "ours"]
        wins = [
            all(ours < each for each in theirs)
            for ours, *theirs in zip(self.values("ours", measure), *others, strict=True)
        ]
        return fmean(wins)

    def groups(self) -> dict[str, dict[str, float]]:
        """Mean border dE (3 pixels) of every method and ours over plain, by kind of mask, and with words or without.

        Returns:
            Rounded means by group; groups without a case are left out.
        """
        found: dict[str, dict[str, float]] = {}
        for name in (*KINDS, "with words", "no words"):
            words = {"with words": True, "no words": False}.get(name)
            part = [each for each in self.trials if bool(each.case.prompt) == words or each.case.kind == name]
            if part:
                means = {method: fmean(each.measures[method].border_de for each in part) for method in METHODS}
                means["ours/plain"] = means["ours"] / max(means["plain"], _SURE)
                found[name] = {"cases": len(part), **{key: round(value, 4) for key, value in means.items()}}
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the object that `studio bench seams --json` prints."""
        compared = ("border_de", "border_wide_de", "seam_score")
        return {
            "cases": len(self.trials),
            "photographs": len({trial.case.photograph for trial in self.trials}),
            "methods": {
                method: {measure: summary(self.values(method, measure)) for measure in MEASURES} for method in METHODS
            },
            "ours_over_plain": {measure: _rounded(self.ratio(measure)) for measure in compared},
            "ours_best": {measure: _rounded(self.best_share(measure)) for measure in compared},
            "ours_below_plain": {
                measure: _rounded(self.best_share(measure, among=("ours", "plain"))) for measure in compared
            },
            "border_de_by_group": self.groups(),
            "each": [_listed(trial) for trial in self.trials],
        }


def run(
    engine: EditEngine,
    recipes: FillRecipes,
    *,
    count: int,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> SeamScores:
    """Finish and measure every case by every method.

    Args:
        engine: Ours.
        recipes: The others, on the same weights.
        count: Cases.
        on_progress: Called with edits done and edits in all.

    Returns:
        The measures and the pictures.

    Raises:
        EngineError: The packaged weights are missing or do not load.
    """
    trials: list[SeamTrial] = []
    for number in range(count):
        trials.append(try_case(engine, recipes, seam_case(number)))
        on_progress(len(trials), count)
    return SeamScores(trials=tuple(trials))


def try_case(engine: EditEngine, recipes: FillRecipes, case: SeamCase) -> SeamTrial:
    """Finish one case by every method and measure it.

    Args:
        engine: Ours.
        recipes: The others.
        case: The case.

    Returns:
        Pictures and measures.
    """
    edited = engine.run(case.operation, on_step=lambda _progress: None, cancelled=lambda: False)
    height, width = case.mask.shape
    box, size = edited.facts.box or (0, 0, width, height), edited.facts.model_size
    crop = Crop(before=case.before, mask=case.mask, box=box, size=size, prompt=case.prompt, seed=case.sampling.seed)
    after = {
        "ours": edited.raster.pixels,
        "plain": plain_edit(recipes, crop, steps=case.sampling.steps, guidance=case.sampling.guidance),
        "template": template_edit(recipes, crop, expands=case.kind == "outpaint"),
    }
    measures = {name: measured(crop, pixels, replaced=name == "template") for name, pixels in after.items()}
    return SeamTrial(case=case, box=box, model_size=size, after=after, measures=measures)


def measured(crop: Crop, pixels: Pixels, *, replaced: bool = False) -> SeamMeasures:
    """Measure one finished picture.

    Args:
        crop: The edit.
        pixels: The picture, uint8 (h, w, 3), sRGB.
        replaced: Whether the crop was replaced wholly, and so has a rim of its own.

    Returns:
        The measures.
    """
    seam = measure_seam(pixels, crop.mask)
    change = np.abs(pixels.astype(np.int16) - crop.before)
    inside_crop = np.zeros(crop.mask.shape, np.float32)
    inside_crop[crop.slices] = 1.0
    kept = crop.mask == 0.0
    near = kept & (inside_crop > 0)
    return SeamMeasures(
        border_de=border_step(pixels, crop.mask, NARROW),
        border_wide_de=border_step(pixels, crop.mask, WIDE),
        seam_score=seam.score if seam else 0.0,
        outside_max=int(change[kept].max(initial=0)),
        outside_mean=float(change[near].mean()) if near.any() else 0.0,
        rim_de=border_step(pixels, inside_crop, NARROW) if replaced and not inside_crop.all() else None,
    )


def summary(values: Sequence[float]) -> dict[str, float] | None:
    """Mean, median and largest of some values, rounded; None of none."""
    if not values:
        return None
    return {"mean": round(fmean(values), 4), "median": round(median(values), 4), "largest": round(max(values), 4)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _listed(trial: SeamTrial) -> dict[str, Any]:
    return {
        "number": trial.case.number,
        "photograph": trial.case.photograph,
        "kind": trial.case.kind,
        "operation": str(trial.case.operation.name),
        "prompt": trial.case.prompt,
        "box": list(trial.box),
        "model_size": list(trial.model_size),
        **{
            method: {name: _rounded(getattr(found, name)) for name in MEASURES}
            for method, found in trial.measures.items()
        },
    }
