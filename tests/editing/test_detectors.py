import hashlib
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from editing.checkpoints import Checkpoint
from editing.controls import MOST_PIXELS, control_image
from editing.detecting import DETECTORS
from editing.detectors import Detectors
from editing.detectors.nets import hushed
from editing.detectors.shelf import KEPT, REMEMBERED
from editing.diffusion.settings import EngineSettings
from editing.entries import find
from editing.errors import EngineError
from editing.guides import Control, ControlKind, Detector
from editing.rasters import Pixels
from editing.zoo.detectors import PICKLED
from tests.editing.pictures import scenery
from tests.editing.tiny_detectors import SMALL, build_detectors

LIGHT = (
    Detector.TEED,
    Detector.DEPTH_ANYTHING,
    Detector.NORMAL_FROM_DEPTH,
    Detector.VITPOSE,
)
"""Detectors that answer within a moment on one core."""

Make = Callable[..., Detectors]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build_detectors(tmp_path_factory.mktemp("detectors"), (*SMALL, "hed"))


@pytest.fixture
def make(folders: dict[str, Path], tmp_path: Path) -> Make:
    def shelf(instead: Mapping[str, Path] | None = None, *, accepted: Callable[[str], bool] = bool) -> Detectors:
        settings = EngineSettings(weights={**folders, **(instead or {})}, hub_cache=tmp_path / "hub")
        return Detectors(settings, device=torch.device("cpu"), accepted=accepted)

    return shelf


def copied(folders: Mapping[str, Path], name: str, to: Path) -> Path:
    return Path(shutil.copytree(folders[name], to / name))


def controlnet_aux(name: str, folder: Path, pixels: Pixels) -> Any:
    """The map that controlnet-aux itself makes of the folder."""
    with hushed(), torch.inference_mode(), np.errstate(all="ignore"):
        import controlnet_aux as theirs

        shorter = min(pixels.shape[:2])
        if name == "teed":
            detector = theirs.TEEDdetector.from_pretrained(str(folder), filename=PICKLED[name])
            return detector(pixels, detect_resolution=shorter, output_type="np")
        kind = {"hed": theirs.HEDdetector, "pidinet": theirs.PidiNetDetector}[name]
        detector = kind.from_pretrained(str(folder))
        return detector(pixels, detect_resolution=shorter, image_resolution=shorter, output_type="np")


@pytest.mark.parametrize("name", ["hed", "pidinet", "teed"])
def test_maps_are_exactly_those_of_controlnet_aux(name: str, folders: dict[str, Path], make: Make) -> None:
    pixels = scenery(256, 320)
    theirs = controlnet_aux(name, folders[name], pixels)
    assert np.ptp(theirs) > 100
    assert np.array_equal(make().detect(pixels, Detector(name)), theirs)


@pytest.mark.parametrize("detector", LIGHT)
@pytest.mark.parametrize("size", [(1, 1), (3, 40), (33, 17), (50, 300)])
def test_a_map_has_the_size_of_its_picture_and_is_the_same_every_time(
    detector: Detector, size: tuple[int, int], make: Make
) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    shelf = make()
    made = shelf.detect(pixels, detector)
    assert made.shape == pixels.shape
    assert made.dtype == np.uint8
    shelf.detect(scenery(64, 64), detector)
    shelf.release()
    assert np.array_equal(shelf.detect(pixels, detector), made)


@pytest.mark.parametrize("detector", LIGHT)
def test_a_map_depends_on_its_picture(detector: Detector, make: Make) -> None:
    shelf = make()
    first, second = (shelf.detect(scenery(96, 128, seed), detector) for seed in (1, 2))
    assert np.ptp(first) > 50
    assert not np.array_equal(first, second)
    grey = shelf.detect(np.full((96, 128, 3), 90, np.uint8), detector)
    assert grey.shape == (96, 128, 3)


