"""LoRAs and embeddings over HTTP and by the command line: uploaded, judged, listed, resolved, removed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from editing.catalogue import find
from editing.errors import OperationError
from storage import AdapterKind, referenced_digests, sha256_hex
from studio.cli import app, main
from studio.jobs.adapters import resolve_embeddings, resolve_loras
from studio.problems import Problem
from tests.editing.lora_files import ATTENTION, LAYERS, diffusers_lora, file_of
from tests.studio.conftest import Studio

LORA = file_of(diffusers_lora(1, LAYERS))
OTHER = file_of(diffusers_lora(2, LAYERS))
WORD = file_of({"clip_l": np.ones((2, 768), np.float32)})


def upload(studio: Studio, data: bytes, name: str = "neon", kind: str = "loras", **other: Any) -> Any:
    return studio.http.post(f"/v1/{kind}", files={"file": ("x.safetensors", data)}, data={"name": name}, **other)


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json", response.text
    document = response.json()
    assert (response.status_code, document["code"]) == (status, code), response.text
    return document


def test_a_lora_is_judged_kept_and_described(studio: Studio) -> None:
    response = upload(studio, LORA)
    assert response.status_code == 201, response.text
    assert response.headers["location"] == "/v1/loras/neon"
    view = response.json()
    assert view["digest"] == sha256_hex(LORA)
    assert view["size_bytes"] == len(LORA)
    assert view["facts"]["architectures"] == ["flux1"]
    assert view["facts"]["ranks"] == [4, 4]
    assert studio.store.blobs.get(view["digest"]) == LORA
    assert view["digest"] in referenced_digests(studio.store.database)
    assert studio.http.get("/v1/loras/neon").json() == view
    assert studio.http.get(f"/v1/loras/sha256:{view['digest']}").json() == view
    assert studio.http.get("/v1/loras").json() == {"adapters": [view], "next": None}
    assert studio.http.get("/v1/embeddings").json()["adapters"] == []


def test_an_embedding_is_kept_apart_from_loras(studio: Studio) -> None:
    view = upload(studio, WORD, "cat-toy", "embeddings").json()
    assert view["facts"] == {"vectors": {"text_encoder": [2, 768]}}
    assert studio.http.get("/v1/embeddings/cat-toy").json() == view
    problem(studio.http.get("/v1/loras/cat-toy"), 404, "lora_not_found")


def test_the_same_file_again_is_the_same_lora(studio: Studio) -> None:
    assert upload(studio, LORA).json() == upload(studio, LORA).json()
    assert problem(upload(studio, OTHER), 409, "lora_name_taken")["field"] == "name"
    assert problem(upload(studio, LORA, "glow"), 409, "lora_known")["value"] == "neon"
    assert len(studio.http.get("/v1/loras").json()["adapters"]) == 1


def test_lists_are_paged(studio: Studio) -> None:
    for index in range(3):
        upload(studio, file_of(diffusers_lora(index)), f"n{index}")
    first = studio.http.get("/v1/loras?limit=2").json()
    rest = studio.http.get("/v1/loras", params={"limit": 2, "cursor": first["next"]}).json()
    assert [each["name"] for each in first["adapters"] + rest["adapters"]] == ["n2", "n1", "n0"]
    assert rest["next"] is None
    problem(studio.http.get("/v1/loras?cursor=x"), 422, "value_invalid")


def test_owners_see_and_remove_their_own_alone(studio: Studio) -> None:
    alice, bob = studio.client("editor", "alice"), studio.client("editor", "bob")
    auditor = studio.client("auditor", "eve")
    assert upload(studio, LORA, headers=alice).status_code == 201
    problem(studio.http.get("/v1/loras/neon", headers=bob), 404, "lora_not_found")
    problem(studio.http.delete("/v1/loras/neon", headers=bob), 404, "lora_not_found")
    assert studio.http.get("/v1/loras", headers=bob).json()["adapters"] == []
    (seen,) = studio.http.get("/v1/loras", headers=auditor).json()["adapters"]
    assert (seen["owner"], seen["url"]) == ("alice", None), "its address would mean the auditor's own of that name"
    problem(upload(studio, LORA, headers=auditor), 403, "role_forbidden")
    problem(studio.http.delete("/v1/loras/neon", headers=auditor), 403, "role_forbidden")
    assert upload(studio, LORA, headers=bob).status_code == 201  # the same file and name, another owner
    assert studio.http.delete("/v1/loras/neon", headers=alice).status_code == 204
    assert studio.http.get("/v1/loras/neon", headers=bob).status_code == 200
    problem(studio.http.get("/v1/loras/neon", headers=alice), 404, "lora_not_found")
    studio.http.headers.pop("Authorization")
    problem(studio.http.get("/v1/loras"), 401, "key_missing")


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"\x80\x02}q\x00.", 422, "lora_not_safetensors"),
        (b"PK\x03\x04" + bytes(50), 422, "lora_not_safetensors"),
        (b"", 422, "lora_truncated"),
        (LORA[:-1], 422, "lora_truncated"),
        (file_of({"unet.to_q.lora_A.weight": np.ones((4, 4), np.float32)}), 422, "lora_keys_foreign"),
        (WORD, 422, "lora_keys_foreign"),
        (file_of(diffusers_lora(1, ATTENTION, rank=257)), 422, "lora_rank_too_large"),
        (file_of(diffusers_lora(1, {**LAYERS, "x_embedder": (32, 128)})), 422, "lora_kind_unsupported"),
    ],
)
def test_files_that_are_no_loras_leave_nothing_behind(studio: Studio, data: bytes, status: int, code: str) -> None:
    assert problem(upload(studio, data), status, code)["field"] == "file"
    assert studio.blob_digests() == set()
    assert studio.http.get("/v1/loras").json()["adapters"] == []


def test_uploads_have_a_limit_of_their_own(make_studio: Any) -> None:
    studio = make_studio(max_adapter_bytes=len(LORA), max_body_bytes=2_000, max_upload_bytes=1_000)
    assert upload(studio, LORA).status_code == 201
    assert problem(upload(studio, LORA + bytes(1)), 413, "lora_too_large")["limit"] == len(LORA)
    problem(upload(studio, LORA + bytes(20_000)), 413, "body_too_large")
    problem(studio.http.post("/v1/images", content=bytes(3_000)), 413, "body_too_large")


@pytest.mark.parametrize("name", ["", "a b", "../x", "sha256:" + "0" * 64, "x" * 65, "näon"])
def test_names_that_cannot_be_used_are_refused(studio: Studio, name: str) -> None:
    assert problem(upload(studio, LORA, name), 422, "lora_name_invalid")["field"] == "name"


def test_forms_that_lack_something_are_refused(studio: Studio) -> None:
    problem(upload(studio, LORA, "flux-mini"), 409, "lora_name_taken")
    problem(studio.http.post("/v1/loras", files={"file": ("x", LORA)}), 422, "field_missing")
    problem(studio.http.post("/v1/loras", files={"name": (None, "x")}), 422, "field_missing")
    problem(studio.http.post("/v1/loras", json={"name": "x"}), 415, "content_type_unsupported")
    problem(upload(studio, WORD, "a.b", "embeddings"), 422, "embedding_name_invalid")


def test_names_become_digests(studio: Studio) -> None:
    upload(studio, LORA)
    upload(studio, WORD, "cat", "embeddings")
    store, owner, digest = studio.store.adapters, studio.key.owner, sha256_hex(LORA)
    given = [{"name": "neon", "weight": 0.5}, {"name": f"sha256:{digest}"}]
    assert resolve_loras(given, owner, store, find("flux-mini")) == [
        {"name": "neon", "weight": 0.5, "digest": digest},
        {"name": "neon", "weight": 1.0, "digest": digest},
    ]
    assert resolve_embeddings([{"name": "cat"}, {"name": "cat", "token": "it"}], owner, store, find("flux-mini")) == [
        {"name": "cat", "token": "cat", "digest": sha256_hex(WORD)},
        {"name": "cat", "token": "it", "digest": sha256_hex(WORD)},
    ]


def test_unknown_names_are_answered_with_those_there_are(studio: Studio) -> None:
    upload(studio, LORA)
    store, owner, mini = studio.store.adapters, studio.key.owner, find("flux-mini")
    for name in ("glow", f"sha256:{sha256_hex(OTHER)}"):
        with pytest.raises(Problem) as caught:
            resolve_loras([{"name": name}], owner, store, mini)
        assert (caught.value.code, caught.value.status, caught.value.field) == ("lora_not_found", 422, "loras[0].name")
        assert "neon" in caught.value.limit
    with pytest.raises(Problem) as caught:
        resolve_loras([{"name": "neon"}], "bob", store, mini)
    assert "neon" not in caught.value.limit
    with pytest.raises(Problem) as caught:
        resolve_embeddings([{"name": "neon"}], owner, store, mini)
    assert caught.value.code == "embedding_not_found"


def test_a_lora_for_other_code_is_refused_when_the_request_comes_in(studio: Studio) -> None:
    upload(studio, LORA)
    with pytest.raises(OperationError) as caught:
        resolve_loras([{"name": "neon"}], studio.key.owner, studio.store.adapters, find("FLUX.2-klein-4B"))
    assert (caught.value.code, caught.value.field) == ("lora_unsupported", "loras[0].name")


def test_the_command_line_adds_lists_and_removes(studio: Studio, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("STUDIO_HOME", str(studio.settings.home_path))
    path = tmp_path / "glow.safetensors"
    path.write_bytes(LORA)
    run = CliRunner()
    added = run.invoke(app, ["loras", "add", str(path)])
    assert added.output.split() == ["glow", f"sha256:{sha256_hex(LORA)}"]
    listed = run.invoke(app, ["loras", "list", "--json"])
    assert '"name": "glow"' in listed.output
    assert "rank 4" in run.invoke(app, ["loras", "list"]).output
    assert studio.store.adapters.get(AdapterKind.LORA, "glow", "bootstrap").digest == sha256_hex(LORA)
    assert "removed" in run.invoke(app, ["loras", "remove", "glow"]).output
    path.write_bytes(b"\x80\x02")
    assert isinstance(run.invoke(app, ["loras", "add", str(path)]).exception, OperationError)
    assert studio.store.adapters.list(AdapterKind.LORA, None).items == ()


def test_the_command_line_names_the_code_of_what_it_refuses(
    studio: Studio, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setenv("STUDIO_HOME", str(studio.settings.home_path))
    path = tmp_path / "junk.safetensors"
    path.write_bytes(b"junk")
    monkeypatch.setattr("sys.argv", ["studio", "loras", "add", str(path)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("lora_truncated: ")
