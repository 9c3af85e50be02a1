"""Whole rooms under every memory profile: the sampler, its guides and the records, on tiny weights."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from editing.catalogue import find
from editing.diffusion.rooms import Plan, Room, Run
from editing.diffusion.settings import EngineSettings
from editing.errors import EditCancelled
from editing.guides import Control, ControlKind, Guides, Lora, Reference, ReferenceKind
from editing.memory import MemoryProfile
from editing.operations import Sampling
from editing.rasters import Pixels, Raster
from tests.editing import lora_files
from tests.editing.pictures import noise
from tests.editing.tiny_flux2 import build_flux2  # imports the shim before diffusers

import torch  # isort: skip

from editing.diffusion.memory import Residency  # isort: skip
from editing.diffusion.placing import Place  # isort: skip
from editing.flux2.room import Flux2Room  # isort: skip
from editing.flux.room import Flux1Room  # isort: skip

CPU = torch.device("cpu")
BASE, UNION, KLEIN = "FLUX.1-dev", "FLUX.1-dev-ControlNet-Union-Pro-2.0", "FLUX.2-klein-4B"
EXACT = (MemoryProfile.CPU, MemoryProfile.GB48)
STYLE = lora_files.file_of(lora_files.diffusers_lora(3))
STYLE_DIGEST = hashlib.sha256(STYLE).hexdigest()
SHOWN = Raster(pixels=noise(40, 56, seed=70))
EVERYTHING = Guides(
    controls=(Control(kind=ControlKind.CANNY, checkpoint=UNION, scale=0.7),),
    loras=(Lora(name="style", digest=STYLE_DIGEST),),
    references=(
        Reference(kind=ReferenceKind.REDUX, picture=SHOWN, checkpoint="FLUX.1-Redux-dev"),
        Reference(kind=ReferenceKind.IP_ADAPTER, picture=SHOWN, checkpoint="flux-ip-adapter"),
    ),
    negative_prompt="a dog",
)
SAMPLING = Sampling(steps=2, guidance=3.5, seed=1)
GUIDED = Run(
    prompt="a (red:1.2) circle",
    size=(64, 48),
    sampling=replace(SAMPLING, true_cfg=2.0, strength=0.8),
    pixels=noise(48, 64, seed=1),
    images=[noise(48, 64, seed=2)],
    guides=EVERYTHING,
)
PLAIN = Run(prompt="a cat on a chair", size=(64, 48), sampling=SAMPLING)
INSTRUCTED = Run(prompt="remove the person", size=(64, 48), sampling=SAMPLING, pixels=noise(48, 64, seed=1))


@pytest.fixture(scope="module")
def flux2_weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build_flux2(tmp_path_factory.mktemp("flux2"))


def flux1(weights: Mapping[str, Path], profile: MemoryProfile) -> Room:
    read = {STYLE_DIGEST: STYLE}.__getitem__
    return Flux1Room(EngineSettings(weights=weights), _residency(profile), read_adapter=read)


def flux2(weights: Mapping[str, Path], profile: MemoryProfile) -> Room:
    return Flux2Room(EngineSettings(weights=weights), _residency(profile), read_adapter={}.__getitem__)


def _residency(profile: MemoryProfile) -> Residency:
    return Residency(Place(device=CPU, dtype=torch.float32, profile=profile), small=0)


def painted(room: Room, run: Run, main: str, route: str, *, stop_after: int | None = None) -> Pixels:
    painter = room.load(Plan(main=find(main), route=route, guides=run.guides))
    steps: list[Any] = []
    stop = lambda: len(steps) == stop_after  # noqa: E731
    return painter.paint(run, on_step=steps.append, cancelled=stop)


def held(paint: Any, guided: Run, plain: Run, expected: tuple[Pixels, Pixels], *, exact: bool) -> None:
    """Both runs, a cancelled one between, and both again: the same pixels, and near or equal to whole weights'."""
    first = paint(guided), paint(plain)
    with pytest.raises(EditCancelled):
        paint(guided, stop_after=1)
    assert np.array_equal(paint(plain), first[1])
    assert np.array_equal(paint(guided), first[0])
    for ours, whole in zip(first, expected, strict=True):
        away = np.abs(ours.astype(int) - whole.astype(int))
        assert bool(away.max() == 0) is exact
        assert away.mean() < 25  # of two unlike pictures about 85; the tiny FLUX.2 heeds every word far too much


@pytest.fixture(scope="module")
def whole_flux1(tiny_weights: dict[str, Path]) -> tuple[Pixels, Pixels]:
    room = flux1(tiny_weights, MemoryProfile.CPU)
    return painted(room, GUIDED, BASE, "img2img"), painted(room, PLAIN, BASE, "generate")


@pytest.fixture(scope="module")
def whole_flux2(flux2_weights: dict[str, Path]) -> tuple[Pixels, Pixels]:
    room = flux2(flux2_weights, MemoryProfile.CPU)
    return painted(room, INSTRUCTED, KLEIN, "instruct"), painted(room, PLAIN, KLEIN, "generate")


@pytest.mark.parametrize("profile", [each for each in MemoryProfile if each is not MemoryProfile.CPU])
def test_flux1_runs_with_every_guide_at_once(
    tiny_weights: dict[str, Path], whole_flux1: tuple[Pixels, Pixels], profile: MemoryProfile
) -> None:
    room = flux1(tiny_weights, profile)

    def paint(run: Run, **options: Any) -> Pixels:
        return painted(room, run, BASE, "generate" if run is PLAIN else "img2img", **options)

    held(paint, GUIDED, PLAIN, whole_flux1, exact=profile in EXACT)
    assert not room._residency.aboard


@pytest.mark.parametrize("profile", [each for each in MemoryProfile if each is not MemoryProfile.CPU])
def test_flux2_paints_and_follows_instructions(
    flux2_weights: dict[str, Path], whole_flux2: tuple[Pixels, Pixels], profile: MemoryProfile
) -> None:
    room = flux2(flux2_weights, profile)

    def paint(run: Run, **options: Any) -> Pixels:
        return painted(room, run, KLEIN, "generate" if run is PLAIN else "instruct", **options)

    held(paint, INSTRUCTED, PLAIN, whole_flux2, exact=profile in EXACT)
    assert not room._residency.aboard
