"""How an edit meets what stays, as requests ask for it and records and results tell it."""

import io
import json
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from PIL import Image

from editing import BlendFacts, Erase, Img2Img, Inpaint, Intent, Join, Outpaint, Prefill, Route, SeamRetry, derived_seed
from studio.client import HttpClient
from tests.studio.conftest import Studio, box_mask, encoded, noise, png

BASE, FILL, NET = "FLUX.1-dev", "FLUX.1-Fill-dev", "FLUX.1-dev-Controlnet-Inpainting-Beta"
BLEND = {
    "grow": 3, "soften": 5, "feather": 2, "context": 40, "join": "poisson", "match_colour": True,
    "seam_limit": 1.5, "seam_retries": 2,
}  # fmt: skip
OWN: dict[str, dict[str, Any]] = {
    "inpaint": {"prompt": "", "intent": "add", "checkpoint": "flux-mini", "strength": 0.5, "prefill": "telea"},
    "outpaint": {"left": 8, "intent": "expand", "checkpoint": "flux-mini", "strength": 0.5, "prefill": "blur"},
    "erase": {"intent": "remove"},
}  # fmt: skip


def asked(operation: str, picture: str, mask: str) -> dict[str, Any]:
    given = OWN[operation] | BLEND | {"image": picture, "seed": 7, "steps": 4}
    return given if operation == "outpaint" else given | {"mask": mask}


def body_of(studio: Studio, view: dict[str, Any]) -> dict[str, Any]:
    return studio.http.get(f"/v1/records/{view['record']}").json()["body"]


@pytest.mark.parametrize("operation", OWN)
def test_every_field_reaches_the_operation_and_the_record(
    operation: str, studio: Studio, picture: str, mask: str
) -> None:
    studio.engine.score = lambda seed: 1.0
    view = studio.done(operation, **asked(operation, picture, mask))
    (made,) = studio.engine.seen
    assert isinstance(made, Inpaint | Outpaint | Erase)
    assert (made.blend.grow, made.blend.soften, made.blend.feather, made.blend.context) == (3, 5, 2, 40)
    assert (made.blend.join, made.blend.match_colour) == (Join.POISSON, True)
    assert made.blend.intent is Intent(OWN[operation]["intent"])
    assert made.blend.prefill == (Prefill(OWN[operation]["prefill"]) if "prefill" in OWN[operation] else None)
    assert made.retry == SeamRetry(limit=1.5, attempts=2)
    assert made.sampling.strength == OWN[operation].get("strength", 1.0)
    model = body_of(studio, view)["model"]
    assert set(model["blend"]) == {each.name for each in fields(BlendFacts)}, "all that was decided is recorded"
    assert model["blend"].items() >= {
        "intent": OWN[operation]["intent"], "grow": 3, "soften": 5, "feather": 2,
        "prefill": OWN[operation].get("prefill"), "join": "poisson", "match_colour": True,
    }.items()  # fmt: skip
    assert model["passes"] == [{"box": [0, 0, 16, 16], "size": [16, 16], "seed": "7"}]
    assert model["seam"] == {"border_de": 2.0, "own_de": 2.0, "score": 1.0, "length": 64}
    assert model["tries"] == [{"seed": "7", "score": 1.0}]


@pytest.mark.parametrize("operation", OWN)
def test_a_form_says_the_same_as_json(operation: str, studio: Studio, picture: str, mask: str) -> None:
    given = asked(operation, picture, mask) | {"join": "soft", "match_colour": False, "n": 2}
    plain = studio.ask(operation, **given)
    files = {"image": ("photo.png", png(noise()))} | ({"mask": ("m.png", png(box_mask()))} if "mask" in given else {})
    data = {name: json.dumps(value).strip('"') for name, value in given.items() if name not in ("image", "mask")}
    form = studio.http.post(f"/v1/{operation}", data=data, files=files)
    assert form.status_code == 202, form.text
    assert form.json()["parameters"] == plain["parameters"]
    assert plain["parameters"]["match_colour"] is False


