"""POST /v1/controls/{kind}: a control image to look at, made by a job like any other."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from editing import ControlKind, ControlMap, Detector
from policy import Policy, known_test_picture, load_known_pictures, load_rules
from studio.client import HttpClient
from studio.policies import ActivePolicy
from tests.studio.conftest import ReviewScreener, Studio, encoded, noise, png

WITHOUT_WEIGHTS = {
    "canny": "canny",
    "soft_edge": "gradient",
    "line_art": "lineart_standard",
    "tile": "tile",
    "blur": "blur",
    "grey": "grey",
    "low_quality": "low_quality",
}


def made(studio: Studio, kind: str, **members: Any) -> dict[str, Any]:
    response = studio.http.post(f"/v1/controls/{kind}", json=members)
    assert response.status_code == 202, response.text
    studio.work_off()
    return studio.read(response.json())


@pytest.mark.parametrize("kind", WITHOUT_WEIGHTS)
def test_a_map_is_an_ordinary_picture_of_the_same_size(kind: str, studio: Studio) -> None:
    view = made(studio, kind, image=encoded(png(noise(33, 47))))
    assert (view["state"], view["operation"], view["checkpoint"]) == ("done", "control_map", "opencv")
    (asked,) = studio.engine.seen
    assert isinstance(asked, ControlMap)
    assert (asked.kind, asked.detector) == (ControlKind(kind), Detector(WITHOUT_WEIGHTS[kind]))
    assert view["parameters"].items() >= {"kind": kind, "detector": WITHOUT_WEIGHTS[kind]}.items()
    (output,) = view["outputs"]
    assert (output["width"], output["height"], output["seed"], output["seam_score"]) == (47, 33, None, None)
    with Image.open(io.BytesIO(studio.http.get(output["url"]).content)) as shown:
        assert (shown.format, shown.size) == ("PNG", (47, 33))
    body = studio.http.get(f"/v1/records/{view['record']}").json()["body"]
    assert (body["operation"], body["model"]["sampling"], body["model"]["checkpoint"]) == (
        "control_map",
        None,
        "opencv",
    )
    assert {each["subject"] for each in body["policy"]["findings"]} == {"image", "purpose", "output"}
    assert "seed" not in body
    assert "seed" not in body["outputs"][0]


def test_thresholds_and_a_named_detector_are_kept(studio: Studio, picture: str) -> None:
    view = made(studio, "canny", image=picture, detector="canny", low=30, high=90)
    (asked,) = studio.engine.seen
    assert isinstance(asked, ControlMap)
    assert (asked.low, asked.high) == (30, 90)
    assert view["parameters"].items() >= {"detector": "canny", "low": 30, "high": 90}.items()


def test_a_map_is_given_on_as_it_is(studio: Studio, picture: str) -> None:
    digest = made(studio, "canny", image=picture)["outputs"][0]["digest"]
    control = {"kind": "canny", "image": digest, "mode": "as_is"}
    view = studio.done("generate", prompt="a red circle", width=64, height=48, controls=[control])
    assert view["state"] == "done"
    body = studio.http.get(f"/v1/records/{view['record']}").json()["body"]
    (source,) = body["inputs"]
    assert (source["role"], source["file_sha256"]) == ("controls[0].image", digest)
    assert source["parent"], "the record of the map is the parent of what it steered"


def test_a_form_says_the_same_as_json(studio: Studio, picture: str) -> None:
    plain = studio.http.post("/v1/controls/canny", json={"image": picture, "low": 30}).json()
    form = studio.http.post("/v1/controls/canny", data={"low": "30"}, files={"image": ("p.png", png(noise()))})
    assert form.status_code == 202, form.text
    assert form.json()["parameters"] == plain["parameters"]


def test_the_http_client_asks_for_maps_too(studio: Studio, tmp_path: Any) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(png(noise()))
    client = HttpClient("http://testserver", studio.token)
    client._http = studio.http
    job = client.submit("control_map", {"kind": "canny", "low": 30}, {"image": photo})
    assert job["parameters"].items() >= {"kind": "canny", "low": 30}.items()


def test_a_picture_that_is_blocked_gets_no_map(studio: Studio) -> None:
    view = made(studio, "blur", image=encoded(png(known_test_picture())))
    assert (view["state"], view["outputs"], studio.engine.runs) == ("refused", [], 0)


def test_a_map_is_screened_like_any_output(studio: Studio, picture: str) -> None:
    from dataclasses import replace

    policy = Policy(load_rules(), [load_known_pictures(), ReviewScreener("output")])
    desk = replace(studio.desk, parts=replace(studio.desk.parts, policies=ActivePolicy.fixed(policy)))
    job = studio.http.post("/v1/controls/grey", json={"image": picture}).json()
    studio.work_off(desk)
    assert studio.read(job)["state"] == "held"


@pytest.mark.parametrize("role", ["reviewer", "auditor"])
def test_roles_that_read_may_not_ask_for_maps(studio: Studio, picture: str, role: str) -> None:
    response = studio.http.post("/v1/controls/grey", json={"image": picture}, headers=studio.client(role))
    assert (response.status_code, response.json()["code"]) == (403, "role_forbidden")


def test_the_kinds_are_listed_with_what_makes_and_what_reads_them(studio: Studio) -> None:
    listed = {each["kind"]: each for each in studio.http.get("/v1/controls").json()["controls"]}
    assert set(listed) == {each.value for each in ControlKind}
    ready = {kind: [each["name"] for each in view["detectors"] if each["at_hand"]] for kind, view in listed.items()}
    assert {kind: found[0] for kind, found in ready.items() if found} == WITHOUT_WEIGHTS
    openpose = next(each for each in listed["pose"]["detectors"] if each["name"] == "openpose")
    (weights,) = openpose["weights"]
    assert (weights["accepted"], weights["found"]) == (False, False)
    assert "flux-mini-canny" in listed["canny"]["read_by"]


def test_a_kind_becomes_available_with_the_weights_and_the_licence_of_its_detector(
    make_studio: Any, tmp_path: Any, picture: str
) -> None:
    from editing.detecting import DETECTORS
    from editing.zoo.detectors import PICKLED

    name = DETECTORS[Detector.OPENPOSE].checkpoint
    folder = tmp_path / "openpose"
    (folder / PICKLED[name]).parent.mkdir(parents=True)
    (folder / PICKLED[name]).write_bytes(b"weights")
    studio: Studio = make_studio(weights={name: folder})
    refused = studio.http.post("/v1/controls/pose", json={"image": picture}).json()
    assert (refused["code"], refused["field"]) == ("detector_unavailable", "kind")
    named = studio.http.post("/v1/controls/pose", json={"image": picture, "detector": "openpose"})
    assert (named.status_code, named.json()["code"], named.json()["field"]) == (
        403,
        "licence_not_accepted",
        "checkpoint",
    )
    studio.store.licences.accept(name, named.json()["limit"], "somebody")
    assert made(studio, "pose", image=picture)["parameters"]["detector"] == "openpose"


def test_maps_look_like_the_engine_made_them(studio: Studio) -> None:
    view = made(studio, "grey", image=encoded(png(noise())))
    shown = np.asarray(Image.open(io.BytesIO(studio.http.get(view["outputs"][0]["url"]).content)))
    assert np.array_equal(shown[..., 0], noise().mean(axis=2).astype(np.uint8))


def test_the_documented_example_can_be_sent_as_it_is(studio: Studio) -> None:
    post = studio.http.get("/openapi.json").json()["paths"]["/v1/controls/{kind}"]["post"]
    (kind,) = (each["schema"] for each in post["parameters"] if each["name"] == "kind")
    assert kind["enum"] == [each.value for each in ControlKind]
    example = post["requestBody"]["content"]["application/json"]["example"] | {"image": encoded(png(noise()))}
    assert made(studio, kind["examples"][0], **example)["state"] == "done"
