"""What steers a model besides its prompt: as requests ask for it, as it is screened, as records and jobs tell it."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from editing import ControlKind, ControlMode, Detector, Generate, Img2Img, Inpaint, Instruct, Outpaint, ReferenceKind
from editing.catalogue import CATALOGUE
from policy import known_test_picture
from storage import AdapterKind, NewAdapter, referenced_digests
from tests.studio.conftest import Studio, accept_every_licence, encoded, noise, png

BASE, KONTEXT, KLEIN = "FLUX.1-dev", "FLUX.1-Kontext-dev", "FLUX.2-klein-4B"
UNION, REDUX, ADAPTER = "FLUX.1-dev-ControlNet-Union-Pro-2.0", "FLUX.1-Redux-dev", "flux-ip-adapter"
BLOCKED = "a deepfake of a politician confessing to a crime"
OTHER = encoded(png(noise(40, 30, seed=2)))
OWN: dict[str, dict[str, Any]] = {
    "generate": {"width": 64, "height": 48},
    "img2img": {},
    "inpaint": {},
    "outpaint": {"left": 8},
}  # fmt: skip
Prompted = Generate | Img2Img | Inpaint | Outpaint | Instruct


@pytest.fixture
def licensed(make_studio: Callable[..., Studio]) -> Studio:
    """A studio whose operator accepted every licence."""
    studio = make_studio()
    accept_every_licence(studio.store)
    return studio


def asked(operation: str, picture: str, mask: str) -> dict[str, Any]:
    given = OWN[operation] | {"prompt": "a red circle", "checkpoint": BASE, "steps": 4, "seed": 7}
    given |= {} if operation == "generate" else {"image": picture}
    return given | ({"mask": mask} if operation == "inpaint" else {})


def made_by(studio: Studio) -> Prompted:
    made = studio.engine.seen[-1]
    assert isinstance(made, Prompted)
    return made


def body_of(studio: Studio, view: dict[str, Any]) -> dict[str, Any]:
    return studio.http.get(f"/v1/records/{view['record']}").json()["body"]


@pytest.mark.parametrize("operation", OWN)
def test_every_guide_reaches_the_operation_and_the_record(
    operation: str, licensed: Studio, picture: str, mask: str
) -> None:
    whole = (72 if operation == "outpaint" else 64, 48)
    finished = encoded(png(noise(whole[1], whole[0], seed=3)))
    given = {
        "controls": [
            {"kind": "canny", "image": OTHER, "low": 50, "high": 150, "scale": 0.3, "start": 0.1, "end": 0.5},
            {"kind": "depth", "image": finished, "mode": "as_is"},
        ],
        "references": [{"kind": "redux", "image": OTHER, "weight": 0.4}, {"kind": "ip_adapter", "image": OTHER}],
        "negative_prompt": "fog",
        "true_cfg": 2.5,
    }  # fmt: skip
    view = licensed.done(operation, **asked(operation, picture, mask), **given)
    assert view["state"] == "done", view["error"]
    guides = made_by(licensed).guides
    edges, depth = guides.controls
    assert (edges.kind, edges.mode, edges.detector) == (ControlKind.CANNY, ControlMode.PREPROCESS, Detector.CANNY)
    assert (edges.low, edges.high, edges.scale, edges.start, edges.end) == (50, 150, 0.3, 0.1, 0.5)
    assert (depth.kind, depth.mode, depth.detector) == (ControlKind.DEPTH, ControlMode.AS_IS, None)
    card = CATALOGUE[UNION].controls[ControlKind.DEPTH]
    assert (depth.checkpoint, depth.scale, depth.start, depth.end) == (UNION, card.scale, card.start, card.end)
    assert [each.picture.size for each in guides.controls if each.picture is not None] == [(30, 40), whole]
    assert [(each.kind, each.weight, each.checkpoint) for each in guides.references] == [
        (ReferenceKind.REDUX, 0.4, REDUX),
        (ReferenceKind.IP_ADAPTER, CATALOGUE[ADAPTER].weight, ADAPTER),
    ]
    assert (guides.negative_prompt, made_by(licensed).sampling.true_cfg) == ("fog", 2.5)
    body = body_of(licensed, view)
    assert body["parameters"] == view["parameters"]
    assert (
        view["parameters"]["controls"][1].items() >= {"checkpoint": UNION, "scale": card.scale, "end": card.end}.items()
    )
    assert "detector" not in view["parameters"]["controls"][1], "nothing makes what is used as it is"
    assert body["model"]["sampling"]["true_cfg"] == 2.5
    roles = {each["role"] for each in body["inputs"]}
    assert roles >= {"controls[0].image", "controls[1].image", "references[0].image", "references[1].image"}


@pytest.mark.parametrize("operation", ["img2img", "inpaint", "outpaint"])
def test_a_control_without_an_image_is_made_of_the_picture_that_is_edited(
    operation: str, licensed: Studio, picture: str, mask: str
) -> None:
    licensed.done(operation, **asked(operation, picture, mask), controls=[{"kind": "soft_edge"}])
    (control,) = made_by(licensed).guides.controls
    assert (control.picture, control.detector) == (None, Detector.GRADIENT), "the best detector that is at hand"


def test_a_form_says_the_same_as_json(licensed: Studio, picture: str, mask: str) -> None:
    given = asked("inpaint", picture, mask) | {
        "controls": [{"kind": "grey", "image": OTHER}],
        "references": [{"kind": "redux", "image": OTHER}],
        "prompt_flags": True,
    }
    plain = licensed.ask("inpaint", **given)
    data = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    files = {name: (f"{name}.png", base64.b64decode(data.pop(name))) for name in ("image", "mask")}
    form = licensed.http.post("/v1/inpaint", data=data, files=files)
    assert form.status_code == 202, form.text
    assert form.json()["parameters"] == plain["parameters"]


def test_each_licence_that_a_request_needs_is_asked_for_where_it_is_named(studio: Studio) -> None:
    members = {
        "prompt": "a red circle",
        "checkpoint": BASE,
        "controls": [{"kind": "canny", "image": OTHER}],
        "references": [{"kind": "redux", "image": OTHER}],
    }
    named = {"checkpoint": BASE, "controls[0].checkpoint": UNION, "references[0].checkpoint": REDUX}
    for field, name in named.items():
        refused = studio.http.post("/v1/generate", json=members)
        document = refused.json()
        assert (refused.status_code, document["code"], document["field"], document["value"]) == (
            403,
            "licence_not_accepted",
            field,
            name,
        )
        studio.store.licences.accept(name, document["limit"], "somebody")
    assert studio.http.post("/v1/generate", json=members).status_code == 202


def upload(studio: Studio, kind: AdapterKind, name: str, facts: dict[str, Any]) -> str:
    """A file of the caller's own; what is in it is not looked at here."""
    digest = studio.store.blobs.put(name.encode())
    studio.store.adapters.add(
        NewAdapter(
            owner=studio.key.owner, key_id=studio.key.id, kind=kind, name=name, digest=digest, size_bytes=9, facts=facts
        )
    )  # fmt: skip
    return digest


