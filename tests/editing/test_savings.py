"""What is kept between edits saves work and changes no bit: every saving against an engine that forgets, and its traps.

Other savings are held where they are made: pictures that a run does not need and ControlNets outside their span against
diffusers' pipelines in `test_flux_sampler.py`, FLUX.2's tokenizers and negative prompts in `test_flux2_room.py`, the
switching of LoRAs against PEFT in `test_lora_swapping.py`. `studio bench savings` measures all of them on flux-mini.
"""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from editing.blending import Blend, Route
from editing.checkpoints import Architecture
from editing.diffusion.building import build_engine
from editing.diffusion.memo import Memo
from editing.diffusion.settings import EngineSettings
from editing.engine import EditEngine
from editing.errors import EditCancelled
from editing.guides import Guides, Lora
from editing.operations import Inpaint, Instruct, Operation, Sampling
from editing.rasters import Pixels, Raster
from studio.bench import savings
from studio.bench.savings import Saving
from studio.cli import app
from tests.editing.lora_files import diffusers_lora, factors, file_of
from tests.editing.pictures import box_mask, raster, sampling
from tests.editing.test_flux_engine import PICTURE, control, generate, img2img, inpaint
from tests.editing.tiny_flux2 import build_flux2

import torch  # isort: skip
from safetensors.torch import load_file, save_file  # isort: skip

from editing.flux.latents import LatentEncoder  # isort: skip
from editing.flux.savings import counted_calls  # isort: skip

KLEIN = "FLUX.2-klein-4B"
MASK = box_mask(64, 96, (24, 16, 64, 48))
SOFT = np.maximum(MASK, np.float32(0.3) * box_mask(64, 96, (16, 8, 72, 56)))


