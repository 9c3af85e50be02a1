"""The detectors that exist in one size only: built one at a time, held to controlnet-aux's own, and deleted.

The two of 291 and 493 MB run with the soak tests.
"""

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from editing.detectors import Detectors
from editing.detectors.nets import hushed
from editing.diffusion.settings import EngineSettings
from editing.guides import Detector
from editing.rasters import Pixels
from editing.zoo.detectors import PICKLED
from tests.editing.pictures import scenery
from tests.editing.tiny_detectors import build_detectors

LINES = scenery(256, 256)
SCENE = scenery(384, 384)


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """The weights of one detector, by its name in the catalogue."""
    yield build_detectors(tmp_path, [request.param])[request.param]
    gc.collect()
    shutil.rmtree(tmp_path / request.param)


def ours(name: str, folder: Path, detector: Detector, pixels: Pixels) -> Pixels:
    shelf = Detectors(EngineSettings(weights={name: folder}), device=torch.device("cpu"), accepted=bool)
    made = shelf.detect(pixels, detector)
    assert shelf.used(detector)[0].digests.keys() == {PICKLED[name]}
    return made


def theirs(name: str, folder: Path, pixels: Pixels) -> Any:
    with hushed(), torch.inference_mode(), np.errstate(all="ignore"):
        import controlnet_aux as aux

        side = pixels.shape[0]
        options = {"detect_resolution": side, "image_resolution": side, "output_type": "np"}
        if name.startswith("lineart-") or name == "lineart":
            kind = aux.LineartAnimeDetector if name == "lineart-anime" else aux.LineartDetector
        else:
            kind = {"normalbae": aux.NormalBaeDetector, "midas-dpt-hybrid": aux.MidasDetector}[name]
        return kind.from_pretrained(str(folder))(pixels, **options)


@pytest.mark.parametrize("folder", ["lineart-anime"], indirect=True)
def test_lines_of_drawn_pictures_are_exactly_those_of_controlnet_aux(folder: Path) -> None:
    expected = theirs("lineart-anime", folder, LINES)
    assert np.ptp(expected) > 50
    assert np.array_equal(ours("lineart-anime", folder, Detector.LINEART_ANIME, LINES), expected)


@pytest.mark.soak
@pytest.mark.parametrize("folder", ["normalbae"], indirect=True)
def test_normals_are_exactly_those_of_controlnet_aux(folder: Path) -> None:
    expected = theirs("normalbae", folder, SCENE)
    assert np.ptp(expected) > 50
    assert np.array_equal(ours("normalbae", folder, Detector.NORMALBAE, SCENE), expected)


@pytest.mark.parametrize("folder", ["lineart"], indirect=True)
def test_fine_and_coarse_line_art_are_two_files_of_one_detector(folder: Path) -> None:
    shutil.copy(folder / PICKLED["lineart"], folder / PICKLED["lineart-coarse"])  # theirs reads both
    expected = theirs("lineart", folder, LINES)
    assert np.ptp(expected) > 50
    assert np.array_equal(ours("lineart", folder, Detector.LINEART, LINES), expected)
    assert np.array_equal(ours("lineart-coarse", folder, Detector.LINEART_COARSE, LINES), expected)


@pytest.mark.soak
@pytest.mark.parametrize("folder", ["midas-dpt-hybrid"], indirect=True)
def test_midas_sees_depth_as_controlnet_aux_does(folder: Path) -> None:
    expected = theirs("midas-dpt-hybrid", folder, SCENE)
    assert np.ptp(expected) > 200
    made = ours("midas-dpt-hybrid", folder, Detector.MIDAS, SCENE)
    assert np.abs(made.astype(int) - expected).max() <= 1  # it rounds down, we round to the nearest


@pytest.mark.parametrize("folder", ["openpose"], indirect=True)
def test_openpose_finds_the_people_that_controlnet_aux_finds(folder: Path) -> None:
    with hushed(), torch.inference_mode():
        from controlnet_aux import OpenposeDetector
        from controlnet_aux.open_pose.body import Body

        body = Body(str(folder / PICKLED["openpose"]))
        expected = OpenposeDetector(body)(LINES, detect_resolution=256, image_resolution=256, output_type="np")
    made = ours("openpose", folder, Detector.OPENPOSE, LINES)
    assert expected.any()
    # the same points at the same places; our lines are in proportion to the picture, theirs are as at 512 pixels
    drawn, wanted = ((each > 0).any(axis=2) for each in (made, expected))
    assert (drawn & ~wanted).mean() < 0.001
    assert drawn.sum() > 0.5 * wanted.sum()