def test_uploads_are_kept_by_digest_and_outlive_their_names(studio: Studio) -> None:
    neon = upload(studio, AdapterKind.LORA, "neon", {"architectures": ["flux1"]})
    cat = upload(studio, AdapterKind.EMBEDDING, "cat", {"vectors": {"clip": 1}})
    members = {"loras": [{"name": "neon", "weight": 0.5}], "embeddings": [{"name": "cat", "token": "my-cat"}]}
    job = studio.ask("generate", prompt="a <my-cat> on sand", **members)
    assert job["parameters"]["loras"] == [{"name": "neon", "weight": 0.5, "digest": neon}]
    studio.store.adapters.remove(AdapterKind.LORA, "neon", studio.key.owner)
    assert {neon, cat} <= referenced_digests(studio.store.database), "a queued job still needs them"
    studio.work_off()
    guides = made_by(studio).guides
    assert [(each.name, each.weight, each.digest) for each in guides.loras] == [("neon", 0.5, neon)]
    assert [(each.token, each.digest) for each in guides.embeddings] == [("my-cat", cat)]
    twice = studio.http.post("/v1/generate", json={"prompt": "", "loras": [{"name": "neon"}]}).json()
    assert (twice["code"], twice["field"]) == ("lora_not_found", "loras[0].name")


