"""Settings: arguments before environment before file, and every mistake named."""

from pathlib import Path

import pytest

from studio.settings import SettingsError, load_settings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path))


def test_the_file_in_the_home_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "studio.toml").write_text('port = 9000\nmax_attempts = 7\n[weights]\n"FLUX.1-dev" = "/models/dev"\n')
    settings = load_settings()
    assert (settings.port, settings.max_attempts) == (9000, 7)
    assert settings.weights == {"FLUX.1-dev": Path("/models/dev")}
    monkeypatch.setenv("STUDIO_PORT", "9001")
    assert load_settings().port == 9001
    assert load_settings(port=9002).port == 9002


def test_another_file_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other.toml"
    other.write_text("max_queued = 5\n")
    monkeypatch.setenv("STUDIO_CONFIG", str(other))
    assert load_settings().max_queued == 5


def test_lists_and_objects_come_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_CHECKPOINTS", '["FLUX.1-Fill-dev"]')
    monkeypatch.setenv("STUDIO_WEIGHTS", '{"FLUX.1-Fill-dev": "/models/fill"}')
    settings = load_settings()
    assert settings.checkpoints == ("FLUX.1-Fill-dev",)
    assert settings.weights["FLUX.1-Fill-dev"] == Path("/models/fill")


@pytest.mark.parametrize(
    ("text", "said"),
    [("prot = 9000", "PROT"), ('port = "many"', "PORT"), ("port = 99999", "PORT"), ("port = ", "STUDIO")],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "studio.toml").write_text(text + "\n")
    with pytest.raises(SettingsError, match=said):
        load_settings()


def test_a_body_must_hold_a_picture() -> None:
    with pytest.raises(SettingsError, match="max_body_bytes"):
        load_settings(max_body_bytes=10, max_upload_bytes=20)
