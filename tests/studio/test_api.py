"""The API as its users meet it: follow jobs, read results, see only what is yours."""

import io
import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from policy import known_test_picture, load_policy, pixel_digest
from storage import referenced_digests
from studio.app import create_app
from studio.policies import ActivePolicy
from studio.settings import SettingsError, load_settings
from tests.studio.conftest import Studio, box_mask, encoded, noise, png


def test_an_edit_is_accepted_followed_and_read_back(studio: Studio, picture: str, mask: str) -> None:
    body = {"prompt": "a red circle", "image": picture, "mask": mask, "seed": "18446744073709551615"}
    response = studio.http.post("/v1/inpaint", json=body)
    job = response.json()
    assert response.status_code == 202
    assert response.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert (job["state"], job["queue_position"], job["seed"]) == ("queued", 0, "18446744073709551615")
    studio.work_off()
    job = studio.read(job)
    assert (job["state"], job["progress"]["fraction"]) == ("done", 1.0)
    (output,) = job["outputs"]
    image = studio.http.get(output["url"])
    assert image.headers["content-type"] == "image/png"
    assert image.headers["X-Content-Type-Options"] == "nosniff"
    after = np.asarray(Image.open(io.BytesIO(image.content)))
    kept = box_mask() == 0
    assert np.array_equal(after[kept], noise()[kept])
    assert not np.array_equal(after, noise())
    again = studio.http.get(output["url"], headers={"If-None-Match": image.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_same_edit_as_a_form_gives_the_same_pixels(studio: Studio, picture: str, mask: str) -> None:
    data = {"prompt": "a red circle", "seed": "5", "steps": "3"}
    files = {"image": ("photo.png", png(noise())), "mask": ("mask.png", png(box_mask()))}
    form = studio.http.post("/v1/inpaint", data=data, files=files)
    assert form.status_code == 202, form.text
    plain = studio.ask("inpaint", prompt="a red circle", seed=5, steps=3, image=picture, mask=mask)
    studio.work_off()
    assert studio.read(form.json())["outputs"] == studio.read(plain)["outputs"]


def test_a_form_may_carry_controls_as_json(studio: Studio, picture: str) -> None:
    data = {"prompt": "a red circle", "controls": json.dumps([{"kind": "canny", "image": picture}])}
    response = studio.http.post("/v1/generate", files={name: (None, value) for name, value in data.items()})
    assert response.status_code == 202, response.text
    (control,) = response.json()["parameters"]["controls"]
    assert control["checkpoint"] == "flux-mini-canny"
    assert len(control["image"]) == 64


def test_defaults_are_chosen_at_the_door_and_recorded(studio: Studio) -> None:
    job = studio.done("generate", prompt="a red circle")
    assert {"checkpoint", "steps", "guidance", "strength", "seed", "width", "height"} <= set(job["parameters"])
    record = studio.http.get(f"/v1/records/{job['record']}").json()
    assert record["body"]["seed"] == job["seed"]
    assert record["body"]["parameters"] == job["parameters"]
    assert "a red circle" not in json.dumps(record)


def test_waiting_returns_as_soon_as_the_job_has_ended(studio: Studio) -> None:
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            studio.work_off()
            time.sleep(0.01)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        response = studio.http.post("/v1/generate", json={"prompt": "a red circle"}, headers={"Prefer": "wait=30"})
    finally:
        stop.set()
        worker.join()
    assert (response.status_code, response.json()["state"]) == (200, "done")
    assert response.headers["Preference-Applied"] == "wait=30"


def test_waiting_ends_when_the_time_is_up(studio: Studio) -> None:
    response = studio.http.post("/v1/generate", json={"prompt": "a red circle"}, headers={"Prefer": "wait=1"})
    assert (response.status_code, response.json()["state"]) == (202, "queued")


def test_a_waiting_job_is_cancelled_at_once_with_a_record(studio: Studio) -> None:
    first, second = studio.ask("generate", prompt="one"), studio.ask("generate", prompt="two")
    assert studio.read(second)["queue_position"] == 1
    cancelled = studio.http.delete(f"/v1/jobs/{first['id']}").json()
    assert cancelled["state"] == "cancelled"
    assert studio.http.get(f"/v1/records/{cancelled['record']}").json()["outcome"] == "cancelled"
    assert studio.read(second)["queue_position"] == 0
    conflict = studio.http.delete(f"/v1/jobs/{first['id']}")
    assert (conflict.status_code, conflict.json()["code"]) == (409, "job_final")
    studio.work_off()
    assert studio.engine.runs == 1


def test_a_running_job_is_cancelled_within_a_step(studio: Studio) -> None:
    studio.engine.pause = 0.05
    job = studio.ask("generate", prompt="a red circle", steps=100)
    worker = threading.Thread(target=studio.work_off)
    worker.start()
    while studio.read(job)["state"] != "editing":
        time.sleep(0.01)
    assert studio.http.delete(f"/v1/jobs/{job['id']}").json()["cancel_requested"]
    worker.join(timeout=30)
    view = studio.read(job)
    assert view["state"] == "cancelled"
    assert view["outputs"] == []
    assert (view["progress"] or {"step": 0})["step"] < 100


def test_jobs_images_and_records_of_others_are_not_there(studio: Studio, picture: str, mask: str) -> None:
    mine, theirs = studio.client("editor", "mine"), studio.client("editor", "theirs")
    job = studio.http.post("/v1/inpaint", json={"prompt": "", "image": picture, "mask": mask}, headers=mine).json()
    studio.work_off()
    job = studio.http.get(f"/v1/jobs/{job['id']}", headers=mine).json()
    paths = [f"/v1/jobs/{job['id']}", f"/v1/records/{job['record']}", job["outputs"][0]["url"]]
    for path in paths:
        assert studio.http.get(path, headers=mine).status_code == 200
        assert studio.http.get(path, headers=theirs).status_code == 404
        for role in ("reviewer", "auditor", "operator"):
            assert studio.http.get(path, headers=studio.client(role, "staff")).status_code == 200
    assert studio.http.delete(f"/v1/jobs/{job['id']}", headers=theirs).status_code == 404
    assert studio.http.get("/v1/jobs", headers=theirs).json()["jobs"] == []
    assert studio.http.get("/v1/records", headers=theirs).json()["records"] == []
    assert studio.http.get("/v1/records?owner=mine", headers=theirs).status_code == 404
    assert len(studio.http.get("/v1/records?owner=mine", headers=studio.client("auditor")).json()["records"]) == 1


def test_a_revoked_key_is_not_valid_any_more(studio: Studio) -> None:
    key, token = studio.store.keys.create("team", studio.key.role, "test")
    headers = {"Authorization": f"Bearer {token}"}
    assert studio.http.get("/v1/jobs", headers=headers).status_code == 200
    studio.store.keys.revoke(key.id)
    assert studio.http.get("/v1/jobs", headers=headers).status_code == 401


def test_lists_page_through_everything_once(studio: Studio) -> None:
    asked = [studio.ask("generate", prompt="a red circle", seed=each)["id"] for each in range(7)]
    studio.work_off()
    for path, member in (("/v1/jobs", "id"), ("/v1/records", "job")):
        kind = path.removeprefix("/v1/")
        seen: list[str] = []
        cursor = ""
        while True:
            page = studio.http.get(f"{path}?limit=3{cursor}").json()
            seen += [each[member] for each in page[kind]]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        assert seen == asked[::-1]


def test_records_are_found_by_time_operation_and_decision(studio: Studio, picture: str, mask: str) -> None:
    studio.ask("generate", prompt="a red circle")
    studio.ask("erase", image=picture, mask=mask)
    studio.ask(
        "inpaint",
        prompt="a red circle",
        image=encoded(png(known_test_picture())),
        mask=encoded(png(np.full((64, 64), 255, np.uint8))),
    )
    studio.work_off()

    def found(**query: Any) -> list[str]:
        page = studio.http.get("/v1/records", params=query).json()
        return sorted(each["operation"] for each in page["records"])

    now = datetime.now(UTC)
    assert found() == ["erase", "generate", "inpaint"]
    assert found(operation="erase") == ["erase"]
    assert found(decision="block") == found(outcome="refused") == ["inpaint"]
    assert found(decision="allow") == ["erase", "generate"]
    assert found(since=(now + timedelta(hours=1)).isoformat()) == []
    assert found(until=(now + timedelta(hours=1)).isoformat()) == ["erase", "generate", "inpaint"]


def test_an_edit_of_our_own_output_is_linked_both_ways(studio: Studio) -> None:
    first = studio.done("generate", prompt="a red circle", width=64, height=48)
    digest = first["outputs"][0]["digest"]
    second = studio.done("erase", image=digest, mask=encoded(png(box_mask())))
    child = studio.http.get(f"/v1/records/{second['record']}").json()
    parent = studio.http.get(f"/v1/records/{first['record']}").json()
    assert child["parents"] == [parent["id"]]
    assert parent["children"] == [child["id"]]
    assert next(each for each in child["body"]["inputs"] if each["role"] == "image")["parent"] == parent["id"]


def test_an_upload_is_screened_before_it_can_be_read_back(studio: Studio) -> None:
    blocked = studio.http.post("/v1/images", content=png(known_test_picture()), headers={"Content-Type": "image/png"})
    document = blocked.json()
    assert (blocked.status_code, document["code"]) == (422, "image_refused")
    assert document["verdict"]["reasons"][0]["subject"] == "image"
    assert studio.counts()["blobs"] == 0
    record = studio.http.get(f"/v1/records/{document['record']}").json()
    assert (record["operation"], record["outcome"]) == ("upload", "refused")

    allowed = studio.http.post("/v1/images", files={"image": ("photo.png", png(noise()))})
    image = allowed.json()
    assert (allowed.status_code, allowed.headers["Location"]) == (201, image["url"])
    given_back = studio.http.get(image["url"])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(given_back.content))), noise())
    assert studio.http.get(f"/v1/records/{image['record']}").json()["outcome"] == "done"
    twice = studio.http.post("/v1/images", files={"image": ("other name.png", png(noise()))}).json()
    assert twice["record"] == image["record"]


