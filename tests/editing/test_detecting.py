from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from editing.checkpoints import Architecture, Family
from editing.detecting import DETECTORS, WITHOUT_WEIGHTS, check_detector, detector_of, detectors_of, pick_detector
from editing.diffusion.settings import EngineSettings
from editing.diffusion.weights import at_hand, locate
from editing.entries import CATALOGUE, find
from editing.errors import EngineError, OperationError
from editing.guides import Control, ControlKind, Detector
from editing.operations import ControlMap
from editing.rasters import Raster
from editing.zoo.detectors import PICKLED

NOTHING: Callable[[str], bool] = lambda name: False  # noqa: E731 - a name for what a machine has


def control_map(**values: object) -> ControlMap:
    picture = Raster(pixels=np.zeros((8, 8, 3), np.uint8))
    given = {
        "kind": ControlKind.DEPTH,
        "picture": picture,
        "detector": Detector.MIDAS,
        "checkpoint": "midas-dpt-hybrid",
    }
    return ControlMap(**{**given, **values})


def test_every_detector_has_facts_and_licensed_weights_in_the_catalogue() -> None:
    assert set(DETECTORS) == set(Detector)
    for facts in DETECTORS.values():
        for name in (facts.checkpoint, *facts.beside):
            entry = find(name)
            assert (entry.family, entry.architecture) == (Family.DETECTOR, Architecture.DETECTOR)
            assert entry.licence_url.startswith("https://")
            assert name == WITHOUT_WEIGHTS or (entry.hub_id and len(entry.revision or "") == 40)
    assert {"openpose", "pidinet"} == {
        name for name, entry in CATALOGUE.items() if entry.family is Family.DETECTOR and entry.needs_acceptance
    }
    assert set(PICKLED) < {entry.name for entry in CATALOGUE.values() if entry.family is Family.DETECTOR}


@pytest.mark.parametrize("kind", ControlKind)
def test_every_kind_has_a_detector_and_those_without_weights_come_last(kind: ControlKind) -> None:
    needs = [bool(DETECTORS[detector].checkpoints) for detector in detectors_of(kind)]
    assert needs
    assert needs == sorted(needs, reverse=True)


def test_the_best_detector_at_hand_is_picked() -> None:
    assert pick_detector(ControlKind.SOFT_EDGE, NOTHING) is Detector.GRADIENT
    assert pick_detector(ControlKind.LINE_ART, NOTHING) is Detector.LINEART_STANDARD
    assert pick_detector(ControlKind.SOFT_EDGE, {"teed", "pidinet"}.__contains__) is Detector.PIDINET
    assert pick_detector(ControlKind.SOFT_EDGE, lambda name: True) is Detector.HED
    assert pick_detector(ControlKind.NORMAL, {"Depth-Anything-V2-Small"}.__contains__) is Detector.NORMAL_FROM_DEPTH


def test_a_detector_of_two_models_is_at_hand_only_with_both() -> None:
    both = {"vitpose-base-simple", "rtdetr-r50vd"}
    assert pick_detector(ControlKind.POSE, both.__contains__) is Detector.VITPOSE
    for one in both:
        with pytest.raises(OperationError) as caught:
            pick_detector(ControlKind.POSE, {one}.__contains__)
        assert caught.value.code == "detector_unavailable"
        assert caught.value.limit == ["vitpose-base-simple and rtdetr-r50vd", "openpose"]
        assert "as_is" in str(caught.value)


def test_edges_need_no_named_detector_and_every_other_kind_does() -> None:
    assert detector_of(Control(kind=ControlKind.CANNY, checkpoint="x")) is Detector.CANNY
    with pytest.raises(OperationError) as caught:
        detector_of(Control(kind=ControlKind.DEPTH, checkpoint="x"), "controls[1].detector")
    assert (caught.value.code, caught.value.field) == ("detector_missing", "controls[1].detector")
    assert caught.value.limit == ["depth_anything", "midas"]


def test_a_detector_of_another_kind_is_refused_with_those_that_would_do() -> None:
    with pytest.raises(OperationError) as caught:
        detector_of(Control(kind=ControlKind.DEPTH, checkpoint="x", detector=Detector.HED))
    assert (caught.value.code, caught.value.value) == ("detector_unsuitable", "hed")
    assert caught.value.limit == ["depth_anything", "midas"]


def test_a_control_map_names_the_weights_of_its_detector() -> None:
    assert check_detector(control_map()).name == "midas-dpt-hybrid"
    with pytest.raises(OperationError) as caught:
        check_detector(control_map(checkpoint="hed"))
    assert (caught.value.code, caught.value.field) == ("detector_unsuitable", "checkpoint")
    assert caught.value.limit == ["midas-dpt-hybrid"]
    with pytest.raises(OperationError) as caught:
        check_detector(control_map(kind=ControlKind.POSE))
    assert caught.value.limit == ["vitpose", "openpose"]


def test_what_needs_no_weights_is_always_at_hand(tmp_path: Path) -> None:
    settings = EngineSettings(hub_cache=tmp_path)
    assert at_hand(find(WITHOUT_WEIGHTS), settings)
    assert not at_hand(find("hed"), settings)


def test_a_folder_is_at_hand_only_with_its_own_file(tmp_path: Path) -> None:
    settings = EngineSettings(weights={"hed": tmp_path, "Depth-Anything-V2-Small": tmp_path}, hub_cache=tmp_path)
    (tmp_path / "netG.pth").touch()
    assert not at_hand(find("hed"), settings)
    with pytest.raises(EngineError) as caught:
        locate(find("hed"), settings)
    assert caught.value.code == "weights_missing"
    assert "ControlNetHED.pth" in str(caught.value)
    (tmp_path / "ControlNetHED.pth").touch()
    assert at_hand(find("hed"), settings)
    assert not at_hand(find("Depth-Anything-V2-Small"), settings)
    (tmp_path / "config.json").touch()
    assert at_hand(find("Depth-Anything-V2-Small"), settings)


def test_of_a_shared_repository_in_the_hubs_cache_only_what_was_fetched_is_at_hand(tmp_path: Path) -> None:
    entry = find("hed")
    snapshot = tmp_path / "models--lllyasviel--Annotators" / "snapshots" / str(entry.revision)
    snapshot.mkdir(parents=True)
    (snapshot / PICKLED["hed"]).touch()
    settings = EngineSettings(hub_cache=tmp_path)
    assert at_hand(entry, settings)
    assert locate(entry, settings).revision == entry.revision
    assert not at_hand(find("normalbae"), settings)