@pytest.mark.parametrize("form", [True, False])
def test_the_http_client_keeps_booleans_lists_and_numbers(studio: Studio, tmp_path: Any, form: bool) -> None:
    photo, mask = tmp_path / "photo.png", tmp_path / "mask.png"
    photo.write_bytes(png(noise()))
    mask.write_bytes(png(box_mask()))
    controls = [{"kind": "canny", "image": encoded(photo.read_bytes()), "scale": 0.25}]
    members: dict[str, Any] = {
        "prompt": "true",
        "controls": controls,
        "seed": 2**64 - 1,
        "guidance": 2.5,
        "steps": None,
    }
    members |= {"match_colour": False, "spill": True, "threshold": 0.5, "join": Join.SOFT} if form else {}
    client = HttpClient("http://testserver", studio.token)
    client._http = studio.http
    job = client.submit("inpaint" if form else "generate", members, {"image": photo, "mask": mask} if form else {})
    kept = job["parameters"]
    assert (kept["seed"], kept["guidance"], kept["controls"][0]["scale"]) == (str(2**64 - 1), 2.5, 0.25)
    assert not form or (kept["match_colour"], kept["spill"], kept["threshold"]) == (False, True, 0.5)


def test_the_best_of_several_tries_is_given_out_with_its_own_seed(studio: Studio, picture: str, mask: str) -> None:
    seeds = [derived_seed(7, "retry", number) for number in range(3)]
    scores = dict(zip(seeds, (3.0, 1.75, 2.0), strict=True))
    studio.engine.score = scores.__getitem__
    given = {"prompt": "", "image": picture, "mask": mask}
    view = studio.done("inpaint", **given, seed=7, seam_limit=1.5, seam_retries=2)
    (output,) = view["outputs"]
    assert (output["seed"], output["seam_score"]) == (str(seeds[1]), 1.75)
    body = body_of(studio, view)
    assert body["model"]["tries"] == [{"seed": str(seed), "score": score} for seed, score in scores.items()]
    assert (body["seed"], body["outputs"][0]["seed"], body["model"]["sampling"]["seed"]) == ("7", *[str(seeds[1])] * 2)
    again = studio.done("inpaint", **given, seed=output["seed"])
    assert again["outputs"][0]["digest"] == output["digest"]


def test_a_seam_limit_alone_means_one_more_try(studio: Studio, picture: str, mask: str) -> None:
    view = studio.done("erase", image=picture, mask=mask, seam_limit=1.0)
    (made,) = studio.engine.seen
    assert isinstance(made, Erase)
    assert made.retry == SeamRetry(limit=1.0, attempts=1)
    assert view["parameters"]["seam_retries"] == 1
    assert len(body_of(studio, view)["model"]["tries"]) == 2


def test_a_picture_without_a_border_has_no_seam_score(studio: Studio) -> None:
    view = studio.done("generate", prompt="a red circle", width=40, height=30)
    (output,) = view["outputs"]
    assert (output["seam_score"], output["width"], output["height"]) == (None, 40, 30)
    assert output["seed"] == view["seed"]
    model = body_of(studio, view)["model"]
    assert (model["seam"], model["blend"], model["passes"], model["tries"]) == (None, None, [], [])


def test_jobs_of_earlier_versions_show_their_outputs_without_what_was_not_kept(studio: Studio) -> None:
    from sqlalchemy import text

    view = studio.done("generate", prompt="a red circle", width=40, height=30)
    with studio.store.database.transaction() as session:
        session.execute(text("UPDATE jobs SET output_facts = NULL"))
    (output,) = studio.read(view)["outputs"]
    assert output["digest"] == view["outputs"][0]["digest"]
    assert {name for name, value in output.items() if value is None} == {"seed", "seam_score", "width", "height"}


def test_a_threshold_makes_a_soft_mask_hard(studio: Studio, picture: str) -> None:
    soft = box_mask() // 2
    soft[12:20, 22:30] = 200
    given = {"prompt": "", "image": picture, "mask": encoded(png(soft)), "seed": 1}
    studio.done("inpaint", **given)
    studio.done("inpaint", **given, threshold=0.75)
    as_it_came, hard = studio.engine.seen
    assert isinstance(as_it_came, Inpaint)
    assert isinstance(hard, Inpaint)
    assert len(np.unique(as_it_came.mask)) == 3
    assert np.array_equal(hard.mask, (soft == 200).astype(np.float32))