def test_inputs_of_a_refused_request_cannot_be_read_back(studio: Studio, mask: str) -> None:
    known = encoded(png(known_test_picture()))
    job = studio.done("inpaint", prompt="", image=known, mask=encoded(png(np.full((64, 64), 255, np.uint8))))
    assert job["state"] == "refused"
    assert studio.http.get(f"/v1/images/{job['parameters']['image']}").status_code == 404
    assert studio.engine.runs == 0


def test_models_are_listed_with_defaults_and_licences(studio: Studio) -> None:
    models = {each["name"]: each for each in studio.http.get("/v1/models").json()["models"]}
    assert models["flux-mini"]["accepted"]
    dev = models["FLUX.1-dev"]
    assert not dev["accepted"]
    assert "Non-Commercial" in dev["licence"]
    studio.store.licences.accept("FLUX.1-dev", dev["licence"], "somebody")
    models = {each["name"]: each for each in studio.http.get("/v1/models").json()["models"]}
    assert models["FLUX.1-dev"]["accepted"]


def test_ready_says_what_is_wrong(make_studio: Callable[..., Studio]) -> None:
    studio = make_studio()
    assert studio.http.get("/health/live").json() == {"status": "live"}
    ready = studio.http.get("/health/ready")
    assert (ready.status_code, ready.json()["workers"]) == (200, [])
    studio.store.workers.beat("w1", pid=1, host="here", facts={"device": "cpu"})
    assert studio.http.get("/health/ready").json()["workers"][0]["id"] == "w1"
    studio.store.database.downgrade("base")
    ready = studio.http.get("/health/ready")
    assert ready.status_code == 503
    assert "studio db upgrade" in ready.json()["checks"]["database"]


