"""FLUX.2's room: what it loads and refuses, what it saves, and that nothing of a run outlasts it."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from editing.catalogue import find
from editing.diffusion.rooms import Plan, Run
from editing.engine import Progress
from editing.errors import EditCancelled, EngineError, OperationError
from editing.guides import Embedding, Guides, Lora
from editing.memory import MemoryProfile
from editing.operations import Sampling
from editing.rasters import Pixels
from tests.editing.pictures import box_mask, noise
from tests.editing.tiny_flux2 import LAYERS, build_flux2, room_of  # imports the shim before diffusers

import torch  # isort: skip
from safetensors.torch import load_file, save, save_file  # isort: skip

from editing.diffusion.quiet import quiet_libraries  # isort: skip
from editing.flux2.conditioning import Conditioner  # isort: skip
from editing.flux2.latents import fitted  # isort: skip
from editing.flux2.room import Flux2Room, KleinPainter  # isort: skip

STEPS = 2
DISTILLED, UNDISTILLED = "FLUX.2-klein-4B", "FLUX.2-klein-base-4B"
SAMPLING = Sampling(steps=STEPS, guidance=1.0, seed=7)


@pytest.fixture(scope="module", autouse=True)
def _one_thread_and_no_chatter() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with quiet_libraries():
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build_flux2(tmp_path_factory.mktemp("flux2"))


@pytest.fixture
def room(weights: dict[str, Path]) -> Flux2Room:
    return room_of(weights)


@pytest.fixture(scope="module")
def painter(weights: dict[str, Path]) -> KleinPainter:
    """For tests of runs alone, of which nothing outlasts any."""
    return room_of(weights).load(plan())


@pytest.fixture
def folder(weights: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(weights[DISTILLED], tmp_path / "klein"))


def plan(name: str = DISTILLED, guides: Guides | None = None) -> Plan:
    return Plan(main=find(name), route="generate", guides=guides or Guides())


def words(**other: Any) -> Run:
    return Run(**{"prompt": "a cat on a chair", "size": (64, 48), "sampling": SAMPLING, **other})


def part() -> Run:
    return words(pixels=noise(48, 64), mask=box_mask(48, 64, (16, 16, 48, 32)))


def paint(
    painter: KleinPainter,
    run: Run,
    on_step: Callable[[Progress], None] = lambda _progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Pixels:
    return painter.paint(run, on_step=on_step, cancelled=cancelled)


def change_json(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


# What is loaded


def test_every_file_that_is_loaded_is_digested(room: Flux2Room, weights: dict[str, Path]) -> None:
    (used,) = room.load(plan()).weights
    assert (used.name, used.revision) == (DISTILLED, "local")
    folders = {file.split("/", maxsplit=1)[0] for file in used.digests}
    assert folders == {"transformer", "vae", "text_encoder", "tokenizer"}
    for file, digest in used.digests.items():
        assert hashlib.sha256((weights[DISTILLED] / file).read_bytes()).hexdigest() == digest


def test_layers_of_the_text_encoder_that_nothing_reads_are_not_kept(room: Flux2Room) -> None:
    layers = room.load(plan())._loaded.text_encoder.model.layers
    assert len(layers) == 28 < LAYERS  # the pixels are diffusers', which runs them all: see test_flux2_pixels


def test_the_next_checkpoint_takes_over_what_it_would_load_again(room: Flux2Room) -> None:
    first = room.load(plan())._loaded
    again = room.load(plan())._loaded
    second = room.load(plan(UNDISTILLED))._loaded
    assert again is first
    assert second.vae is first.vae
    assert second.text_encoder is first.text_encoder
    assert second.transformer is not first.transformer


def test_a_checkpoint_is_as_good_after_another_as_before(room: Flux2Room) -> None:
    before = paint(room.load(plan()), words())
    other = paint(room.load(plan(UNDISTILLED)), words())
    assert not np.array_equal(before, other)
    assert np.array_equal(paint(room.load(plan()), words()), before)


# What is refused


@pytest.mark.parametrize(
    ("file", "values", "value"),
    [
        ("model_index.json", {"_class_name": "FluxPipeline"}, "FluxPipeline"),
        ("model_index.json", {"transformer": ["diffusers", "FluxTransformer2DModel"]}, "FluxTransformer2DModel"),
        ("model_index.json", {"text_encoder": ["my_code", "Evil"]}, "Evil"),
        ("model_index.json", {"is_distilled": False}, "undistilled"),
        ("transformer/config.json", {"in_channels": 64}, 64),
        ("transformer/config.json", {"joint_attention_dim": 96}, 96),
        ("transformer/config.json", {"guidance_embeds": True}, True),
    ],
)
def test_weights_of_another_kind_are_refused(folder: Path, file: str, values: dict[str, object], value: object) -> None:
    change_json(folder / file, **values)
    with pytest.raises(EngineError) as caught:
        room_of({DISTILLED: folder}).load(plan())
    assert (caught.value.code, caught.value.value) == ("weights_unsuitable", value)


def test_distilled_weights_are_no_undistilled_ones(weights: dict[str, Path]) -> None:
    with pytest.raises(EngineError) as caught:
        room_of({UNDISTILLED: weights[DISTILLED]}).load(plan(UNDISTILLED))
    assert (caught.value.code, caught.value.limit) == ("weights_unsuitable", "undistilled")


def _without(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).unlink()


def _cut_off(folder: Path) -> None:
    file = folder / "transformer/diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-8])


def _pickled(folder: Path) -> None:
    (folder / "vae/diffusion_pytorch_model.safetensors").rename(folder / "vae/diffusion_pytorch_model.bin")


def _misshapen(folder: Path) -> None:
    file = folder / "transformer/diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    tensors["x_embedder.weight"] = tensors["x_embedder.weight"][:, :8].contiguous()
    save_file(tensors, file)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (_without("model_index.json"), "weights_missing"),
        (_without("text_encoder/model.safetensors"), "weights_missing"),
        (_without("transformer/config.json"), "weights_unreadable"),
        (_without("tokenizer/tokenizer.json"), "weights_missing"),
        (_cut_off, "weights_unreadable"),
        (_pickled, "weights_missing"),
        (_misshapen, "weights_unreadable"),
    ],
    ids=["index", "encoder", "config", "tokenizer", "cut_off", "pickled", "misshapen"],
)
def test_a_failed_load_says_why_and_changes_no_later_pixel(
    weights: dict[str, Path], folder: Path, damage: Callable[[Path], None], code: str
) -> None:
    damage(folder)
    room = room_of({"FLUX.2-klein-9B": weights[DISTILLED], DISTILLED: folder})
    before = paint(room.load(plan("FLUX.2-klein-9B")), words())
    with pytest.raises(EngineError) as caught:
        room.load(plan())
    assert caught.value.code == code
    assert np.array_equal(paint(room.load(plan("FLUX.2-klein-9B")), words()), before)


def test_what_can_be_judged_without_loading_leaves_the_loaded_checkpoint_standing(
    weights: dict[str, Path], folder: Path
) -> None:
    _cut_off(folder)
    room = room_of({UNDISTILLED: weights[UNDISTILLED], DISTILLED: folder})
    standing = room.load(plan(UNDISTILLED))._loaded
    with pytest.raises(EngineError):
        room.load(plan())
    assert room.load(plan(UNDISTILLED))._loaded is standing


def test_what_nothing_here_would_act_on_is_refused(room: Flux2Room) -> None:
    with pytest.raises(OperationError) as caught:
        room.load(plan(guides=Guides(embeddings=(Embedding(token="cat", digest="0" * 64),))))
    assert caught.value.code == "embedding_unsupported"
    with pytest.raises(OperationError) as caught:
        paint(room.load(plan()), words(prompt="a (cat:1.4) on a chair"))
    assert caught.value.code == "prompt_weights_unsupported"


def test_escaped_brackets_are_read_as_brackets(painter: KleinPainter) -> None:
    plain = paint(painter, words(prompt="a cat (red) on a chair"))
    assert np.array_equal(paint(painter, words(prompt=r"a cat \(red\) on a chair")), plain)
    assert not np.array_equal(paint(painter, words(prompt="a cat red on a chair")), plain)


# What is saved


def test_a_prompt_is_encoded_once_and_gives_the_same_bits(room: Flux2Room, weights: dict[str, Path]) -> None:
    painter = room.load(plan())
    first = paint(painter, words())
    assert np.array_equal(paint(painter, words()), first)
    other = paint(painter, words(sampling=replace(SAMPLING, seed=8)))
    assert np.array_equal(other, paint(room_of(weights).load(plan()), words(sampling=replace(SAMPLING, seed=8))))
    prompts = room.conditioner.prompts
    assert (prompts.misses, prompts.hits) == (1, 2)


def test_a_picture_is_encoded_once_for_all_its_edits(room: Flux2Room, weights: dict[str, Path]) -> None:
    runs = [part(), words(pixels=noise(48, 64)), replace(part(), prompt="make the car red")]
    forgetful = room_of(weights)
    forgetful.conditioner = Conditioner(device=torch.device("cpu"), dtype=torch.float32, kept=0)
    fresh = [paint(forgetful.load(plan()), run) for run in runs]
    assert forgetful.conditioner.pictures.hits == 0
    painter = room.load(plan())
    assert all(np.array_equal(paint(painter, run), alone) for run, alone in zip(runs, fresh, strict=True))
    pictures = room.conditioner.pictures
    assert (pictures.misses, pictures.hits) == (1, 2)  # and once alone serves both as reference and as what is kept
    paint(painter, words())
    assert (pictures.misses, pictures.hits) == (1, 2)  # text alone encodes none


def test_what_is_shared_between_checkpoints_is_encoded_once(room: Flux2Room) -> None:
    paint(room.load(plan()), part())
    paint(room.load(plan(UNDISTILLED)), part())
    assert (room.conditioner.prompts.misses, room.conditioner.pictures.misses) == (1, 1)


def test_another_tokenizer_is_no_hit(weights: dict[str, Path], folder: Path) -> None:
    template = folder / "tokenizer/chat_template.jinja"
    template.write_text("Draw this: " + template.read_text())
    room = room_of({"FLUX.2-klein-9B": weights[DISTILLED], DISTILLED: folder})
    first = paint(room.load(plan("FLUX.2-klein-9B")), words())
    assert not np.array_equal(paint(room.load(plan()), words()), first)
    assert room.conditioner.prompts.hits == 0


def test_a_negative_prompt_that_does_not_act_is_not_encoded(room: Flux2Room) -> None:
    against = Guides(negative_prompt="a red circle")
    paint(room.load(plan(UNDISTILLED)), words(guides=against))
    assert room.conditioner.prompts.misses == 1
    paint(room.load(plan(UNDISTILLED)), words(guides=against, sampling=replace(SAMPLING, true_cfg=2.0)))
    assert room.conditioner.prompts.misses == 2


def test_released_weights_are_loaded_again(room: Flux2Room) -> None:
    before = paint(room.load(plan()), part())
    room.release()
    assert len(room.conditioner.prompts) == len(room.conditioner.pictures) == 0
    assert np.array_equal(paint(room.load(plan()), part()), before)


# Runs


def test_progress_counts_the_steps_that_are_made(painter: KleinPainter) -> None:
    seen: list[Progress] = []
    paint(painter, part(), on_step=seen.append)
    assert seen == [Progress(step=1, steps=2), Progress(step=2, steps=2)]
    seen.clear()
    paint(painter, replace(part(), sampling=replace(SAMPLING, strength=0.5)), on_step=seen.append)
    assert seen == [Progress(step=1, steps=1)]


@pytest.mark.parametrize("asked", range(STEPS + 2))
def test_cancel_takes_effect_at_once_and_leaves_the_next_run_bit_identical(painter: KleinPainter, asked: int) -> None:
    clean = paint(painter, part())
    answers = iter([False] * asked + [True])
    steps: list[Progress] = []
    with pytest.raises(EditCancelled):
        paint(painter, part(), on_step=steps.append, cancelled=lambda: next(answers))
    assert len(steps) == max(0, asked - 1)  # asked before encoding, before the first step, and after each
    assert np.array_equal(paint(painter, part()), clean)


def test_a_callers_own_error_is_not_the_models(painter: KleinPainter) -> None:
    mine = ValueError("mine")

    def fail(_progress: Progress) -> None:
        raise mine

    with pytest.raises(ValueError, match="mine") as caught:
        paint(painter, words(), on_step=fail)
    assert caught.value is mine


def test_a_run_that_fails_names_its_checkpoint_and_the_next_is_clean(painter: KleinPainter) -> None:
    clean = paint(painter, part())
    with pytest.raises(EngineError) as caught:
        paint(painter, replace(part(), pixels=noise(64, 64)))  # not of the run's size
    assert (caught.value.code, caught.value.value) == ("engine_failed", DISTILLED)
    assert np.array_equal(paint(painter, part()), clean)


def test_values_that_are_not_numbers_never_become_a_picture(folder: Path) -> None:
    file = folder / "transformer/diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    tensors["proj_out.weight"][0, 0] = float("nan")
    save_file(tensors, file)
    with pytest.raises(EngineError, match="not numbers") as caught:
        paint(room_of({DISTILLED: folder}).load(plan()), words())
    assert caught.value.code == "engine_failed"


# Where memory profiles and LoRAs come in


def lora_of(transformer: Any, *, rank: int = 2, seed: int = 0) -> bytes:
    """A LoRA of the attention's queries and of the last layer, as PEFT names them."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for path in ("transformer_blocks.0.attn.to_q", "proj_out"):
        layer = transformer.get_submodule(path)
        down = torch.randn(rank, layer.in_features, generator=generator)
        up = torch.randn(layer.out_features, rank, generator=generator)
        tensors[f"transformer.{path}.lora_A.weight"], tensors[f"transformer.{path}.lora_B.weight"] = down, up
    return save(tensors)


