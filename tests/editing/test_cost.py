from collections import Counter as Tally
from pathlib import Path
from typing import Any

import pytest

from editing.blending import Blend
from editing.boxes import Box
from editing.catalogue import find
from editing.costs import PartOperations
from editing.engine import EditEngine
from editing.operations import Inpaint
from studio.bench.cost import CASES, CHECKPOINT, OUR_ENCODES, STOCK_ENCODES, CostCase, Costs, run
from tests.editing.pictures import box_mask, raster, sampling

TERA = 1e12


@pytest.fixture(scope="module")
def counter() -> Any:
    from editing.flux.counting import FillCounter

    return FillCounter()


@pytest.fixture(scope="module")
def counted(counter: Any) -> Costs:
    return run(counter, [case for case in CASES if case.goal is not None])


def test_the_parts_are_those_of_the_real_configuration(counter: Any, counted: Costs) -> None:
    """Figures from a closed formula and from others' counts: 74.38 TF a step of dev at 1024x1024."""
    assert counted.cases
    parts = counter(1024, 1024)
    assert parts.step / TERA == pytest.approx(74.39, abs=0.01)
    assert parts.text / TERA == pytest.approx(4.845 + 0.013, abs=0.002)
    assert parts.encode / TERA == pytest.approx(4.88, abs=0.01)
    assert parts.decode / TERA == pytest.approx(10.47, abs=0.01)
    assert counter(512, 512).step / TERA == pytest.approx(21.50, abs=0.01)


def test_our_edits_cost_a_third_and_a_tenth_of_stock(counted: Costs) -> None:
    shares = {case.case.name: case.share for case in counted.cases}
    assert shares["square mask of 10 %"] <= 1 / 3
    assert shares["512 px crop of a large picture"] <= 1 / 10
    assert all(case.met for case in counted.cases)


def flat(width: int, height: int) -> PartOperations:
    """Operations one can add up in one's head: a step costs its pixels."""
    return PartOperations(text=5, encode=1000, step=width * height, decode=10)


def test_the_goals_are_about_a_tenth_of_a_picture_and_a_512_px_box() -> None:
    tenth, soft, crop = run(flat, [case for case in CASES if case.goal is not None]).cases
    assert tenth.case.mask.area / 1024**2 == pytest.approx(0.1, abs=0.001)
    assert tenth.case.stock == tenth.case.picture == (1024, 1024)
    assert (crop.box, crop.size) == ((512, 512), (512, 512))
    assert crop.case.stock == crop.case.picture == (2048, 2048)
    assert (tenth.encodes, soft.encodes) == (1, 2)


def test_a_job_is_its_text_encodings_steps_and_decoding() -> None:
    case = CostCase(name="x", picture=(600, 512), mask=Box(left=0, top=0, right=64, bottom=64), stock=(608, 512))
    costs = run(flat, [case])
    only = costs.cases[0]
    assert costs.steps == find(CHECKPOINT).defaults[Inpaint.name].steps == 30
    assert only.ours == 5 + 1000 + 30 * 512 * 512 + 10
    assert only.stock == 5 + 2 * 1000 + 30 * 608 * 512 + 10
    assert only.met is None
    assert only.to_json()["share"] == pytest.approx(only.ours / only.stock, abs=1e-4)


def test_fifty_megapixels_cost_their_box() -> None:
    (large,) = [case for case in run(flat).cases if case.case.picture == (8660, 5773)]
    assert large.size == (512, 512)
    stock = large.case.stock
    assert stock[0] * stock[1] <= find(CHECKPOINT).max_pixels
    assert stock[0] / stock[1] == pytest.approx(8660 / 5773, rel=0.02)


def _tallied(tally: Tally[str], name: str, real: Any) -> Any:
    def spy(*args: Any, **inputs: Any) -> Any:
        tally[name] += 1
        return real(*args, **inputs)

    return spy


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Tally[str]:
    """How often each model is called."""
    from editing.diffusion.quiet import quiet_libraries

    with quiet_libraries():
        from diffusers import AutoencoderKL, FluxTransformer2DModel
        from transformers import CLIPTextModel, T5EncoderModel
    tally: Tally[str] = Tally()
    spied = {
        "encode": (AutoencoderKL, "encode"),
        "decode": (AutoencoderKL, "decode"),
        "step": (FluxTransformer2DModel, "forward"),
        "t5": (T5EncoderModel, "forward"),
        "clip": (CLIPTextModel, "forward"),
    }
    for name, (model, method) in spied.items():
        monkeypatch.setattr(model, method, _tallied(tally, name, getattr(model, method)))
    return tally


@pytest.mark.parametrize(("soften", "encodes"), [(0, OUR_ENCODES), (8, OUR_ENCODES + 1)])
def test_our_jobs_really_make_these_calls(engine: EditEngine, calls: Tally[str], soften: int, encodes: int) -> None:
    operation = Inpaint(
        prompt="a star",
        picture=raster(192, 192),
        mask=box_mask(192, 192, (80, 80, 112, 112)),
        sampling=sampling(3),
        checkpoint="flux-mini-fill",
        blend=Blend(soften=soften),
    )
    engine.run(operation, on_step=lambda _progress: None, cancelled=lambda: False)
    assert calls == {"encode": encodes, "decode": 1, "step": 3, "t5": 1, "clip": 1}


def test_stock_really_makes_these_calls(tiny_weights: dict[str, Path], calls: Tally[str]) -> None:
    from diffusers import FluxFillPipeline
    from PIL import Image

    from editing.diffusion.quiet import quiet_libraries

    with quiet_libraries():
        pipeline = FluxFillPipeline.from_pretrained(tiny_weights["flux-mini-fill"], local_files_only=True)
        pipeline.set_progress_bar_config(disable=True)
        pipeline(
            prompt="a star",
            image=Image.new("RGB", (64, 64), "grey"),
            mask_image=Image.new("L", (64, 64), 255),
            width=64,
            height=64,
            num_inference_steps=3,
            max_sequence_length=16,
        )
    assert calls == {"encode": STOCK_ENCODES, "decode": 1, "step": 3, "t5": 1, "clip": 1}