def test_depth_is_what_the_model_says_with_near_in_white(folders: dict[str, Path], make: Make) -> None:
    from transformers import AutoImageProcessor, AutoModelForDepthEstimation

    pixels = scenery(256, 256)
    with hushed(), torch.inference_mode():
        folder = folders["Depth-Anything-V2-Small"]
        model = AutoModelForDepthEstimation.from_pretrained(folder).eval()
        said = model(**AutoImageProcessor.from_pretrained(folder)(images=pixels, return_tensors="pt"))
    nearest = np.unravel_index(int(said.predicted_depth[0].argmax()), said.predicted_depth[0].shape)
    farthest = np.unravel_index(int(said.predicted_depth[0].argmin()), said.predicted_depth[0].shape)
    made = make().detect(pixels, Detector.DEPTH_ANYTHING)
    scale = 256 / said.predicted_depth.shape[-1]
    near, far = (made[int((y + 0.5) * scale), int((x + 0.5) * scale), 0] for y, x in (nearest, farthest))
    assert near > 200
    assert far < 50
    assert np.ptp(made, axis=2).max() == 0


def test_poses_are_drawn_on_black_in_openposes_colours(make: Make) -> None:
    made = make().detect(scenery(160, 200), Detector.VITPOSE)
    assert (made == 0).all(axis=2).mean() > 0.3
    red = (made == (255, 0, 0)).all(axis=2)  # the nose
    violet = (made == (255, 0, 85)).all(axis=2)  # the left ear
    assert red.any()
    assert violet.any()


def test_nobody_in_the_picture_is_a_black_map(folders: dict[str, Path], tmp_path: Path, make: Make) -> None:
    from transformers import RTDetrForObjectDetection

    folder = copied(folders, "rtdetr-r50vd", tmp_path)
    with hushed():
        model = RTDetrForObjectDetection.from_pretrained(folder)
        for head in model.model.decoder.class_embed:
            torch.nn.init.constant_(head.weight, 0.0)
            torch.nn.init.constant_(head.bias, -9.0)
        model.save_pretrained(folder)
    assert make({"rtdetr-r50vd": folder}).detect(scenery(96, 96), Detector.VITPOSE).max() == 0


def test_the_weights_of_a_map_are_named_with_their_digests(folders: dict[str, Path], make: Make) -> None:
    shelf = make()
    assert shelf.used(Detector.VITPOSE) == ()
    shelf.detect(scenery(64, 64), Detector.VITPOSE)
    used = shelf.used(Detector.VITPOSE)
    assert [each.name for each in used] == ["vitpose-base-simple", "rtdetr-r50vd"]
    for each in used:
        digest = hashlib.sha256((folders[each.name] / "model.safetensors").read_bytes()).hexdigest()
        assert (each.revision, dict(each.digests)) == ("local", {"model.safetensors": digest})
    shelf.detect(scenery(64, 64), Detector.GRADIENT)
    assert shelf.used(Detector.GRADIENT) == ()


@pytest.mark.parametrize("detector", [d for d, facts in DETECTORS.items() if facts.checkpoints])
def test_missing_weights_are_refused_with_what_would_do_instead(detector: Detector, tmp_path: Path) -> None:
    settings = EngineSettings(hub_cache=tmp_path)
    shelf = Detectors(settings, device=torch.device("cpu"), accepted=bool)
    with pytest.raises(EngineError) as caught:
        shelf.detect(scenery(32, 32), detector)
    assert (caught.value.code, caught.value.field) == ("weights_missing", "detector")
    assert caught.value.value == DETECTORS[detector].checkpoint
    assert "as_is" in str(caught.value)
    instead = [d.value for d, f in DETECTORS.items() if f.kind is DETECTORS[detector].kind and d is not detector]
    assert all(name in str(caught.value) for name in instead)


def test_one_of_two_models_missing_is_named(tmp_path: Path, make: Make) -> None:
    with pytest.raises(EngineError) as caught:
        make({"rtdetr-r50vd": tmp_path}).detect(scenery(32, 32), Detector.VITPOSE)
    assert (caught.value.code, caught.value.value) == ("weights_missing", "rtdetr-r50vd")


