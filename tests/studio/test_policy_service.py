"""What the service makes of the policy: whose tolerance, which texts, what for, and what the caller is told."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from policy import known_test_picture, load_policy
from storage import AdapterKind, NewAdapter, Role
from studio.cli import app
from studio.client import HttpClient, StudioProblem
from studio.jobs.requests import REQUESTS
from studio.policies import ActivePolicy
from studio.problems import Problem
from tests.editing.lora_files import LAYERS, diffusers_lora, file_of
from tests.studio.conftest import Studio, encoded, png
from tests.studio.house_rules import House, write_rules

WORD, SOFT = "zorblat", "quibbern"
MINDED = "A professional must review it."
REASON = "This house does not make that."
HOUSE = (
    House(WORD),
    House(SOFT, action="review", severity="medium"),
    House("vexel", applies_to=("purpose",), reason="No key is for that."),
    House(
        "mirkin", action="allow", severity="notice", applies_to=("purpose",), reason="A professional must review it."
    ),
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rules(tmp_path_factory.mktemp("house"), HOUSE)


@pytest.fixture(scope="module")
def own(house: Path) -> ActivePolicy:
    return ActivePolicy.fixed(load_policy(rules=house))


@pytest.fixture
def studio(make_studio: Callable[..., Studio], own: ActivePolicy) -> Studio:
    return make_studio(policies=own, appeal_contact="appeals@studio.example")


def headers(studio: Studio, *, purpose: str = "test", tolerance: int = 2, role: Role = Role.EDITOR) -> dict[str, str]:
    owner = studio.key.owner
    _, token = studio.store.keys.create(owner=owner, role=role, purpose=purpose, safety_tolerance=tolerance)
    return {"Authorization": f"Bearer {token}"}


def body_of(studio: Studio, view: dict[str, Any]) -> dict[str, Any]:
    return studio.http.get(f"/v1/records/{view['record']}").json()["body"]


def done(studio: Studio, key: dict[str, str], **members: Any) -> dict[str, Any]:
    response = studio.http.post("/v1/generate", json={"prompt": "a red circle"} | members, headers=key)
    assert response.status_code == 202, response.text
    studio.work_off()
    return studio.read(response.json())


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    document = response.json()
    assert (response.status_code, document["code"]) == (status, code), response.text
    return document


# the dial


@pytest.mark.parametrize(
    ("of_key", "asked", "state"),
    [(2, None, "held"), (2, 0, "refused"), (6, None, "done"), (6, 2, "held"), (0, None, "refused"), (2, 2, "held")],
)
def test_the_keys_tolerance_decides_and_a_request_may_be_stricter(
    studio: Studio, of_key: int, asked: int | None, state: str
) -> None:
    members = {} if asked is None else {"safety_tolerance": asked}
    view = done(studio, headers(studio, tolerance=of_key), prompt=f"a {SOFT}", **members)
    effective = of_key if asked is None else asked
    assert view["state"] == state
    assert view["parameters"]["safety_tolerance"] == effective
    body = body_of(studio, view)
    assert body["policy"]["safety_tolerance"] == body["parameters"]["safety_tolerance"] == effective
    assert body["requester"]["safety_tolerance"] == of_key


@pytest.mark.parametrize("operation", REQUESTS)
def test_no_request_is_laxer_than_its_key(studio: Studio, operation: str, picture: str, mask: str) -> None:
    members = {name: {"image": picture, "mask": mask}[name] for name in REQUESTS[operation].pictures}
    members |= {} if operation in {"erase", "control_map"} else {"prompt": "a red circle"}
    path = "/v1/controls/grey" if operation == "control_map" else f"/v1/{operation}"
    if operation == "instruct":
        members["checkpoint"] = "FLUX.1-Kontext-dev"
    said = problem(studio.http.post(path, json=members | {"safety_tolerance": 3}), 422, "safety_tolerance_too_high")
    assert (said["field"], said["value"], said["limit"]) == ("safety_tolerance", 3, 2)
    assert studio.counts() == {"jobs": 0, "records": 0, "blobs": 0}


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (7, "safety_tolerance_out_of_range"),
        (-1, "safety_tolerance_out_of_range"),
        (10**40, "request_invalid"),
        (True, "request_invalid"),
        ("off", "request_invalid"),
        (1.5, "request_invalid"),
        ([0], "request_invalid"),
    ],
)
def test_what_is_no_tolerance_is_refused(studio: Studio, value: Any, code: str) -> None:
    key = headers(studio, tolerance=6)
    response = studio.http.post("/v1/generate", json={"prompt": "x", "safety_tolerance": value}, headers=key)
    assert problem(response, 422, code)["field"] == "safety_tolerance"


def test_a_form_and_the_command_line_say_it_too(studio: Studio, tmp_path: Path) -> None:
    form = {"prompt": (None, f"a {SOFT}"), "safety_tolerance": (None, "0")}
    job = studio.http.post("/v1/generate", files=form).json()
    studio.work_off()
    assert studio.read(job)["state"] == "refused"
    assert "--safety-tolerance" in CliRunner().invoke(app, ["edit", "erase", "--help"], env={"COLUMNS": "200"}).output


def test_a_key_that_is_made_stricter_is_so_for_jobs_that_wait(studio: Studio) -> None:
    key, token = studio.store.keys.create(owner="team", role=Role.EDITOR, purpose="test", safety_tolerance=6)
    bearer = {"Authorization": f"Bearer {token}"}
    first = studio.http.post("/v1/generate", json={"prompt": f"a {SOFT}"}, headers=bearer).json()
    studio.store.keys.set_safety_tolerance(key.id, 0)
    studio.work_off()
    view = studio.read(first)
    assert (view["state"], body_of(studio, view)["policy"]["safety_tolerance"]) == ("refused", 0)


@pytest.mark.parametrize("name", ["screening", "safety_checker", "disable_safety_checker", "policy", "rules", "unsafe"])
def test_no_field_switches_screening_off(studio: Studio, name: str) -> None:
    for value in (False, True, "off", None):
        response = studio.http.post("/v1/generate", json={"prompt": f"a {WORD}", name: value})
        problem(response, 422, "field_unknown")


# what the key is for


def test_a_key_for_a_refused_purpose_can_do_nothing(studio: Studio) -> None:
    view = done(studio, headers(studio, purpose="deciding who is a vexel"))
    assert (view["state"], studio.engine.runs) == ("refused", 0)
    (reason,) = view["verdict"]["reasons"]
    assert reason == {
        "rule": "harassment-vexel-01",
        "category": "harassment",
        "subject": "purpose",
        "reason": "No key is for that.",
    }
    assert done(studio, headers(studio), prompt="a vexel on a table")["state"] == "done", "that rule is about purposes"
    upload = studio.http.post(
        "/v1/images",
        content=png(np.zeros((8, 8, 3), np.uint8)),
        headers=headers(studio, purpose="a vexel") | {"Content-Type": "image/png"},
    )
    assert problem(upload, 422, "image_refused")["verdict"]["reasons"][0]["subject"] == "purpose"


def test_a_purpose_that_needs_a_professional_is_allowed_and_marked(studio: Studio) -> None:
    view = done(studio, headers(studio, purpose="mirkin for a clinic"))
    notice = {"rule": "harassment-mirkin-01", "category": "harassment", "reason": "A professional must review it."}
    assert (view["state"], view["notices"], view["appeal"]) == ("done", [notice], None)
    assert body_of(studio, view)["notices"] == [notice]
    assert done(studio, headers(studio))["notices"] == []


@pytest.fixture
def command(tmp_path: Path, house: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path / "cli"))
    monkeypatch.setenv("STUDIO_RULES", str(house))
    return lambda *words: CliRunner().invoke(app, list(words))


MAKE = ("keys", "create", "--owner", "team", "--role", "editor")


def test_a_key_is_made_only_for_a_purpose_that_passes(command: Callable[..., Any]) -> None:
    made = command(*MAKE, "--purpose", "mirkin for a clinic", "--tolerance", "1")
    assert made.exit_code == 0, made.output
    assert "A professional must review it." in made.stderr
    refused = command(*MAKE, "--purpose", "deciding who is a vexel")
    assert isinstance(refused.exception, Problem)
    assert refused.exception.code == "purpose_refused"
    assert "harassment-vexel-01: No key is for that." in str(refused.exception)
    for purpose, code in (
        ("\u200b\u2060 ", "text_invisible"),
        ("x" * 4001, "text_too_long"),
        ("\ud800", "text_invalid"),
    ):
        wrong = command(*MAKE, "--purpose", purpose)
        assert isinstance(wrong.exception, Problem)
        assert (wrong.exception.code, wrong.exception.field) == (code, "purpose")
    (key,) = json.loads(command("keys", "list", "--json").stdout)["keys"]
    assert (key["purpose"], key["safety_tolerance"]) == ("mirkin for a clinic", 1)
    assert command("keys", "set", key["id"], "--tolerance", "4").exit_code == 0
    assert json.loads(command("keys", "list", "--json").stdout)["keys"][0]["safety_tolerance"] == 4
    assert command("keys", "set", key["id"], "--tolerance", "7").exit_code == 2


def test_what_somebody_wrote_is_no_markup_of_a_table(command: Callable[..., Any]) -> None:
    made = command("keys", "create", "--owner", "[/b]\x1b[2J", "--role", "editor", "--purpose", "art [/red]")
    assert made.exit_code == 0, made.output
    shown = command("keys", "list")
    assert shown.exit_code == 0, shown.exception
    assert "[/b" in shown.stdout
    assert "\x1b[2J" not in shown.stdout


# which texts


LORA = file_of(diffusers_lora(1, LAYERS))
VECTORS = file_of({"clip_l": np.ones((2, 768), np.float32)})


def test_a_forbidden_name_keeps_an_upload_out(studio: Studio) -> None:
    for kind, data in (("loras", LORA), ("embeddings", VECTORS)):
        form = {"name": f"{WORD}-style"}
        response = studio.http.post(f"/v1/{kind}", files={"file": ("x.safetensors", data)}, data=form)
        said = problem(response, 422, "name_refused")
        assert said["verdict"]["reasons"][0] | {"category": ""} == {
            "rule": f"harassment-{WORD}-01", "category": "", "subject": "name", "reason": REASON,
        }  # fmt: skip
        held = studio.http.post(f"/v1/{kind}", files={"file": ("x.safetensors", data)}, data={"name": f"a-{SOFT}"})
        problem(held, 422, "name_refused")
        assert studio.http.get(f"/v1/{kind}").json()["adapters"] == []
    assert studio.counts()["blobs"] == 0


def test_the_command_line_screens_names_too(command: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes(LORA)
    refused = command("loras", "add", str(file), "--name", f"{WORD}-style")
    assert isinstance(refused.exception, Problem)
    assert refused.exception.code == "name_refused"
    assert command("loras", "add", str(file), "--name", "neon").exit_code == 0


def keep(studio: Studio, kind: AdapterKind, name: str, facts: dict[str, Any]) -> None:
    """Add an adapter that was admitted under other rules."""
    digest = studio.store.blobs.put(name.encode())
    owner, key_id = studio.key.owner, studio.key.id
    new = NewAdapter(owner=owner, key_id=key_id, kind=kind, name=name, digest=digest, size_bytes=9, facts=facts)
    studio.store.adapters.add(new)


@pytest.mark.parametrize(
    ("members", "subject"),
    [
        ({"loras": [{"name": f"{WORD}-style"}]}, "loras[0].name"),
        ({"prompt": "a <cat>", "embeddings": [{"name": WORD, "token": "cat"}]}, "embeddings[0].name"),
        ({"prompt": f"a <my_{WORD}>", "embeddings": [{"name": "plain", "token": f"my_{WORD}"}]}, "embeddings[0].token"),
    ],
)
def test_names_are_screened_with_every_request(studio: Studio, members: dict[str, Any], subject: str) -> None:
    vectors = {"vectors": {"text_encoder": [2, 768]}}
    keep(studio, AdapterKind.LORA, f"{WORD}-style", {"architectures": ["flux1"]})
    for name in (WORD, "plain"):
        keep(studio, AdapterKind.EMBEDDING, name, vectors)
    view = done(studio, headers(studio), **members)
    assert view["state"] == "refused"
    assert subject in {each["subject"] for each in view["verdict"]["reasons"]}


def test_a_sentence_split_over_prompt_and_a_name_is_read_as_one(studio: Studio) -> None:
    keep(studio, AdapterKind.LORA, "blat", {"architectures": ["flux1"]})
    view = done(studio, headers(studio), prompt="a zor", loras=[{"name": "blat"}])
    assert view["state"] == "refused"


TEXTS = {"prompt", "negative_prompt"}
NAMES = {"loras[].name", "embeddings[].name", "embeddings[].token"}
CHECKED = {
    "checkpoint", "inpainting_controlnet", "controls[].checkpoint", "references[].checkpoint",  # names of the catalogue
    "aspect_ratio",  # two numbers
    "image", "mask", "others[]", "controls[].image", "references[].image",  # pictures, or digests
}  # fmt: skip


def test_every_field_that_takes_words_is_screened_or_can_say_nothing() -> None:
    """A new field with words must be added to `studio.jobs.subjects`, and here."""
    found: set[str] = set()
    for request in REQUESTS.values():
        schema = request.model_json_schema()
        found |= set(_words(schema, schema.get("$defs", {})))
    assert found == TEXTS | NAMES | CHECKED


def _words(node: dict[str, Any], shapes: dict[str, Any], path: str = "") -> Iterator[str]:
    """Paths of the fields of a schema that take any text."""
    if "$ref" in node:
        yield from _words(shapes[node["$ref"].rpartition("/")[2]], shapes, path)
    for option in node.get("anyOf", []) + node.get("allOf", []):
        yield from _words(option, shapes, path)
    if node.get("type") == "array":
        yield from _words(node["items"], shapes, f"{path}[]")
    for name, each in node.get("properties", {}).items():
        yield from _words(each, shapes, f"{path}.{name}".lstrip("."))
    if node.get("type") == "string" and "enum" not in node and "pattern" not in node and "const" not in node:
        yield path


INVISIBLE = [
    "\u200b",
    "\u2060\ufeff\u200d",
    " ",
    " \t\r\n",
    "\u3164\u115f",
    "\u2800" * 9,
    "\U000e0041",
    "\ufe0f",
    "\u202e",
]


@pytest.mark.parametrize("field", sorted(TEXTS))
@pytest.mark.parametrize("text", INVISIBLE, ids=ascii)
def test_text_that_nobody_can_see_is_refused(studio: Studio, field: str, text: str) -> None:
    members = {"prompt": "a red circle"} | {field: text}
    said = problem(studio.http.post("/v1/generate", json=members), 422, "text_invisible")
    assert (said["field"], said["value"]) == (field, len(text))
    form = studio.http.post("/v1/generate", files={name: (None, value) for name, value in members.items()})
    assert problem(form, 422, "text_invisible")["field"] == field
    assert studio.counts()["jobs"] == 0


@pytest.mark.parametrize("text", ["\u200ba", "\u0301a", "家", "🙂", "a\u200db", ".", "\u00e9"], ids=ascii)
def test_text_with_anything_to_see_in_it_is_not(studio: Studio, text: str) -> None:
    assert studio.http.post("/v1/generate", json={"prompt": text}).status_code == 202


# what the caller is told


INNER = (WORD, SOFT, "reading=", "findings", 'score"', "screener", "shadow", "severity")


def told(studio: Studio, key: dict[str, str], job: dict[str, Any]) -> Iterator[str]:
    """Everything that a caller can read about a job, and about what else was refused."""
    view = studio.http.get(f"/v1/jobs/{job['id']}", headers=key)
    yield view.text
    yield studio.http.get(f"/v1/jobs/{job['id']}", headers=key | {"Prefer": "wait=1"}).text
    yield studio.http.get("/v1/jobs", headers=key).text
    yield studio.http.get(f"/v1/records/{view.json()['record']}", headers=key).text
    yield studio.http.get("/v1/records", headers=key).text
    yield studio.http.get("/health/ready").text
    yield studio.http.delete(f"/v1/jobs/{job['id']}", headers=key).text
    known = png(known_test_picture())
    yield studio.http.post("/v1/images", content=known, headers=key | {"Content-Type": "image/png"}).text
    form = {"files": {"file": ("x.safetensors", LORA)}, "data": {"name": "neon"}}
    yield studio.http.post("/v1/loras", **form, headers=headers(studio, purpose="a vexel")).text


@pytest.mark.parametrize(("prompt", "state"), [(f"a {WORD} here", "refused"), (f"a {SOFT} here", "held")])
def test_the_caller_reads_rule_category_reason_and_how_to_appeal_and_nothing_inner(
    studio: Studio, prompt: str, state: str
) -> None:
    key = headers(studio)
    job = studio.http.post("/v1/generate", json={"prompt": prompt}, headers=key).json()
    studio.work_off()
    view = studio.read(job)
    assert view["state"] == state
    (reason,) = view["verdict"]["reasons"]
    assert (set(reason), reason["reason"]) == ({"rule", "category", "subject", "reason"}, REASON)
    assert view["appeal"] == (
        "If you think that this is a mistake, write to appeals@studio.example and name the record "
        f"{view['record']}: a person will look at it."
    )
    rule = reason["rule"]
    for answer in told(studio, key, job):
        for inner in INNER:
            assert inner not in answer.replace(rule, ""), (inner, answer)
    record = studio.http.get(f"/v1/records/{view['record']}", headers=key).json()["body"]["policy"]
    assert set(record) == {
        "decision", "policy_version", "policy_digest", "reasons", "notices", "safety_tolerance",
    }  # fmt: skip
    assert record["reasons"] == view["verdict"]["reasons"]


def test_an_auditor_reads_every_finding(studio: Studio) -> None:
    view = done(studio, headers(studio), prompt=f"a {WORD} here")
    auditor = headers(studio, role=Role.AUDITOR)
    policy = studio.http.get(f"/v1/records/{view['record']}", headers=auditor).json()["body"]["policy"]
    (found,) = [each for each in policy["findings"] if each["decision"] == "block"]
    assert (found["detail"].partition(" at=")[2], found["score"], found["screener"]) == ("2-9", 0.9, "rules")


def test_without_a_contact_people_are_sent_to_the_operator(
    make_studio: Callable[..., Studio], own: ActivePolicy
) -> None:
    studio = make_studio(policies=own)
    assert "ask the operator of this service" in done(studio, headers(studio), prompt=f"a {WORD}")["appeal"]
    known = studio.http.post("/v1/images", content=png(known_test_picture()), headers={"Content-Type": "image/png"})
    said = problem(known, 422, "image_refused")
    assert said["record"] in said["appeal"]


def test_a_request_without_words_has_a_tolerance_too(studio: Studio) -> None:
    job = studio.http.post("/v1/controls/grey", json={"image": encoded(png(np.zeros((8, 8, 3), np.uint8)))}).json()
    studio.work_off()
    assert body_of(studio, studio.read(job))["policy"]["safety_tolerance"] == 2


@pytest.mark.parametrize("field", ["prompt", "negative_prompt", "name", "token"])
@pytest.mark.parametrize("text", ["x" * 4001, "\ud800", "a\x00b", "\u200b"], ids=["long", "half", "nul", "invisible"])
def test_unfit_text_is_a_clean_problem_that_repeats_none_of_it(studio: Studio, field: str, text: str) -> None:
    keep(studio, AdapterKind.EMBEDDING, "cat", {"vectors": {"text_encoder": [2, 768]}})
    members: dict[str, Any] = {"prompt": "a <cat>"}
    members |= {field: text} if field in TEXTS else {"embeddings": [{"name": "cat"} | {field: text}]}
    content = json.dumps(members)
    response = studio.http.post("/v1/generate", content=content, headers={"Content-Type": "application/json"})
    said = response.json()
    assert (response.status_code, said["field"].rpartition(".")[2]) == (422, field), response.text
    assert "xxxx" * 50 not in response.text
    assert studio.counts()["jobs"] == 0


@pytest.mark.parametrize("value", ["x" * 10**6, "\u200b" * 10**6, ["x"] * 10**5], ids=["long", "invisible", "list"])
def test_a_megabyte_is_refused_at_once(studio: Studio, value: Any) -> None:
    content = json.dumps({"prompt": value}, ensure_ascii=False).encode()
    took = []
    for _ in range(5):
        before = time.process_time()
        response = studio.http.post("/v1/generate", content=content, headers={"Content-Type": "application/json"})
        took.append(time.process_time() - before)
        assert response.status_code == 422
    assert min(took) < 0.05


def test_the_command_line_tells_unfit_text_as_the_api_does(studio: Studio) -> None:
    client = HttpClient("http://testserver", studio.token)
    client._http = studio.http
    for text, code in (("x" * 4001, "text_too_long"), ("\udc80", "text_invalid"), ("\u200b", "text_invisible")):
        with pytest.raises(StudioProblem) as raised:
            client.submit("generate", {"prompt": text}, {})
        assert raised.value.document["code"] == code