@pytest.mark.parametrize(
    ("members", "code", "field"),
    [
        ({"loras": [{"name": "neon", "weight": 5}]}, "lora_weight_out_of_range", "loras[0].weight"),
        ({"loras": [{"name": "neon"}, {"name": "neon", "weight": -1}]}, "lora_duplicate", "loras[1].name"),
        ({"loras": [{"name": "neon"}], "checkpoint": KLEIN}, "lora_unsupported", "loras[0].name"),
        ({"embeddings": [{"name": "cat"}]}, "embedding_unused", "embeddings[0].token"),
        ({"embeddings": [{"name": "cat", "token": "a b"}]}, "embedding_token_invalid", "embeddings[0].token"),
        ({"embeddings": [{"name": "cat"}], "checkpoint": KLEIN}, "embedding_unsupported", "embeddings[0].name"),
    ],
)
def test_uploads_that_cannot_act_are_refused(studio: Studio, members: dict[str, Any], code: str, field: str) -> None:
    upload(studio, AdapterKind.LORA, "neon", {"architectures": ["flux1"]})
    upload(studio, AdapterKind.EMBEDDING, "cat", {"vectors": {"clip": 1}})
    response = studio.http.post("/v1/generate", json={"prompt": "a red circle"} | members)
    assert (response.status_code, response.json()["code"], response.json()["field"]) == (422, code, field)
    assert studio.counts()["jobs"] == 0


@pytest.mark.parametrize("text", ["a deep<cat>fake of a politician", "kill <cat>_1 <cat> immigrants"])
def test_a_learnt_word_hides_no_words_from_the_policy(studio: Studio, text: str) -> None:
    upload(studio, AdapterKind.EMBEDDING, "cat", {"vectors": {"text_encoder": [2, 768]}})
    view = studio.done("generate", prompt=text, embeddings=[{"name": "cat"}])
    assert view["state"] == "refused", "its vectors may be nothing to the model"
    assert studio.engine.seen == []
    harmless = {"prompt": "a <cat> on sand", "embeddings": [{"name": "cat"}]}
    assert studio.done("generate", **harmless)["state"] == "done"


# words


def test_a_negative_prompt_turns_true_cfg_on_and_stays_out_of_the_record(studio: Studio) -> None:
    view = studio.done("generate", prompt="a red circle", negative_prompt="dense fog")
    made = made_by(studio)
    assert (made.guides.negative_prompt, made.sampling.true_cfg) == ("dense fog", CATALOGUE["flux-mini"].negative_cfg)
    assert view["parameters"]["negative_prompt_given"] is True
    record = studio.http.get(f"/v1/records/{view['record']}").text
    assert "dense fog" not in record + json.dumps(view)
    assert "red circle" not in record + json.dumps(view)
    screened = {each["subject"] for each in body_of(studio, view)["policy"]["findings"]}
    assert screened == {"prompt", "negative_prompt", "joined with negative prompt", "purpose", "output"}


def test_a_prompt_that_looks_like_what_the_vault_keeps_is_still_a_prompt(studio: Studio) -> None:
    odd = json.dumps({"prompt": "x", "negative_prompt": "y"})
    studio.done("generate", prompt=odd)
    assert (made_by(studio).guides.negative_prompt, getattr(made_by(studio), "prompt")) == ("", odd)  # noqa: B009
    studio.done("generate", prompt=odd, negative_prompt=odd)
    assert (made_by(studio).guides.negative_prompt, made_by(studio).prompt) == (odd, odd)


