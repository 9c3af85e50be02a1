"""The whole studio with flux-mini: the real engine, the real worker process, the real command line."""

import io
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from studio import bootstrap
from studio.cli import app
from studio.settings import Settings
from tests.studio.conftest import Studio, encoded, png

QUICK = {"STUDIO_LEASE_SECONDS": "1", "STUDIO_MAX_ATTEMPTS": "20", "STUDIO_THREADS": "1", "STUDIO_POLL_SECONDS": "0.05"}


def photograph(width: int = 320, height: int = 214) -> np.ndarray:
    """A smooth picture with some texture, standing in for a photograph."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    base = np.stack([90 + rows / 3, 120 + columns / 5, 160 - rows / 4], axis=2)
    return np.clip(base + np.random.default_rng(5).normal(0, 6, base.shape), 0, 255).astype(np.uint8)


def ellipse(width: int = 320, height: int = 214) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    return (((rows - 90) / 50) ** 2 + ((columns - 200) / 60) ** 2 < 1).astype(np.uint8) * 255


def start_worker(home: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | QUICK | {"STUDIO_HOME": str(home)}
    return subprocess.Popen(
        [sys.executable, "-m", "studio", "worker"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def until(condition: Callable[[], bool], worker: subprocess.Popen[bytes]) -> None:
    for _ in range(3000):
        if condition():
            return
        assert worker.poll() is None, "the worker ended by itself"
        time.sleep(0.02)
    raise AssertionError("it never came to that")


def test_a_worker_killed_in_mid_edit_loses_nothing(make_studio: Callable[..., Studio]) -> None:
    studio = make_studio()
    members = {"image": encoded(png(photograph())), "mask": encoded(png(ellipse())), "prompt": "a red circle"}
    asked = [studio.ask("inpaint", **members, seed=each)["id"] for each in range(3)]
    moments = np.random.default_rng(7)
    for _ in range(3):
        worker = start_worker(studio.settings.home_path)
        until(lambda: "editing" in {state.value for state in studio.states()}, worker)
        time.sleep(moments.uniform(0.0, 0.3))
        worker.kill()
        worker.wait()
        with (
            studio.store.database.transaction() as session
        ):  # so that "editing" is the next worker's, not the dead one's
            from sqlalchemy import text

            session.execute(text("UPDATE jobs SET state = 'screening' WHERE state = 'editing'"))
    worker = start_worker(studio.settings.home_path)
    until(lambda: all(state.final for state in studio.states()), worker)
    worker.terminate()
    assert worker.wait(30) == 0
    jobs = studio.store.jobs.list(None).items
    records = studio.store.records.list(None).items
    assert {each.state.value for each in jobs} == {"done"}
    assert Counter(each.job_id for each in records) == Counter(asked)
    assert sum(each.attempts - 1 for each in jobs) >= 2, "the kills hit nothing"
    for record in records:
        (output,) = record.body["outputs"]
        after = np.asarray(Image.open(io.BytesIO(studio.store.blobs.get(output["file_sha256"]))))
        assert np.array_equal(after[ellipse() == 0], photograph()[ellipse() == 0])
        assert record.body["model"]["threads"] == 1
        assert record.body["model"]["weights"]


@pytest.mark.parametrize("operation", ["generate", "img2img", "inpaint", "outpaint", "erase"])
def test_the_command_line_edits_in_this_process(operation: str, tmp_path: Path) -> None:
    home, out = tmp_path / "home", tmp_path / "out.png"
    photo, mask = tmp_path / "photo.png", tmp_path / "mask.png"
    photo.write_bytes(png(photograph()))
    mask.write_bytes(png(ellipse()))
    arguments = {
        "generate": ["a red circle on a sand background", "--width", "100", "--height", "75"],
        "img2img": [str(photo), "a blue star", "--strength", "0.6", "--width", "120", "--height", "80", "--n", "2"],
        "inpaint": [
            str(photo),
            str(mask),
            "a blue star",
            "--intent",
            "add",
            "--join",
            "poisson",
            "--seam-limit",
            "1000",
        ],
        "outpaint": [str(photo), "--left", "30", "--bottom", "21"],
        "erase": [str(photo), str(mask)],
    }[operation]
    size = {"generate": (100, 75), "img2img": (120, 80), "outpaint": (350, 235)}.get(operation, (320, 214))
    environment = os.environ | {"STUDIO_HOME": str(home), "STUDIO_THREADS": "1"}
    command = [
        sys.executable,
        "-m",
        "studio",
        "edit",
        operation,
        *arguments,
        "--steps",
        "3",
        "--seed",
        "5",
        "-o",
        str(out),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    made = [out, out.with_name("out-2.png")] if operation == "img2img" else [out]
    for path in made:
        with Image.open(path) as picture:
            assert picture.size == size
    assert len(list(tmp_path.glob("out*.png"))) == len(made) == done.stdout.count("record rec_")
    assert ("seam score" in done.stdout) == (operation in {"inpaint", "outpaint", "erase"})
    store = bootstrap.open_store(Settings(home=home))
    (record,) = store.records.list(None).items
    assert (record.outcome.value, record.body["seed"]) == ("done", "5")
    assert record.id in done.stdout
    assert record.body["model"]["exact_outside_mask"] is True


def test_a_control_image_is_made_and_used_on_the_command_line(tmp_path: Path) -> None:
    photo, made, out = tmp_path / "photo.png", tmp_path / "map.png", tmp_path / "out.png"
    photo.write_bytes(png(photograph(64, 48)))
    environment = {"STUDIO_HOME": str(tmp_path / "home"), "STUDIO_THREADS": "1"}
    for arguments in (
        ["controls", "canny", str(photo), "--low", "20", "--high", "60", "-o", str(made)],
        ["generate", "a red circle", "--control", f"canny:as_is:0.8={made}", "--negative", "fog", "--aspect", "4:3",
         "--steps", "2", "-o", str(out)],
    ):  # fmt: skip
        done = CliRunner().invoke(app, ["edit", *arguments], env=environment)
        assert done.exit_code == 0, done.output
    with Image.open(made) as picture:
        assert (picture.size, len(np.unique(np.asarray(picture)))) == ((64, 48), 2)
    with Image.open(out) as picture:
        assert picture.size == (144, 112)
    drawn, mapped = bootstrap.open_store(Settings(home=tmp_path / "home")).records.list(None).items
    assert (mapped.body["operation"], drawn.body["model"]["sampling"]["true_cfg"]) == ("control_map", 2.0)
    assert drawn.parents == (mapped.id,)


def test_a_refusal_on_the_command_line_says_why_and_runs_no_model(tmp_path: Path) -> None:
    environment = os.environ | {"STUDIO_HOME": str(tmp_path)}
    prompt = "a deepfake of a politician confessing to a crime"
    command = [sys.executable, "-m", "studio", "edit", "generate", prompt, "-o", str(tmp_path / "out.png")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 3
    assert "disinformation" in done.stderr
    assert not (tmp_path / "out.png").exists()