def _truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _no_weights(file: Path) -> None:
    file.write_bytes(b"<html>404</html>")


def _foreign(file: Path) -> None:
    torch.save({"some.weight": torch.zeros(3)}, file)


def _misshapen(file: Path) -> None:
    tensors = torch.load(file, weights_only=True)
    name = next(iter(tensors))
    torch.save({**tensors, name: torch.zeros(1, 2, 3)}, file)


def _no_table(file: Path) -> None:
    torch.save(torch.zeros(4), file)


def _code(file: Path) -> None:
    torch.save({"code": Checkpoint}, file)  # a class of ours: to read it would be to import what the file names


@pytest.mark.parametrize("spoil", [_truncated, _no_weights, _foreign, _misshapen, _no_table, _code])
def test_a_file_that_is_not_these_weights_is_refused_and_all_is_as_before(
    spoil: Callable[[Path], None], folders: dict[str, Path], tmp_path: Path, make: Make
) -> None:
    folder = copied(folders, "teed", tmp_path)
    good = (folder / PICKLED["teed"]).read_bytes()
    spoil(folder / PICKLED["teed"])
    shelf = make({"teed": folder})
    depth = shelf.detect(scenery(64, 64), Detector.DEPTH_ANYTHING)
    for _ in range(2):
        with pytest.raises(EngineError) as caught:
            shelf.detect(scenery(64, 64), Detector.TEED)
        assert (caught.value.code, caught.value.value) == ("weights_unreadable", "teed")
    assert np.array_equal(shelf.detect(scenery(64, 64), Detector.DEPTH_ANYTHING), depth)
    assert shelf.used(Detector.TEED) == ()
    (folder / PICKLED["teed"]).write_bytes(good)
    assert np.array_equal(shelf.detect(scenery(64, 64), Detector.TEED), make().detect(scenery(64, 64), Detector.TEED))


def test_a_model_that_lacks_weights_is_refused_and_never_filled_with_random_ones(
    folders: dict[str, Path], tmp_path: Path, make: Make
) -> None:
    from safetensors.torch import load_file, save_file

    folder = copied(folders, "Depth-Anything-V2-Small", tmp_path)
    tensors = load_file(folder / "model.safetensors")
    left_out = next(name for name in tensors if name.startswith("head."))
    save_file({name: tensor for name, tensor in tensors.items() if name != left_out}, folder / "model.safetensors")
    with pytest.raises(EngineError) as caught:
        make({"Depth-Anything-V2-Small": folder}).detect(scenery(64, 64), Detector.DEPTH_ANYTHING)
    assert (caught.value.code, caught.value.limit) == ("weights_unreadable", [left_out])


def test_a_detector_of_objects_that_knows_no_people_is_refused(
    folders: dict[str, Path], tmp_path: Path, make: Make
) -> None:
    folder = copied(folders, "rtdetr-r50vd", tmp_path)
    config = folder / "config.json"
    config.write_text(config.read_text("utf-8").replace('"person"', '"car"'), "utf-8")
    with pytest.raises(EngineError) as caught:
        make({"rtdetr-r50vd": folder}).detect(scenery(64, 64), Detector.VITPOSE)
    assert (caught.value.code, caught.value.limit) == ("weights_unreadable", "person")


