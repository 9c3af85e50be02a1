"""FLUX.2 through the engine: every operation it offers, at sizes that fit nothing, and its place in the catalogue."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from editing.blending import Route
from editing.catalogue import CATALOGUE, check_operation, routes_of
from editing.checkpoints import Architecture
from editing.engine import EditedImage
from editing.errors import EngineError, OperationError
from editing.guides import Guides
from editing.operations import Generate, Inpaint, Instruct, Operation, Outpaint, Sampling
from editing.placement import Placement
from tests.editing.pictures import box_mask, raster
from tests.editing.tiny_flux2 import build_flux2, room_of  # imports the shim before diffusers

import torch  # isort: skip

from editing.diffusion.engine import DiffusionEngine, Ground  # isort: skip
from editing.flux2.room import Flux2Room  # isort: skip

DISTILLED, UNDISTILLED = "FLUX.2-klein-4B", "FLUX.2-klein-base-4B"
SAMPLING = Sampling(steps=2, guidance=1.0, seed=3)


class NoDetectors:
    """FLUX.2 has no controls."""

    def used(self, *_of: object) -> list[object]:
        return []

    def detect(self, *_of: object, **_how: object) -> None:
        raise AssertionError


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build_flux2(tmp_path_factory.mktemp("flux2"))


@pytest.fixture(scope="module")
def room(weights: dict[str, Path]) -> Flux2Room:
    return room_of(weights)


@pytest.fixture(scope="module")
def engine(room: Flux2Room) -> Iterator[DiffusionEngine]:
    threads = torch.get_num_threads()
    yield DiffusionEngine(
        {Architecture.FLUX2: room},
        NoDetectors(),
        accepted=lambda name: name != "FLUX.2-klein-9B",
        ground=Ground(device="cpu", dtype="float32", threads=1),
    )
    torch.set_num_threads(threads)


def run(engine: DiffusionEngine, operation: Operation) -> EditedImage:
    return engine.run(operation, on_step=lambda _progress: None, cancelled=lambda: False)


def test_generate_gives_the_size_asked_for(engine: DiffusionEngine) -> None:
    operation = Generate(prompt="a cat", width=100, height=70, sampling=SAMPLING, checkpoint=DISTILLED)
    edited = run(engine, operation)
    assert edited.raster.size == (100, 70)
    assert (edited.facts.checkpoint, edited.facts.route) == (DISTILLED, "generate")
    assert f"{DISTILLED}/transformer/diffusion_pytorch_model.safetensors" in edited.facts.weights
    assert np.array_equal(run(engine, operation).raster.pixels, edited.raster.pixels)


def test_inpaint_changes_no_pixel_outside_its_mask(engine: DiffusionEngine) -> None:
    picture, mask = raster(90, 130), box_mask(90, 130, (40, 20, 90, 71))
    edited = run(engine, Inpaint(prompt="a cat", picture=picture, mask=mask, sampling=SAMPLING, checkpoint=DISTILLED))
    assert edited.facts.route == Route.REFERENCE_MERGE
    assert np.array_equal(edited.raster.pixels[mask == 0], picture.pixels[mask == 0])
    assert not np.array_equal(edited.raster.pixels, picture.pixels)


def test_outpaint_keeps_every_old_pixel(engine: DiffusionEngine) -> None:
    picture = raster(60, 90)
    placement = Placement(width=140, height=90, left=20, top=10)
    edited = run(
        engine,
        Outpaint(prompt="a beach", picture=picture, placement=placement, sampling=SAMPLING, checkpoint=UNDISTILLED),
    )
    assert edited.raster.size == (140, 90)
    assert np.array_equal(edited.raster.pixels[10:70, 20:110], picture.pixels)


def test_instruct_gives_the_size_asked_for_and_sees_the_picture(engine: DiffusionEngine, room: Flux2Room) -> None:
    before = room.conditioner.pictures.misses
    operation = Instruct(
        prompt="make the car red",
        picture=raster(64, 90),
        size=(75, 50),
        sampling=Sampling(steps=1, guidance=1.0, seed=3),
        checkpoint=DISTILLED,
    )
    edited = run(engine, operation)
    assert edited.raster.size == (75, 50)
    assert edited.facts.route == "instruct"
    assert room.conditioner.pictures.misses - before == 1


def test_a_restricted_licence_is_asked_for(engine: DiffusionEngine) -> None:
    operation = Generate(prompt="a cat", width=64, height=64, sampling=SAMPLING, checkpoint="FLUX.2-klein-9B")
    with pytest.raises(EngineError) as caught:
        run(engine, operation)
    assert caught.value.code == "licence_not_accepted"


def test_each_of_the_family_runs_the_same_operations_by_one_route() -> None:
    family = [each for each in CATALOGUE.values() if each.architecture is Architecture.FLUX2 and each.paints]
    assert {each.name for each in family} == {"FLUX.2-klein-4B", "FLUX.2-klein-9B", "FLUX.2-klein-base-4B"}
    for checkpoint in family:
        assert checkpoint.operations == {"generate", "instruct", "inpaint", "outpaint"}
        assert routes_of(checkpoint) == (Route.REFERENCE_MERGE,)
        assert checkpoint.needs_acceptance == ("Apache" not in checkpoint.licence)


def test_undistilled_weights_are_guided_by_true_cfg_and_distilled_ones_by_nothing() -> None:
    for operation in ("generate", "instruct", "inpaint", "outpaint"):
        sampling = CATALOGUE[UNDISTILLED].sampling(operation, seed=1)
        assert (sampling.steps, sampling.true_cfg) == (50, 4.0)
        sampling = CATALOGUE[DISTILLED].sampling(operation, seed=1)
        assert (sampling.steps, sampling.true_cfg) == (4, 1.0)
    against = Guides(negative_prompt="a dog")
    guided = Sampling(steps=2, guidance=1.0, seed=1, true_cfg=3.0)
    given = {"prompt": "a cat", "width": 64, "height": 64, "sampling": guided, "guides": against}
    assert check_operation(Generate(checkpoint=UNDISTILLED, **given)).name == UNDISTILLED
    with pytest.raises(OperationError) as caught:
        check_operation(Generate(checkpoint=DISTILLED, **given))
    assert (caught.value.code, caught.value.value) == ("mix_unsupported", "cfg_unsupported")
    assert UNDISTILLED in caught.value.limit
