"""Short texts of the command line become members of a request, or are refused with what would be read."""

from pathlib import Path
from typing import Any

import pytest
import typer

from studio.cli.guide_options import control, embedding, guides, lora, reference
from tests.studio.conftest import encoded

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "a=b:c.png").write_bytes(b"picture")
    monkeypatch.chdir(tmp_path)
    return "a=b:c.png"


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("canny", {"kind": "canny"}),
        ("canny:0.5", {"kind": "canny", "scale": 0.5}),
        ("soft_edge:teed:0.6", {"kind": "soft_edge", "detector": "teed", "scale": 0.6}),
        ("soft_edge:0.6:teed", {"kind": "soft_edge", "detector": "teed", "scale": 0.6}),
        ("depth:as_is", {"kind": "depth", "mode": "as_is"}),
    ],
)
def test_a_control_is_its_kind_words_in_any_order_and_a_file(photo: str, text: str, members: dict[str, Any]) -> None:
    assert control(text) == members
    assert control(f"{text}={photo}") == members | {"image": encoded(b"picture")}


@pytest.mark.parametrize(
    "text", ["smell", "canny:loud", "canny=nowhere.png", "canny=", "canny:1:0.5", "depth:midas:midas", "", "=a=b:c.png"]
)
def test_a_control_that_cannot_be_read_is_refused(photo: str, text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"--control: "):
        control(text)


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("neon", {"name": "neon"}),
        ("neon:0.8", {"name": "neon", "weight": 0.8}),
        ("neon:-1", {"name": "neon", "weight": -1.0}),
        ("city:night", {"name": "city:night"}),
        (DIGEST, {"name": DIGEST}),
        (f"{DIGEST}:0.5", {"name": DIGEST, "weight": 0.5}),
    ],
)
def test_a_lora_is_its_name_and_a_weight(text: str, members: dict[str, Any]) -> None:
    assert lora(text) == members


def test_a_reference_is_its_kind_a_weight_and_a_file(photo: str) -> None:
    shown = {"kind": "redux", "image": encoded(b"picture")}
    assert reference(f"redux={photo}") == shown
    assert reference(f"redux:0.4={photo}") == shown | {"weight": 0.4}
    for wrong in (f"magic={photo}", "redux", f"redux:much={photo}"):
        with pytest.raises(typer.BadParameter, match=r"--reference: "):
            reference(wrong)


def test_a_learnt_word_is_its_name_and_a_token() -> None:
    assert embedding("cat") == {"name": "cat"}
    assert embedding("cat:my-cat") == {"name": "cat", "token": "my-cat"}
    assert embedding(DIGEST) == {"name": DIGEST}


def test_what_is_not_given_is_left_out() -> None:
    assert guides(None, ["neon"], [], None) == {"loras": [{"name": "neon"}]}