def test_a_detector_that_fails_says_so_and_the_next_picture_is_mapped(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = make()
    before = shelf.detect(scenery(64, 64), Detector.TEED)
    with monkeypatch.context() as broken:
        broken.setattr(torch.nn.functional, "conv2d", _out_of_memory)
        with pytest.raises(EngineError) as caught:
            shelf.detect(scenery(64, 64, 9), Detector.TEED)
    assert (caught.value.code, caught.value.value) == ("detector_failed", "teed")
    assert "gradient (which needs no weights)" in str(caught.value)
    shelf.release()
    assert np.array_equal(shelf.detect(scenery(64, 64), Detector.TEED), before)


def _out_of_memory(*_: object, **__: object) -> None:
    raise torch.OutOfMemoryError("no memory")


def test_a_licence_is_asked_for_at_every_map(make: Make, folders: dict[str, Path]) -> None:
    answers = iter([False, True, False])
    asked: list[str] = []

    def accepted(name: str) -> bool:
        asked.append(name)
        return next(answers)

    shelf, pixels = make(accepted=accepted), scenery(64, 64)
    for attempt in range(3):
        if attempt == 1:
            assert shelf.detect(pixels, Detector.PIDINET).shape == pixels.shape
            continue
        with pytest.raises(EngineError) as caught:
            shelf.detect(pixels, Detector.PIDINET)
        assert (caught.value.code, caught.value.value) == ("licence_not_accepted", "pidinet")
        assert caught.value.limit == find("pidinet").licence
    assert asked == ["pidinet"] * 3


def test_few_detectors_and_few_maps_stay_in_memory(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from editing.detectors import shelf as room

    loads: list[str] = []
    load, load_depth = room.load, room.scenes.load_depth
    monkeypatch.setattr(room, "load", lambda name, *rest: loads.append(name) or load(name, *rest))
    monkeypatch.setattr(room.scenes, "load_depth", lambda *rest: loads.append("depth") or load_depth(*rest))
    shelf = make()
    for seed in range(REMEMBERED + 1):
        shelf.detect(scenery(64, 64, seed), Detector.TEED)
        shelf.detect(scenery(64, 64, seed), Detector.DEPTH_ANYTHING)
        shelf.detect(scenery(64, 64, seed), Detector.NORMAL_FROM_DEPTH)
    assert loads == ["teed", "depth"]
    assert len(loads) == KEPT
    shelf.detect(scenery(64, 64), Detector.VITPOSE)
    shelf.detect(scenery(64, 64), Detector.TEED)
    assert loads == ["teed", "depth", "teed"]


def test_a_remembered_map_is_the_same_and_cannot_be_spoilt(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf, pixels = make(), scenery(64, 64)
    made = shelf.detect(pixels, Detector.TEED)
    kept = made.copy()
    made[:] = 7
    with monkeypatch.context() as broken:
        broken.setattr(torch.nn.functional, "conv2d", _out_of_memory)  # nothing runs again
        assert np.array_equal(shelf.detect(pixels.copy(), Detector.TEED), kept)


def test_detecting_leaves_torchs_generator_and_the_warnings_alone(make: Make) -> None:
    torch.manual_seed(5)
    state, filters = torch.random.get_rng_state(), list(warnings.filters)
    shelf = make()
    for detector in LIGHT:
        shelf.detect(scenery(64, 64), detector)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert warnings.filters == filters


def test_a_shelf_makes_the_control_images_of_controls(make: Make) -> None:
    shelf, own = make(), scenery(96, 128)
    control = Control(kind=ControlKind.DEPTH, checkpoint="x", detector=Detector.DEPTH_ANYTHING)
    made = control_image(control, size=(128, 96), own=own, detect=shelf.detect)
    assert np.array_equal(made, shelf.detect(own, Detector.DEPTH_ANYTHING))


def test_a_very_large_picture_is_looked_at_smaller_and_its_map_is_as_large(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from editing.detectors import shelf as room

    seen: list[tuple[int, ...]] = []
    run = room._RUNS[Detector.DEPTH_ANYTHING]
    monkeypatch.setitem(
        room._RUNS,  # type: ignore[arg-type]
        Detector.DEPTH_ANYTHING,
        lambda model, pixels: seen.append(pixels.shape) or run(model, pixels),
    )
    pixels = np.repeat(np.repeat(scenery(60, 120), 50, axis=0), 50, axis=1)
    assert make().detect(pixels, Detector.DEPTH_ANYTHING).shape == pixels.shape
    assert seen[0][0] * seen[0][1] <= MOST_PIXELS