def test_loras_act_in_their_run_alone_and_are_recorded(weights: dict[str, Path]) -> None:
    uploaded: dict[str, bytes] = {}
    room = room_of(weights, read=uploaded.__getitem__)
    plain = paint(room.load(plan()), words())
    file = lora_of(room.load(plan())._loaded.transformer)
    digest = hashlib.sha256(file).hexdigest()
    uploaded[digest] = file
    results = []
    for weight in (1.0, 0.5, 1.0):
        guides = Guides(loras=(Lora(name="mine", weight=weight, digest=digest),))
        painter = room.load(plan(guides=guides))
        results.append(paint(painter, words(guides=guides)))
        assert [used.name for used in painter.weights] == [DISTILLED, "lora:mine"]
        assert digest in painter.weights[1].digests.values()
    assert np.array_equal(results[0], results[2])
    assert not np.array_equal(results[0], results[1])
    assert not np.array_equal(results[0], plain)
    assert np.array_equal(paint(room.load(plan()), words()), plain)
    uploaded.clear()
    room.release()  # of its LoRAs, too: another architecture's weights come next
    with pytest.raises(KeyError):
        paint(room.load(plan(guides=guides)), words(guides=guides))


def test_a_lora_for_another_shape_is_refused_and_the_next_run_is_clean(room: Flux2Room) -> None:
    transformer = room.load(plan())._loaded.transformer
    plain = paint(room.load(plan()), words())
    wrong = {
        "transformer.proj_out.lora_A.weight": torch.ones(2, 7),
        "transformer.proj_out.lora_B.weight": torch.ones(9, 2),
    }
    assert transformer.proj_out.in_features != 7
    room._loras._rack._read = lambda _digest: save(wrong)
    guides = Guides(loras=(Lora(name="mine", digest="0" * 64),))
    with pytest.raises(OperationError) as caught:
        paint(room.load(plan(guides=guides)), words(guides=guides))
    assert caught.value.code == "lora_shapes_wrong"
    assert np.array_equal(paint(room.load(plan()), words()), plain)


