"""POST /v1/tokens: how a prompt is read, through HTTP."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from editing.diffusion.weights import PACKAGED
from tests.studio.conftest import Studio


def ask(studio: Studio, **body: Any) -> dict[str, Any]:
    response = studio.http.post("/v1/tokens", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def refused(studio: Studio, **body: Any) -> dict[str, Any]:
    response = studio.http.post("/v1/tokens", json=body)
    assert response.headers["content-type"] == "application/problem+json"
    return response.json()


def test_a_prompt_is_shown_token_by_token_with_its_weights(studio: Studio) -> None:
    shown = ask(studio, prompt="a (red circle:1.5) on sand")
    assert shown["checkpoint"] == "flux-mini"
    assert shown["negative_prompt"] is None
    assert shown["parameters"] == {}
    prompt = shown["prompt"]
    assert prompt["plain"] == "a red circle on sand"
    assert prompt["parts"] == [
        {"text": "a ", "weight": 1.0}, {"text": "red circle", "weight": 1.5}, {"text": " on sand", "weight": 1.0},
    ]  # fmt: skip
    assert [each["encoder"] for each in prompt["encoders"]] == ["clip", "t5"]
    for each, limit in zip(prompt["encoders"], (77, 16), strict=True):
        assert (each["limit"], each["used"], each["truncated"]) == (limit, len(each["tokens"]), "")
        own = {token["text"]: token["weight"] for token in each["tokens"] if not token["special"]}
        assert own == {"a": 1.0, "red": 1.5, "circle": 1.5, "on": 1.0, "sand": 1.0}


def test_what_is_cut_off_is_shown(studio: Studio) -> None:
    shown = ask(studio, prompt="a red circle on sand " * 8 + "(and a star:2.0)")
    _, t5 = shown["prompt"]["encoders"]
    assert t5["used"] == t5["limit"] == 16 < t5["needed"]
    assert t5["truncated"].endswith("and a star")


def test_flags_are_shown_as_the_parameters_that_they_become(studio: Studio) -> None:
    shown = ask(studio, prompt="a star --ar 2:1 --seed 18446744073709551615 --no (fog:1.5)", prompt_flags=True)
    assert shown["prompt"]["plain"] == "a star"
    assert shown["negative_prompt"]["parts"] == [{"text": "fog", "weight": 1.5}]
    assert shown["parameters"] == {
        "aspect_ratio": "2:1", "width": 176, "height": 96, "seed": "18446744073709551615",
    }  # fmt: skip
    plain = ask(studio, prompt="a star --seed 7", negative_prompt="fog")
    assert plain["prompt"]["plain"] == "a star --seed 7"
    assert plain["negative_prompt"]["plain"] == "fog"


def test_nothing_is_stored_and_any_key_may_ask(studio: Studio) -> None:
    before = studio.counts()
    response = studio.http.post("/v1/tokens", json={"prompt": "a star"}, headers=studio.client("auditor"))
    assert response.status_code == 200
    assert studio.counts() == before
    assert studio.http.post("/v1/tokens", json={"prompt": "x"}, headers={"Authorization": ""}).status_code == 401


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "field_missing", "prompt"),
        ({"prompt": "a", "colour": 1}, "field_unknown", "colour"),
        ({"prompt": "a" * 5000}, "text_too_long", "prompt"),
        ({"prompt": "a\0"}, "text_invalid", "prompt"),
        ({"prompt": "a (b:1.3"}, "prompt_brackets_unbalanced", "prompt"),
        ({"prompt": "a (b:9.5)"}, "prompt_weight_out_of_range", "prompt"),
        ({"prompt": "a", "negative_prompt": "(b:9.5)"}, "prompt_weight_out_of_range", "negative_prompt"),
        ({"prompt": "a --ar 16x9"}, "aspect_ratio_unknown", "prompt"),
        ({"prompt": "a --ar 16:9", "operation": "inpaint"}, "prompt_flag_unsupported", "aspect_ratio"),
        ({"prompt": "a --stylise 3", "prompt_flags": True}, "prompt_flag_unknown", "prompt"),
        ({"prompt": "a --no b", "prompt_flags": True, "negative_prompt": "c"}, "prompt_flag_conflict",
         "negative_prompt"),
        ({"prompt": "a", "operation": "erase"}, "request_invalid", "operation"),
        ({"prompt": "a", "checkpoint": "flux-maxi"}, "checkpoint_unknown", "checkpoint"),
        ({"prompt": "a", "checkpoint": "flux-mini-canny"}, "checkpoint_unsuitable", "checkpoint"),
        ({"prompt": "a (b:1.2)", "checkpoint": "FLUX.2-klein-4B"}, "prompt_weights_unsupported", "prompt"),
        ({"prompt": "a", "negative_prompt": "(b:1.2)", "checkpoint": "FLUX.2-klein-4B"}, "prompt_weights_unsupported",
         "negative_prompt"),
        ({"prompt": "a --no (b:1.2)", "prompt_flags": True, "checkpoint": "FLUX.2-klein-4B"},
         "prompt_weights_unsupported", "negative_prompt"),
    ],
)  # fmt: skip
def test_bad_input_is_a_problem_document(studio: Studio, body: dict[str, Any], code: str, field: str) -> None:
    problem = refused(studio, **body)
    assert (problem["status"], problem["code"], problem["field"]) == (422, code, field)


def test_a_checkpoint_that_is_not_here_is_named_and_no_path_is_told(
    make_studio: Callable[..., Studio], tmp_path: Path
) -> None:
    studio = make_studio(weights={"FLUX.1-dev": tmp_path / "elsewhere"})
    problem = refused(studio, prompt="a star", checkpoint="FLUX.1-dev")
    assert (problem["status"], problem["code"], problem["value"]) == (422, "weights_missing", "FLUX.1-dev")
    assert str(tmp_path) not in json.dumps(problem)


def test_a_restricted_checkpoint_can_be_looked_at_without_its_licence(make_studio: Callable[..., Studio]) -> None:
    studio = make_studio(weights={"FLUX.1-dev": PACKAGED / "flux-mini"})
    _, t5 = ask(studio, prompt="a star " * 30, checkpoint="FLUX.1-dev")["prompt"]["encoders"]
    assert (t5["limit"], t5["truncated"]) == (512, "")


def test_the_endpoint_imports_no_torch() -> None:
    code = "import sys, studio.api.tokens; sys.exit(any(each in sys.modules for each in ('torch', 'transformers')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
