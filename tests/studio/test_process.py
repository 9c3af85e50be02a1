"""The service as a process: no torch in it, nothing lost when it is killed, one key on first start."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

GENERATE = ["edit", "generate", "a red circle", "-o"]
ADDRESS = re.compile(r"listens on (\S+)")


@contextmanager
def serving(home: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """`studio serve` in a process of its own."""
    command = [sys.executable, "-m", "studio", "serve", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"STUDIO_HOME": str(home)})
    try:
        assert process.stdout is not None
        found = ADDRESS.search(process.stdout.readline())
        assert found
        key = (home / "bootstrap.key").read_text().strip()
        with httpx.Client(base_url=found[1], headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
            yield process, client
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_the_api_process_imports_no_torch() -> None:
    program = (
        "import sys, studio.app, studio.cli.serve, studio.bootstrap;"
        "print([name for name in ('torch', 'diffusers', 'transformers', 'controlnet_aux') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_jobs_queued_survive_a_killed_service(tmp_path: Path) -> None:
    with serving(tmp_path, "--no-worker") as (process, client):
        asked = [client.post("/v1/generate", json={"prompt": "a red circle", "seed": n}).json()["id"] for n in range(3)]
        process.send_signal(signal.SIGKILL)
        process.wait()
    with serving(tmp_path, "--no-worker") as (_, client):
        jobs = client.get("/v1/jobs").json()["jobs"]
        assert [each["id"] for each in jobs] == asked[::-1]
        assert {each["state"] for each in jobs} == {"queued"}
        assert [each["queue_position"] for each in jobs] == [2, 1, 0]
        ready = client.get("/health/ready")
        assert (ready.status_code, ready.json()["workers"]) == (200, [])


def test_the_first_key_is_shown_once_and_kept_for_its_owner_only(tmp_path: Path) -> None:
    with serving(tmp_path, "--no-worker") as (process, _):
        assert process.stdout is not None
        line = process.stdout.readline()
        key = tmp_path / "bootstrap.key"
        assert key.read_text().strip() in line
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        first = key.read_text()
    with serving(tmp_path, "--no-worker") as (process, client):
        assert key.read_text() == first
        assert client.get("/v1/models").status_code == 200


def test_where_others_can_ask_the_worker_requires_a_guard_too(tmp_path: Path) -> None:
    with serving(tmp_path, "--host", "0.0.0.0") as (_, client):
        assert client.get("/health/ready").status_code == 503
        job = client.post("/v1/generate", json={"prompt": "a red circle"}).json()
        while job["finished_at"] is None:
            job = client.get(f"/v1/jobs/{job['id']}", headers={"Prefer": "wait=20"}).json()
        assert job["state"] == "refused"
        assert {each["rule"] for each in job["verdict"]["reasons"]} == {"policy.screener_failed"}


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("STUDIO_PORT", "70000", "STUDIO_PORT"),
        ("STUDIO_MEMORY", "a lot", "STUDIO_MEMORY"),
        ("STUDIO_CONFIG", "/nowhere/studio.toml", "STUDIO_CONFIG"),
        ("STUDIO_MAX_ATTEMPTS", "0", "STUDIO_MAX_ATTEMPTS"),
    ],
)
def test_a_bad_setting_is_named_without_a_traceback(tmp_path: Path, variable: str, value: str, said: str) -> None:
    environment = os.environ | {"STUDIO_HOME": str(tmp_path), variable: value}
    run = subprocess.run(
        [sys.executable, "-m", "studio", "db", "status"], capture_output=True, text=True, env=environment
    )
    assert run.returncode == 1
    assert said in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["records", "list", "--outcome", "bogus"], {}, "--outcome"),
        ([*GENERATE, "x.png", "--url", "http://127.0.0.1:9", "--key", "k"], {}, "cannot be reached"),
        ([*GENERATE, "x.png", "--url", "nonsense", "--key", "k"], {}, "cannot be reached"),
        ([*GENERATE, "nowhere/x.png"], {}, "no folder"),
        ([*GENERATE, "x.png", "--key", "wrong"], {}, "key_invalid"),
        ([*GENERATE, "x.png"], {"STUDIO_DEVICE": "bogus"}, "no device 'bogus'"),
        (["db", "status"], {"STUDIO_WEIGHTS": "not json"}, "weights"),
    ],
)
def test_a_mistake_on_the_command_line_gets_a_line_and_no_traceback(
    tmp_path: Path, arguments: list[str], variables: dict[str, str], said: str
) -> None:
    environment = os.environ | {"STUDIO_HOME": str(tmp_path)} | variables
    run = subprocess.run(
        [sys.executable, "-m", "studio", *arguments], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert run.returncode in {1, 2}
    assert said in run.stderr
    assert "Traceback" not in run.stderr


def test_reporting_commands_print_one_json_object(tmp_path: Path) -> None:
    environment = os.environ | {"STUDIO_HOME": str(tmp_path)}

    def studio(*arguments: str) -> str:
        command = [sys.executable, "-m", "studio", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout

    studio("db", "upgrade")
    token = studio("keys", "create", "--owner", "team", "--role", "editor", "--purpose", "test").strip()
    assert token.startswith("studio_")
    assert [each["owner"] for each in json.loads(studio("keys", "list", "--json"))["keys"]] == ["team"]
    assert token not in studio("keys", "list", "--json")
    assert json.loads(studio("records", "list", "--json")) == {"records": [], "next": None}
    assert "flux-mini" in {each["name"] for each in json.loads(studio("models", "list", "--json"))["models"]}
    studio("models", "accept", "FLUX.1-dev", "--yes", "--by", "somebody")
    models = {each["name"]: each for each in json.loads(studio("models", "list", "--json"))["models"]}
    assert models["FLUX.1-dev"]["accepted"]