@pytest.mark.parametrize("profile", [MemoryProfile.GB24, MemoryProfile.GB8])
def test_a_memory_profile_gives_the_same_pixels_again_whatever_ran_between(
    weights: dict[str, Path], profile: MemoryProfile
) -> None:
    room = room_of(weights, profile=profile)
    first = paint(room.load(plan()), part())
    with pytest.raises(EditCancelled):
        paint(room.load(plan()), part(), cancelled=iter([False, False, True]).__next__)
    paint(room.load(plan(UNDISTILLED)), words())
    assert np.array_equal(paint(room.load(plan()), part()), first)
    facts = room.load(plan()).memory
    assert facts["profile"] == profile.value
    assert set(facts["formats"]) == {"transformer", "vae", "text_encoder"}


@pytest.mark.parametrize(
    ("size", "most", "expected"),
    [
        ((64, 48), 10**6, (64, 48)),
        ((70, 47), 10**6, (64, 32)),
        ((5, 400), 10**6, (16, 400)),
        ((2000, 1000), 10**6, (1408, 704)),
    ],
)
def test_further_pictures_are_brought_to_whole_tokens(
    size: tuple[int, int], most: int, expected: tuple[int, int]
) -> None:
    pixels = noise(size[1], size[0])
    brought = fitted(pixels, most=most)
    assert brought.shape == (expected[1], expected[0], 3)
    assert (brought is pixels) == (size == expected)