def test_erasing_a_jobs_words_erases_the_negative_prompt_too(studio: Studio) -> None:
    job = studio.ask("generate", prompt="a red circle", negative_prompt="dense fog")
    reference = studio.store.jobs.get(job["id"], None).prompt_ref
    assert reference is not None
    with studio.store.database.transaction() as session:
        studio.store.vault.erase(session, reference)
    assert b"dense fog" not in (studio.settings.home_path / "studio.db").read_bytes()
    studio.work_off()
    view = studio.read(job)
    assert (view["state"], view["error"]["code"], studio.engine.runs) == ("failed", "prompt_erased", 0)


@pytest.mark.parametrize(
    ("members", "subject"),
    [
        ({"prompt": BLOCKED.replace("deepfake", "(deep:1.1)fake")}, "prompt as read"),
        ({"prompt": "portrait of a child", "negative_prompt": "clothes"}, "negative prompt as a wish"),
        ({"prompt": "portrait of a child --no clothes", "prompt_flags": True}, "negative prompt as a wish"),
        ({"prompt": "portrait of a child", "negative_prompt": "clo(thes:1.2)"}, "negative prompt as a wish"),
    ],
)
def test_words_are_screened_wherever_they_stand_and_as_the_model_reads_them(
    studio: Studio, members: dict[str, Any], subject: str
) -> None:
    view = studio.done("generate", **members)
    assert (view["state"], studio.engine.runs) == ("refused", 0)
    assert subject in {each["subject"] for each in view["verdict"]["reasons"]}


@pytest.mark.parametrize("negative", [BLOCKED, BLOCKED.replace("deepfake", "deep(fake:1.2)")])
def test_asking_for_less_of_something_is_no_offence_but_is_screened(studio: Studio, negative: str) -> None:
    view = studio.done("generate", prompt="a red circle", negative_prompt=negative)
    assert (view["state"], view["notices"]) == ("done", [])
    findings = body_of(studio, view)["policy"]["findings"]
    assert any(each["subject"].startswith("negative_prompt") and each["category"] != "none" for each in findings)


@pytest.mark.parametrize(
    ("operation", "members", "subject"),
    [
        ("generate", {"checkpoint": BASE, "references": [{"kind": "redux", "image": "known"}]}, "references[0].image"),
        ("generate", {"controls": [{"kind": "canny", "image": "known"}]}, "controls[0].image"),
        ("instruct", {"checkpoint": KLEIN, "image": OTHER, "others": [OTHER, "known"]}, "others[1]"),
    ],
)
def test_every_picture_that_steers_is_screened(
    licensed: Studio, operation: str, members: dict[str, Any], subject: str
) -> None:
    text = json.dumps(members).replace('"known"', json.dumps(encoded(png(known_test_picture()))))
    view = licensed.done(operation, prompt="", **json.loads(text))
    assert (view["state"], licensed.engine.runs) == ("refused", 0)
    assert {each["subject"] for each in view["verdict"]["reasons"]} == {subject}


# sizes, flags, budgets


def test_an_aspect_ratio_becomes_a_size_and_is_echoed(studio: Studio) -> None:
    by_field = studio.ask("generate", prompt="a red circle", aspect_ratio="2:1")["parameters"]
    by_flag = studio.ask("generate", prompt="a red circle --ar 2:1")["parameters"]
    for given in (by_field, by_flag):
        assert given["aspect_ratio"] == "2:1"
        assert given["width"] % 16 == given["height"] % 16 == 0
        assert abs(given["width"] * given["height"] - CATALOGUE["flux-mini"].native_pixels) < 4096
        assert 1.6 < given["width"] / given["height"] < 2.5
    assert (by_field["width"], by_field["height"]) == (by_flag["width"], by_flag["height"])
    studio.work_off()
    assert made_by(studio).prompt == "a red circle", "the flag is no part of what is shown"