def test_not_ready_without_rules(make_studio: Callable[..., Studio], tmp_path: Any) -> None:
    from studio import bootstrap
    from studio.settings import Settings

    broken = bootstrap.build_policies(Settings(home=tmp_path, rules=tmp_path / "nowhere"))
    assert not broken.current().ready().ready
    assert broken.problem is not None


def test_openapi_describes_every_edit_in_both_forms(studio: Studio) -> None:
    schema = studio.http.get("/openapi.json").json()
    names = schema["components"]["schemas"]
    for operation in ("generate", "img2img", "inpaint", "outpaint", "erase"):
        body = schema["paths"][f"/v1/{operation}"]["post"]["requestBody"]["content"]
        assert body["application/json"]["example"]
        for kind in body.values():
            assert kind["schema"]["$ref"].removeprefix("#/components/schemas/") in names
    references = set(_references(schema))
    assert {each.removeprefix("#/components/schemas/") for each in references} <= set(names)


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [each for value in node.values() for each in _references(value)]
    return [each for value in node for each in _references(value)] if isinstance(node, list) else []


def test_the_generate_example_can_be_sent_as_it_is(studio: Studio) -> None:
    schema = studio.http.get("/openapi.json").json()
    example = schema["paths"]["/v1/generate"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert studio.done("generate", **example)["state"] == "done"


def test_docs_work_offline(studio: Studio) -> None:
    page = studio.http.get("/docs").text
    assert "http://" not in page
    assert "https://" not in page
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"):
        assert f"/docs/assets/{asset}" in page
        assert studio.http.get(f"/docs/assets/{asset}").status_code == 200


@pytest.mark.parametrize(
    ("output_format", "media_type"), [("png", "image/png"), ("webp", "image/webp"), ("jpeg", "image/jpeg")]
)
def test_outputs_come_in_the_format_asked_for(
    studio: Studio, picture: str, mask: str, output_format: str, media_type: str
) -> None:
    job = studio.done("inpaint", prompt="", image=picture, mask=mask, output_format=output_format, seed=1)
    response = studio.http.get(job["outputs"][0]["url"])
    assert response.headers["content-type"] == media_type
    record = studio.http.get(f"/v1/records/{job['record']}").json()["body"]
    decoded = np.asarray(Image.open(io.BytesIO(response.content)).convert("RGB"))
    exact = np.array_equal(decoded[box_mask() == 0], noise()[box_mask() == 0])
    assert exact == (output_format != "jpeg")
    assert record["outputs"][0]["pixel_sha256"] == response.headers["X-Pixel-Sha256"]


def test_an_upload_is_given_back_as_the_raster_that_was_screened(studio: Studio) -> None:
    hidden = b"bytes after the end that nobody looked at"
    image = studio.http.post("/v1/images", content=png(noise()) + hidden, headers={"Content-Type": "image/png"}).json()
    response = studio.http.get(image["url"])
    assert hidden not in response.content
    assert response.headers["content-type"] == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(response.content))), noise())
    for etag in (response.headers["ETag"], f"W/{response.headers['ETag']}", '"other", *'):
        assert studio.http.get(image["url"], headers={"If-None-Match": etag}).status_code == 304