@pytest.mark.parametrize(
    ("checkpoint", "route", "expected", "made_with"),
    [
        (None, None, Route.FILL, "flux-mini-fill"),
        (None, "latent_merge", Route.LATENT_MERGE, "flux-mini"),
        ("flux-mini", None, Route.LATENT_MERGE, "flux-mini"),
    ],
)
def test_the_route_is_settled_at_the_door_and_recorded(
    studio: Studio, picture: str, mask: str, checkpoint: str | None, route: str | None, expected: Route, made_with: str
) -> None:
    given = {name: value for name, value in {"checkpoint": checkpoint, "route": route}.items() if value}
    for operation, own in {"inpaint": {"mask": mask, "prompt": ""}, "outpaint": {"left": 8}}.items():
        job = studio.ask(operation, image=picture, **own, **given)
        assert (job["parameters"]["route"], job["checkpoint"]) == (expected.value, made_with)
        studio.work_off()
        assert body_of(studio, studio.read(job))["model"]["route"] == expected.value
        made = studio.engine.seen[-1]
        assert isinstance(made, Inpaint | Outpaint)
        assert (made.route, made.inpainting_controlnet) == (expected, None)


@pytest.mark.parametrize("given", [{"route": "inpainting_controlnet"}, {"inpainting_controlnet": NET}])
def test_an_inpainting_controlnet_is_named_and_both_licences_are_asked(
    studio: Studio, picture: str, mask: str, given: dict[str, str]
) -> None:
    members = {"prompt": "", "image": picture, "mask": mask, "checkpoint": BASE} | given
    for missing, field in ((BASE, "checkpoint"), (NET, "inpainting_controlnet")):
        refused = studio.http.post("/v1/inpaint", json=members)
        assert refused.json()["field"] == field, "the field that names it, or would"
        assert (refused.status_code, refused.json()["code"], refused.json()["value"]) == (
            403,
            "licence_not_accepted",
            missing,
        )
        studio.store.licences.accept(missing, refused.json()["limit"], "somebody")
    job = studio.ask("inpaint", **members)
    assert (job["parameters"]["route"], job["parameters"]["inpainting_controlnet"]) == ("inpainting_controlnet", NET)
    studio.work_off()
    (made,) = studio.engine.seen
    assert isinstance(made, Inpaint)
    assert (made.route, made.inpainting_controlnet) == (Route.INPAINTING_CONTROLNET, NET)


def test_the_operators_checkpoints_serve_the_route_that_is_asked_for(make_studio: Any, picture: str, mask: str) -> None:
    studio: Studio = make_studio(checkpoints=(FILL, BASE))
    for name in (FILL, BASE, NET):
        studio.store.licences.accept(name, "FLUX.1 [dev] Non-Commercial License", "somebody")
    members = {"prompt": "", "image": picture, "mask": mask}
    assert studio.ask("inpaint", **members)["checkpoint"] == FILL
    assert studio.ask("inpaint", **members, inpainting_controlnet=NET)["checkpoint"] == BASE


@pytest.mark.parametrize(("given", "size"), [({}, (64, 48)), ({"width": 80, "height": 33}, (80, 33))])
def test_a_picture_is_made_anew_at_its_own_size_or_at_the_one_asked_for(
    studio: Studio, picture: str, given: dict[str, int], size: tuple[int, int]
) -> None:
    view = studio.done("img2img", prompt="a red circle", image=picture, strength=0.5, **given)
    (made,) = studio.engine.seen
    assert isinstance(made, Img2Img)
    assert (made.sampling.strength, made.checkpoint) == (0.5, "flux-mini")
    (output,) = view["outputs"]
    with Image.open(io.BytesIO(studio.http.get(output["url"]).content)) as shown:
        assert shown.size == size
    assert output["seam_score"] is None
    body = body_of(studio, view)
    assert (body["operation"], body["model"]["route"]) == ("img2img", "img2img")
    assert {each["subject"] for each in body["policy"]["findings"]} == {"prompt", "purpose", "image", "output"}


def test_models_say_which_controlnets_read_masked_pictures(studio: Studio) -> None:
    models = {each["name"]: each for each in studio.http.get("/v1/models").json()["models"]}
    assert set(models[NET]["inpainting"]) == {"scale", "start", "end"}
    assert {name for name, each in models.items() if each["inpainting"]} == {NET}
    assert "img2img" in models["flux-mini"]["operations"]