def test_flags_are_echoed_as_parameters_and_their_words_are_not(studio: Studio) -> None:
    view = studio.done("generate", prompt="a red circle --seed 9 --steps 3 --no dense fog", prompt_flags=True)
    assert (view["seed"], view["parameters"]["steps"], view["parameters"]["prompt_flags"]) == ("9", 3, True)
    assert "fog" not in json.dumps(view)
    assert (made_by(studio).prompt, made_by(studio).guides.negative_prompt) == ("a red circle", "dense fog")


def test_without_being_asked_for_flags_are_text(studio: Studio) -> None:
    studio.done("generate", prompt="a red circle --steps 3", seed=1)
    assert made_by(studio).prompt == "a red circle --steps 3"
    assert made_by(studio).sampling.steps != 3


def test_a_flag_that_contradicts_a_field_is_refused(studio: Studio) -> None:
    response = studio.http.post("/v1/generate", json={"prompt": "a --seed 9", "seed": 8, "prompt_flags": True})
    assert (response.status_code, response.json()["code"]) == (422, "prompt_flag_conflict")
    assert studio.counts() == {"jobs": 0, "records": 0, "blobs": 0}


def test_true_cfg_counts_twice_in_what_one_request_may_take(make_studio: Callable[..., Studio]) -> None:
    studio = make_studio(max_model_steps=30)
    assert studio.http.post("/v1/generate", json={"prompt": "", "steps": 20}).status_code == 202
    document = studio.http.post("/v1/generate", json={"prompt": "", "steps": 20, "negative_prompt": "fog"}).json()
    assert (document["code"], document["value"], document["limit"]) == ("work_too_large", 40, 30)


# instructions


@pytest.mark.parametrize(("given", "size"), [({}, (64, 48)), ({"width": 80, "height": 33}, (80, 33))])
def test_an_instruction_reaches_the_model_with_all_its_pictures(
    studio: Studio, picture: str, given: dict[str, int], size: tuple[int, int]
) -> None:
    members = {"prompt": "put it on the sand", "image": picture, "others": [OTHER, OTHER], "checkpoint": KLEIN}
    view = studio.done("instruct", **members, seed=7, **given)
    made = made_by(studio)
    assert isinstance(made, Instruct)
    assert (made.prompt, made.target, [each.size for each in made.others]) == (
        "put it on the sand",
        size,
        [(30, 40)] * 2,
    )
    (output,) = view["outputs"]
    assert (output["width"], output["height"], output["seam_score"]) == (*size, None)
    body = body_of(studio, view)
    assert (body["operation"], body["model"]["route"]) == ("instruct", "instruct")
    assert [each["role"] for each in body["inputs"]] == ["image", "others[0]", "others[1]"]
    assert {each["subject"] for each in body["policy"]["findings"]} == {
        "prompt", "purpose", "image", "others[0]", "others[1]", "output",
    }  # fmt: skip


def test_the_operators_checkpoints_serve_instructions_that_name_none(
    make_studio: Callable[..., Studio], picture: str
) -> None:
    studio = make_studio(checkpoints=(KLEIN,))
    assert studio.ask("instruct", prompt="make it red", image=picture)["checkpoint"] == KLEIN


def test_models_say_what_each_reads_and_what_acts_beside_it(studio: Studio) -> None:
    models = {each["name"]: each for each in studio.http.get("/v1/models").json()["models"]}
    assert (models[KLEIN]["architecture"], models[KLEIN]["pictures"], models[KLEIN]["negative_cfg"]) == (
        "flux2",
        4,
        None,
    )
    assert models[UNION]["controls"]["pose"] == {"scale": 0.9, "start": 0.0, "end": 0.65}
    assert {BASE, "FLUX.1-Fill-dev"} <= set(models[UNION]["works_with"])
    assert (models[ADAPTER]["family"], models[ADAPTER]["weight"], models[BASE]["weight"]) == ("ip_adapter", 0.7, None)