def test_a_drawing_in_the_alpha_plane_is_screened_as_people_see_it(studio: Studio) -> None:
    known = known_test_picture()
    two_levels = np.where(known > 127, 255, 0).astype(np.uint8)
    shown_on_white = two_levels[..., 0]
    hidden = np.dstack([np.zeros_like(two_levels), 255 - shown_on_white])  # black everywhere, drawn in transparency
    grey = np.repeat(shown_on_white[..., None], 3, axis=2)
    listed = studio.settings.home_path / "known.txt"
    listed.write_text(pixel_digest(grey) + "\n")
    policy = load_policy(operator_list=listed)
    services = replace(studio.services, policies=ActivePolicy.fixed(policy))
    with TestClient(create_app(services), headers={"X-Api-Key": studio.token}) as http:
        response = http.post("/v1/images", content=png(hidden), headers={"Content-Type": "image/png"})
    assert response.status_code == 422
    assert [each["subject"] for each in response.json()["verdict"]["reasons"]] == ["image on white"]


def test_uploading_again_mends_a_lost_blob(studio: Studio) -> None:
    image = studio.http.post("/v1/images", content=png(noise()), headers={"Content-Type": "image/png"}).json()
    studio.store.blobs.delete(image["digest"])
    lost = studio.http.get(image["url"])
    assert (lost.status_code, lost.json()["code"]) == (500, "blob_missing")
    studio.http.post("/v1/images", content=png(noise()), headers={"Content-Type": "image/png"})
    assert studio.http.get(image["url"]).status_code == 200


def test_a_job_whose_prompt_was_erased_fails_instead_of_running_without_it(studio: Studio) -> None:
    job = studio.ask("generate", prompt="a red circle")
    with studio.store.database.transaction() as session:
        reference = studio.store.jobs.get(job["id"], None).prompt_ref
        assert reference is not None
        studio.store.vault.erase(session, reference)
    studio.work_off()
    view = studio.read(job)
    assert (view["state"], view["error"]["code"], studio.engine.runs) == ("failed", "prompt_erased", 0)


def test_an_operators_typo_is_found_at_start_and_not_by_callers() -> None:
    with pytest.raises(SettingsError, match="no checkpoint is called nope"):
        load_settings(checkpoints=("nope",))


def test_what_came_in_with_a_refused_job_goes_with_the_next_sweep(studio: Studio) -> None:
    white = encoded(png(np.full((64, 64), 255, np.uint8)))
    studio.done("inpaint", prompt="", image=encoded(png(known_test_picture())), mask=white)
    kept = studio.done("generate", prompt="a red circle", width=64, height=64)
    assert studio.store.blobs.sweep(referenced_digests(studio.store.database), older_than=-1) == 2
    assert studio.blob_digests() == {kept["outputs"][0]["digest"]}