@pytest.fixture(scope="module")
def weights(tiny_weights: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny weights of both architectures, and two tiny LoRAs in place of those that are packaged for flux-mini."""
    root = tmp_path_factory.mktemp("savings")
    found = {**tiny_weights, **build_flux2(root / "flux2")}
    for seed, name in enumerate(savings.LORAS):
        found[name] = root / name
        found[name].mkdir()
        (found[name] / "pytorch_lora_weights.safetensors").write_bytes(file_of(diffusers_lora(seed)))
    return found


def engine(
    weights: Mapping[str, Path], *, remembers: bool = True, uploaded: Mapping[str, bytes] | None = None
) -> EditEngine:
    settings = EngineSettings(weights=weights, device="cpu", threads=1, remembers=remembers)
    return build_engine(settings, accepted=lambda _name: True, read_adapter=(uploaded or {}).__getitem__)


def paint(engine: EditEngine, operation: Operation, cancelled: Callable[[], bool] = lambda: False) -> Pixels:
    return engine.run(operation, on_step=lambda _progress: None, cancelled=cancelled).raster.pixels


def edit(checkpoint: str = "flux-mini", seed: int = 1, **values: Any) -> Inpaint:
    defaults = {"picture": raster(64, 96), "mask": MASK, "blend": Blend(match_grain=False)}
    return inpaint(checkpoint, sampling=sampling(2, seed), **{**defaults, **values})


def klein(seed: int = 1, **values: Any) -> Instruct:
    defaults = {"prompt": "a red circle", "picture": raster(64, 96), "others": ()}
    defaults["sampling"] = Sampling(steps=2, guidance=1.0, seed=seed)
    return Instruct(checkpoint=KLEIN, **{**defaults, **values})


# Prompts and pictures that were seen before

SERIES: dict[str, tuple[list[Operation], tuple[int, int], tuple[int, int]]] = {
    # edits; prompts and pictures that are encoded without a memory; and with one
    "seeds": ([generate(sampling=sampling(2, seed)) for seed in range(3)], (3, 0), (1, 0)),
    "weighted prompt": (
        [generate(prompt="a (red:1.4) circle", sampling=sampling(2, seed)) for seed in range(2)],
        (4, 0),  # the empty prompt too
        (2, 0),
    ),
    "negative prompt": (
        [
            generate(sampling=replace(sampling(2, seed), true_cfg=2.0), guides=Guides(negative_prompt="sand"))
            for seed in range(2)
        ],
        (4, 0),
        (2, 0),
    ),
    "prompts that take turns": ([generate(prompt=each) for each in ("sand", "a star", "sand")], (3, 0), (2, 0)),
    "img2img": ([img2img(sampling=sampling(4, seed, strength=0.5)) for seed in range(3)], (3, 3), (1, 1)),
    "merging": ([edit(seed=seed, route=Route.LATENT_MERGE) for seed in range(3)], (3, 3), (1, 1)),
    "Fill": ([edit("flux-mini-fill", seed=seed) for seed in range(3)], (3, 3), (1, 1)),
    "Fill, soft": ([edit("flux-mini-fill", seed=seed, mask=SOFT) for seed in range(2)], (2, 4), (1, 2)),
    "another prompt": ([edit(), edit(prompt="a blue star")], (2, 2), (2, 1)),
    "by one control": (
        [generate(guides=Guides(controls=(control(picture=raster(64, 64)),)), sampling=sampling(2, s)) for s in (1, 2)],
        (2, 2),
        (1, 1),
    ),
    "a base and its Fill": ([generate(), inpaint()], (2, 2), (1, 2)),
    "FLUX.2": ([klein(seed) for seed in range(3)], (3, 3), (1, 1)),
    "FLUX.2 with a further picture": (
        [klein(others=(raster(48, 48, 3),)), klein(prompt="a cat", others=(raster(48, 48, 3),))],
        (2, 4),
        (2, 2),
    ),
}


@pytest.mark.parametrize("name", SERIES)
def test_what_was_encoded_before_is_not_encoded_again_and_no_bit_changes(weights: dict[str, Path], name: str) -> None:
    operations, without, with_ = SERIES[name]
    made = []
    for remembers, expected in ((False, without), (True, with_)):
        painter = engine(weights, remembers=remembers)
        with counted_calls() as calls:
            made.append([paint(painter, operation) for operation in operations])
        assert (calls.texts, calls.pictures) == expected
    assert all(np.array_equal(*pair) for pair in zip(*made, strict=True))


# What must not be taken for what was seen before


def changed(folder: Path, part: str, target: Path) -> Path:
    """The same checkpoint but for the weights of one part."""
    shutil.copytree(folder, target)
    (file,) = (target / part).glob("*.safetensors")
    save_file({name: each + 0.05 for name, each in load_file(file).items()}, file, {"format": "pt"})
    return target


def other_words(folder: Path, target: Path) -> Path:
    """The same checkpoint but for the numbers of its tokenizer's words."""
    shutil.copytree(folder, target)
    file = target / "tokenizer_2" / "tokenizer.json"
    members = json.loads(file.read_text())
    named = members["model"]["vocab"]
    members["model"]["vocab"] = [*named[:3], *reversed(named[3:])]  # the same pieces under other numbers
    file.write_text(json.dumps(members))
    return target


def retouched(picture: Raster) -> Raster:
    pixels = picture.pixels.copy()
    pixels[20:36, 40:56] ^= 96
    return replace(picture, pixels=pixels)


TWINS: dict[str, tuple[Operation, Operation]] = {
    "a picture that differs in a corner": (img2img(), img2img(picture=retouched(PICTURE))),
    "another picture of the same size": (img2img(), img2img(picture=raster(90, 130, seed=4))),
    "a mask that differs": (edit("flux-mini-fill"), edit("flux-mini-fill", mask=np.roll(MASK, 12, axis=1))),
    "another weight in the prompt": (generate(prompt="(sand:1.2)"), generate(prompt="(sand:3.0)")),
    "another prompt": (generate(prompt="sand"), generate(prompt="a blue star")),
    "FLUX.2, a picture that differs in a corner": (klein(), klein(picture=retouched(raster(64, 96)))),
    "FLUX.2, the other way round": (
        klein(others=(raster(64, 96, 3),)),
        klein(picture=raster(64, 96, 3), others=(raster(64, 96),)),
    ),
    "FLUX.2, another prompt": (klein(), klein(prompt="what is on the left")),
}


@pytest.mark.parametrize("name", TWINS)
def test_what_only_looks_alike_is_encoded_anew(weights: dict[str, Path], name: str) -> None:
    one, other = TWINS[name]
    painter = engine(weights)
    first = paint(painter, one)
    second = paint(painter, other)
    assert not np.array_equal(first, second)
    assert np.array_equal(second, paint(engine(weights), other))
    assert np.array_equal(paint(painter, one), first)


@pytest.mark.parametrize("part", ["vae", "text_encoder", "text_encoder_2", "tokenizer_2"])
def test_two_checkpoints_are_not_confused(weights: dict[str, Path], tmp_path: Path, part: str) -> None:
    """A base, and a Fill that shares all but one part with it; both encode the same words and the same picture."""
    folder, twin = weights["flux-mini-fill"], tmp_path / part
    other_words(folder, twin) if part == "tokenizer_2" else changed(folder, part, twin)
    both = {**weights, "flux-mini-fill": twin}
    here, there = edit(mask=SOFT), edit("flux-mini-fill", mask=SOFT)
    painter = engine(both)
    first = paint(painter, here)
    second = paint(painter, there)
    assert np.array_equal(second, paint(engine(both), there))
    assert np.array_equal(paint(painter, here), first)
    assert not np.array_equal(second, paint(engine(weights), there)), "the part makes no difference"


def test_a_lora_of_the_encoders_is_not_remembered_without_it_nor_its_absence_with_it(weights: dict[str, Path]) -> None:
    down, up = factors(6, 32, 32)
    name = "lora_te3_encoder_block_0_layer_0_SelfAttention_q"
    data = file_of({f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up})
    shouting, plain = (generate(guides=Guides(loras=loras)) for loras in ((Lora(name="words", digest="x"),), ()))
    painter = engine(weights, uploaded={"x": data})
    made = [paint(painter, each) for each in (plain, shouting, plain, shouting)]
    assert np.array_equal(made[0], made[2])
    assert np.array_equal(made[1], made[3])
    assert np.array_equal(made[1], paint(engine(weights, uploaded={"x": data}), shouting))
    assert not np.array_equal(made[0], made[1])


def test_values_are_known_by_their_number_format_too() -> None:
    class Vae:
        """Tells what it was given; only its calls are of interest."""

        def encode(self, values: torch.Tensor) -> Any:
            return type("Encoded", (), {"latent_dist": values.dtype})

    memo: Memo[Any] = Memo(kept=8)
    encoder = LatentEncoder(Vae(), memo, ("digest",), dtype=torch.float32)
    ones = torch.zeros(1, 3, 8, 8, dtype=torch.bfloat16)
    assert encoder._posterior(ones) is torch.bfloat16
    assert encoder._posterior(ones.to(torch.float16)) is torch.float16  # the same bytes
    assert encoder._posterior(ones.reshape(1, 3, 4, 16)) is torch.bfloat16
    assert (memo.hits, memo.misses) == (0, 3)


# Runs that break off


@pytest.mark.parametrize("at", [2, 3])
@pytest.mark.parametrize(
    "operation", [edit(), edit("flux-mini-fill", mask=SOFT), klein()], ids=["base", "fill", "klein"]
)
def test_what_a_cancelled_run_leaves_is_what_any_run_would_have_left(
    weights: dict[str, Path], operation: Operation, at: int
) -> None:
    alone = paint(engine(weights), operation)
    painter = engine(weights)
    asked = iter(range(1, 99))
    with pytest.raises(EditCancelled):
        paint(painter, operation, cancelled=lambda: next(asked) >= at)
    assert np.array_equal(paint(painter, operation), alone)


def test_what_could_not_be_made_is_not_kept() -> None:
    memo: Memo[int] = Memo(kept=2)
    with pytest.raises(ZeroDivisionError):
        memo.get("key", lambda: 1 // 0)
    assert (len(memo), memo.get("key", lambda: 5), memo.get("key", lambda: 6)) == (0, 5, 5)


def test_the_oldest_goes_first_and_a_memo_of_none_keeps_none() -> None:
    memo: Memo[int] = Memo(kept=2)
    for key in (1, 2, 1, 3):  # 1 was asked for after 2
        memo.get(key, lambda key=key: key)
    assert [memo.get(key, lambda: 0) for key in (1, 3, 2)] == [1, 3, 0]
    forgetful: Memo[int] = Memo(kept=0)
    assert [forgetful.get("key", lambda made=made: made) for made in (1, 2)] == [1, 2]
    assert len(forgetful) == 0


# Weights


def test_a_lora_is_switched_without_loading_the_weights_again(weights: dict[str, Path]) -> None:
    painter = engine(weights)
    paint(painter, generate())
    loaded = painter._rooms[Architecture.FLUX1]._shelf._kept["flux-mini"]
    before = {name: each.data_ptr() for name, each in loaded.parts["transformer"].named_parameters()}
    seconds, made = [], []
    for name in (*savings.LORAS, *savings.LORAS):
        operation = generate(guides=Guides(loras=(Lora(name=name),)))
        with counted_calls() as calls:
            start = time.perf_counter()
            made.append(paint(painter, operation))
        seconds.append(calls.first_step - start)
        assert np.array_equal(made[-1], paint(engine(weights), operation))
    assert not np.array_equal(made[0], made[1])
    assert painter._rooms[Architecture.FLUX1]._shelf._kept["flux-mini"] is loaded
    assert {name: each.data_ptr() for name, each in loaded.parts["transformer"].named_parameters()} == before
    assert min(seconds) < 0.3


# The command's measurements


def test_the_command_measures_every_saving_and_finds_no_bit_changed(
    weights: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDIO_WEIGHTS", json.dumps({name: str(folder) for name, folder in weights.items()}))
    monkeypatch.setenv("STUDIO_THREADS", "1")
    result = CliRunner().invoke(app, ["bench", "savings", "--json"])
    document = json.loads(result.stdout)
    assert (result.exit_code, document["holds"]) == (0, True), result.output
    found = document["savings"]
    assert all(each["identical"] for each in found)
    assert [(each["without"], each["with"]) for each in found[:4]] == [(3, 1), (3, 1), (4, 2), (2, 1)]
    held, switch = found[4:]
    assert held["with"] <= held["limit"] < held["without"] / 4
    assert (switch["unit"], switch["limit"]) == ("seconds", 0.3)


def test_the_command_fails_if_a_bit_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Saving(what="calls", unit="calls", without=4.0, with_=1.0, identical=False)
    monkeypatch.setattr(savings, "run", lambda _ground, on_progress: (wrong,))
    result = CliRunner().invoke(app, ["bench", "savings"])
    assert result.exit_code == 1
    assert "NO" in result.output


@pytest.mark.parametrize(
    ("given", "holds"),
    [
        ({}, True),
        ({"identical": False}, False),
        ({"with_": 4.0}, False),
        ({"with_": 5.0}, False),
        ({"limit": 1.0}, True),
        ({"limit": 0.9}, False),
    ],
)
def test_a_saving_that_changes_a_bit_saves_nothing_or_passes_its_limit_does_not_hold(
    given: dict[str, Any], holds: bool
) -> None:
    saving = Saving(**{"what": "calls", "unit": "calls", "without": 4.0, "with_": 1.0, "identical": True, **given})
    assert (saving.holds, saving.to_json()["holds"], savings.to_json([saving])["holds"]) == (holds,) * 3
