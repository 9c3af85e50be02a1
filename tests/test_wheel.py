"""The wheel holds everything: built, installed elsewhere, it migrates a database and makes an edit."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
MAX_WEIGHTS_BYTES = 40_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_carries_migrations_rules_and_weights(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.startswith("migrations/versions/") for name in names)
    assert any(name.startswith("policy/rules/") and name.endswith(".toml") for name in names)
    weights = [each for each in zipfile.ZipFile(wheel).infolist() if each.filename.endswith(".safetensors")]
    assert len(weights) >= 5
    assert sum(each.file_size for each in weights) <= MAX_WEIGHTS_BYTES
    assert not any(name.startswith("tests/") or "training-state" in name for name in names)


def test_the_installed_wheel_migrates_and_edits(wheel: Path, tmp_path: Path) -> None:
    home, venv = tmp_path / "home", tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", str(wheel)], check=True)
    (site,) = (venv / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")

    environment = os.environ | {"STUDIO_HOME": str(home), "OMP_NUM_THREADS": "1"}

    def run(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    where = run(str(python), "-c", "import studio, editing, migrations; print(studio.__file__, migrations.__file__)")
    assert where.count(str(venv)) == 2, where
    studio = str(venv / "bin" / "studio")
    assert "->" in run(studio, "db", "upgrade")
    out = tmp_path / "out.png"
    said = run(studio, "edit", "generate", "a red circle on a sand background", "--steps", "2", "-o", str(out))
    assert "record rec_" in said
    with Image.open(out) as picture:
        assert picture.size == (128, 128)
