"""studio models: what the operator sees of checkpoints, weights and memory, without waiting for torch."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from studio.cli import app
from studio.cli import machine as this_machine

SMI = """#!/bin/sh
case "$*" in *--id=1*) echo "NVIDIA B, 12288"; exit 0;; esac
echo "NVIDIA A, 24576"
echo "NVIDIA B, 12288"
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path


@pytest.fixture
def cards(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cards, as the driver's own tool reports them, and a torch that can use them."""
    tool = home / "nvidia-smi"
    tool.write_text(SMI)
    tool.chmod(0o755)
    monkeypatch.setattr(this_machine.metadata, "version", lambda _: "2.13.0+cu130")


def memory() -> dict[str, Any]:
    result = CliRunner().invoke(app, ["models", "list", "--json"])
    assert result.exit_code == 0, result.output
    seen: dict[str, Any] = json.loads(result.stdout)["memory"]
    return seen


def test_without_an_accelerator_everything_is_whole_and_in_main_memory() -> None:
    seen = memory()
    assert (seen["profile"], seen["device"], seen["reason"]) == ("cpu", "cpu", "there is no accelerator")
    assert {part["format"] for part in seen["parts"].values()} == {"float32"}


@pytest.mark.usefixtures("cards")
def test_the_profile_follows_from_the_card_that_the_worker_would_take(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = memory()
    assert (seen["profile"], seen["device"], seen["reason"]) == ("24gb", "NVIDIA A", "NVIDIA A has 25.8 GB")
    assert seen["parts"]["transformer"]["format"] == "fp8"
    assert seen["flux1_bytes"] < seen["total_bytes"]
    monkeypatch.setenv("STUDIO_DEVICE", "cuda:1")
    assert memory()["profile"] == "12gb"
    monkeypatch.setenv("STUDIO_DEVICE", "auto")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert memory()["device"] == "NVIDIA B"
    monkeypatch.setenv("STUDIO_DEVICE", "cpu")
    assert memory()["profile"] == "cpu"


@pytest.mark.usefixtures("cards")
def test_a_torch_for_the_cpu_has_no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(this_machine.metadata, "version", lambda _: "2.13.0+cpu")
    assert memory()["profile"] == "cpu"


def test_a_profile_that_a_worker_would_refuse_is_shown_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_MEMORY", "16gb")
    assert "no accelerator" in memory()["reason"]


@pytest.mark.usefixtures("cards")
def test_a_missing_library_for_int4_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(this_machine, "find_spec", lambda _: None)
    monkeypatch.setenv("STUDIO_DEVICE", "cuda:1")
    seen = memory()
    assert seen["profile"] == "8gb"
    assert "12gb would fit" in seen["reason"]
    monkeypatch.setenv("STUDIO_MEMORY", "12gb")
    assert "refuse" in memory()["reason"]


def test_the_tables_say_profile_licence_and_weights_within_a_hundred_columns(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home / "dev"
    folder.mkdir()
    (folder / "model_index.json").write_text("{}")
    monkeypatch.setenv("STUDIO_WEIGHTS", json.dumps({"FLUX.1-dev": str(folder)}))
    result = CliRunner().invoke(app, ["models"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].startswith("Memory: cpu (")
    assert "FLUX.1 [dev] with a ControlNet takes about 83 GB." in lines
    rows: dict[str, list[str]] = {}
    for cells in map(str.split, lines):
        if len(cells) > 3:
            rows.setdefault(cells[0], cells)
    assert rows["flux-mini"][-2:] == ["yes", "packaged"]
    assert rows["FLUX.1-dev"][-2:] == ["accept", "folder"]
    assert rows["FLUX.1-schnell"][-1] == "missing"
    assert rows["opencv"][-1] == "none"
    assert rows["teed"][2] == "soft_edge"
    assert "FLUX.1 [dev]" in next(line for line in lines if line.split()[:1] == ["FLUX.1-dev"])  # no markup
    assert "…" not in result.stdout  # nothing is cut


def test_the_command_imports_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from studio.cli import app\n"
        "try: app(['models', 'list', '--json'])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert not {'torch', 'diffusers', 'transformers'} & set(sys.modules)"
    )
    environment = os.environ | {"STUDIO_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment)
