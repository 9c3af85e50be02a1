"""Weighted prompts in FLUX.1's text encoders: diffusers' own classes with tiny random weights."""

from pathlib import Path
from typing import Any

import pytest
import torch

from editing import OperationError
from editing.flux.emphasis import encode
from editing.prompts import parse_prompt, weights_of

from tests.editing.tiny import FluxPipeline, quiet_libraries  # isort: skip - imports the shim first

LENGTH = 24
PROMPTS = ["", "a red circle", "a cat (on a chair), 16:9 :)", "héllo 🎨, <|endoftext|> star", "a red star " * 60]


@pytest.fixture(scope="module")
def pipeline(tiny_weights: dict[str, Path]) -> Any:
    with quiet_libraries():
        return FluxPipeline.from_pretrained(
            tiny_weights["FLUX.1-dev"], transformer=None, vae=None, local_files_only=True
        )


@pytest.fixture(scope="module")
def parts(pipeline: Any) -> dict[str, Any]:
    return pipeline.components


def theirs(pipeline: Any, prompt: str, length: int = LENGTH) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad(), quiet_libraries():
        embeds, pooled, _ = pipeline.encode_prompt(prompt, max_sequence_length=length, device="cpu")
    return embeds, pooled


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_prompt_without_weights_is_encoded_bit_for_bit_as_diffusers_does(pipeline: Any, prompt: str) -> None:
    for ours, reference in zip(encode(pipeline.components, prompt, LENGTH), theirs(pipeline, prompt), strict=True):
        assert torch.equal(ours, reference)


def test_weights_of_1_change_nothing(pipeline: Any) -> None:
    for ours, reference in zip(
        encode(pipeline.components, "a (red:1) (circle (on:1.0):1.0) sand", LENGTH),
        theirs(pipeline, "a red circle on sand"),
        strict=True,
    ):
        assert torch.equal(ours, reference)


def test_only_tokens_of_a_weighted_part_move_and_by_its_weight(pipeline: Any) -> None:
    text = "a (red circle:1.5) on (sand:0.25)"
    embeds, _ = encode(pipeline.components, text, LENGTH)
    reference, _ = theirs(pipeline, "a red circle on sand")
    empty, _ = theirs(pipeline, "")
    spans = pipeline.tokenizer_2("a red circle on sand", return_offsets_mapping=True).offset_mapping
    weights = weights_of(parse_prompt(text), spans)
    weights += [1.0] * (LENGTH - len(weights))
    assert {0.25, 1.0, 1.5} == set(weights)
    for place, weight in enumerate(weights):
        if weight == 1.0:
            assert torch.equal(embeds[0, place], reference[0, place])
        else:
            ratio = (embeds - empty)[0, place] / (reference - empty)[0, place]
            assert torch.allclose(ratio, torch.tensor(weight), atol=1e-3)


def test_weight_0_leaves_the_empty_prompts_tokens_and_pooled_vector(pipeline: Any) -> None:
    embeds, pooled = encode(pipeline.components, "(a red circle:0)", LENGTH)
    empty, empty_pooled = theirs(pipeline, "")
    words = len(pipeline.tokenizer_2("a red circle").input_ids) - 1  # the end token is nobody's part
    assert torch.allclose(embeds[0, :words], empty[0, :words], atol=1e-6)
    assert torch.allclose(pooled, empty_pooled, atol=1e-6)


def test_each_part_is_taken_w_times_in_the_pooled_vector(pipeline: Any) -> None:
    _, pooled = encode(pipeline.components, "a (red:1.5) circle (on sand:0.5)", LENGTH)
    _, whole = theirs(pipeline, "a red circle on sand")
    _, without_red = theirs(pipeline, "a  circle on sand")
    _, without_sand = theirs(pipeline, "a red circle")
    assert not torch.allclose(whole, pooled, atol=1e-3)
    assert torch.allclose(pooled, whole + 0.5 * (whole - without_red) - 0.5 * (whole - without_sand), atol=1e-5)


def test_a_part_beyond_the_limit_has_no_effect(pipeline: Any) -> None:
    start = "a red circle on sand " * 30
    reference = theirs(pipeline, f"{start}and a blue star")
    for ours, expected in zip(
        encode(pipeline.components, f"{start}and (a blue star:2.0)", LENGTH), reference, strict=True
    ):
        assert torch.equal(ours, expected)


def test_a_heavier_part_moves_its_tokens_further(pipeline: Any) -> None:
    reference, _ = theirs(pipeline, "a red circle")
    distances = [
        float((encode(pipeline.components, f"a (red:{weight}) circle", LENGTH)[0] - reference).norm())
        for weight in (1.0, 1.2, 1.6, 2.4)
    ]
    assert distances == sorted(distances)
    assert distances[0] == 0.0 < distances[1]


def test_bfloat16_stays_bfloat16(tiny_weights: dict[str, Path]) -> None:
    with quiet_libraries():
        pipeline = FluxPipeline.from_pretrained(
            tiny_weights["FLUX.1-dev"], transformer=None, vae=None, dtype=torch.bfloat16, local_files_only=True
        )
    for prompt, plain in (("a red circle", True), ("a (red:1.4) circle", False)):
        for ours, reference in zip(
            encode(pipeline.components, prompt, LENGTH), theirs(pipeline, "a red circle"), strict=True
        ):
            assert ours.dtype is torch.bfloat16
            assert torch.equal(ours, reference) is plain


def test_a_malformed_prompt_is_refused_before_anything_is_encoded() -> None:
    with pytest.raises(OperationError) as raised:
        encode({}, "a (red:1.4 circle", LENGTH)
    assert raised.value.code == "prompt_brackets_unbalanced"


def test_a_learnt_word_of_two_tokens_keeps_its_parts_weight(tiny_weights: dict[str, Path]) -> None:
    with quiet_libraries():
        pipeline = FluxPipeline.from_pretrained(
            tiny_weights["FLUX.1-dev"], transformer=None, vae=None, local_files_only=True
        )
        pipeline.tokenizer_2.add_tokens(["<ring>", "<ring>_1"])
        pipeline.text_encoder_2.resize_token_embeddings(len(pipeline.tokenizer_2))
    reference, _ = theirs(pipeline, "a <ring> on sand")
    assert torch.equal(encode(pipeline.components, "a <ring> on sand", LENGTH)[0], reference)
    moved = (encode(pipeline.components, "a (<ring>:2.0) on sand", LENGTH)[0] - reference).abs().sum(-1)[0]
    ids = pipeline.tokenizer_2("a <ring> <ring>_1 on sand").input_ids
    learnt = [place for place, each in enumerate(ids) if each >= len(pipeline.tokenizer_2) - 2]
    assert len(learnt) == 2
    assert set(moved.nonzero().flatten().tolist()) == {*range(learnt[0], learnt[-1] + 1)}
