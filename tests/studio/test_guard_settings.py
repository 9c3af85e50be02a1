"""Where a guard model is required: wherever others than this machine's people can ask."""

from pathlib import Path

import pytest

from studio.settings import load_settings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_a_service_for_this_machine_needs_no_guard(host: str) -> None:
    assert not load_settings(host=host).guard_is_required


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "studio.example.org", "localhost.example.org", ""])
def test_a_service_for_others_needs_one(host: str) -> None:
    assert load_settings(host=host).guard_is_required


def test_what_the_operator_says_about_it_counts() -> None:
    assert load_settings(host="127.0.0.1", guard_required=True).guard_is_required
    assert not load_settings(host="0.0.0.0", guard_required=False).guard_is_required


def test_a_guard_model_is_named_and_none_is_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().guard_model is None
    monkeypatch.setenv("STUDIO_GUARD_MODEL", "Qwen/Qwen3Guard-Gen-0.6B")
    assert load_settings().guard_model == "Qwen/Qwen3Guard-Gen-0.6B"
