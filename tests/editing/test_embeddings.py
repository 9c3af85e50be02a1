"""Learnt words: their files, and what tokenizers and encoders make of them while a block runs."""

import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from editing.catalogue import find
from editing.embeddings import EmbeddingFacts, check_encoders, check_words, facts_of
from editing.errors import OperationError
from editing.guides import Embedding
from editing.tensorfiles import read_header
from tests.editing.lora_files import Arrays, file_of


def judged(tensors: Arrays) -> EmbeddingFacts:
    data = file_of(tensors)
    return facts_of(read_header(io.BytesIO(data), len(data), what="embedding", limit=1 << 20))


def drawn(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_the_encoder_is_said_by_name_or_by_width() -> None:
    assert judged({"clip_l": drawn(2, 768), "t5xxl": drawn(3, 4096)}).vectors == {
        "text_encoder": (2, 768),
        "text_encoder_2": (3, 4096),
    }
    assert judged({"emb_params": drawn(1, 768)}).vectors == {"text_encoder": (1, 768)}
    assert judged({"<cat-toy>": drawn(4096)}).vectors == {"text_encoder_2": (1, 4096)}
    assert judged({"clip_l": drawn(2, 768)}).to_json() == {"vectors": {"text_encoder": [2, 768]}}


@pytest.mark.parametrize(
    ("tensors", "code"),
    [
        ({"clip_g": drawn(1, 1280)}, "embedding_unsupported"),
        ({"clip_g": drawn(1, 1280), "clip_l": drawn(1, 768)}, "embedding_keys_foreign"),
        ({"t5": drawn(1, 32), "t5xxl": drawn(1, 32)}, "embedding_keys_foreign"),
        ({}, "embedding_keys_foreign"),
        ({"clip_l": drawn(65, 768)}, "embedding_shapes_wrong"),
        ({"clip_l": drawn(1, 2, 768)}, "embedding_shapes_wrong"),
        ({"clip_l": np.ones((1, 768), np.int64)}, "embedding_shapes_wrong"),
    ],
)
def test_files_that_cannot_be_used_are_refused(tensors: Arrays, code: str) -> None:
    with pytest.raises(OperationError) as caught:
        judged(tensors)
    assert caught.value.code == code


def test_a_word_must_stand_in_a_prompt_and_fit_the_checkpoint() -> None:
    check_words(["a <cat> on sand", ""], ["cat"])
    check_words(["", "no <cat>"], ["cat"])
    with pytest.raises(OperationError) as caught:
        check_words(["a cat"], ["cat"])
    assert caught.value.code == "embedding_unused"
    facts = judged({"clip_l": drawn(1, 768)}).to_json()
    check_encoders("cat", facts, find("FLUX.1-dev"), field="embeddings[0].name")
    with pytest.raises(OperationError) as caught:
        check_encoders("cat", facts, find("FLUX.2-klein-4B"), field="embeddings[0].name")
    assert caught.value.code == "embedding_unsupported"


FILES = {
    "1" * 64: file_of({"clip_l": drawn(2, 32), "t5xxl": drawn(3, 32, seed=2)}),
    "2" * 64: file_of({"clip_l": drawn(1, 32, seed=3)}),
    "3" * 64: file_of({"clip_l": drawn(1, 48)}),
    "4" * 64: file_of({"clip_l": np.full((1, 32), np.nan, np.float32)}),
}
CAT, DOG = Embedding(token="cat", digest="1" * 64), Embedding(token="dog", digest="2" * 64)


@pytest.fixture(scope="module")
def parts(tiny_weights: dict[str, Path]) -> dict[str, Any]:
    from diffusers import FluxPipeline

    from editing.diffusion.quiet import quiet_libraries

    with quiet_libraries():
        pipeline = FluxPipeline.from_pretrained(tiny_weights["FLUX.1-dev"], local_files_only=True)
    return {name: getattr(pipeline, name) for name in ("tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2")}


def encoded(parts: Any, prompt: str) -> list[Any]:
    from editing.flux.emphasis import encode

    return list(encode(parts, prompt, 32))


def inversion(parts: dict[str, Any], prompt: str) -> list[Any]:
    """What diffusers' way gives: rows added to copies of the encoders. CLIP is told the true end of a prompt."""
    import copy

    import torch
    from safetensors.torch import load

    from editing.diffusion.quiet import quiet_libraries

    ways = (("clip_l", "tokenizer", "text_encoder"), ("t5xxl", "tokenizer_2", "text_encoder_2"))
    with quiet_libraries():
        given = copy.deepcopy(parts)
        for name, tokenizer, encoder in ways:
            vectors = load(FILES["1" * 64])[name]
            first = len(given[tokenizer])
            given[tokenizer].add_tokens(["<cat>", *(f"<cat>_{n}" for n in range(1, len(vectors)))])
            given[encoder].resize_token_embeddings(max(len(given[tokenizer]), given[encoder].config.vocab_size))
            with torch.no_grad():
                given[encoder].get_input_embeddings().weight[first : first + len(vectors)] = vectors
    return encoded(given, prompt)


def test_vectors_stand_where_the_word_stands_as_with_added_rows(parts: dict[str, Any]) -> None:
    import torch

    from editing.flux.embeddings import learnt

    plain = encoded(parts, "a <cat> on sand")
    with learnt(parts, [CAT], FILES.__getitem__) as taught:
        ids = taught["tokenizer"]("<cat> <cat>_1").input_ids
        assert ids[1:-1] == [len(parts["tokenizer"]), len(parts["tokenizer"]) + 1]
        shown = encoded(taught, "a <cat> on sand")
        unsaid = encoded(taught, "a cat on sand")
    assert not any(torch.equal(*pair) for pair in zip(plain, shown, strict=True))
    assert all(torch.equal(*pair) for pair in zip(encoded(parts, "a cat on sand"), unsaid, strict=True))
    theirs = inversion(parts, "a <cat> on sand")
    assert torch.equal(shown[1], theirs[1])  # CLIP; T5's blanks between the vectors are not tokens here
    assert all(torch.equal(*pair) for pair in zip(plain, encoded(parts, "a <cat> on sand"), strict=True))


def test_clip_finds_the_end_of_the_prompt_behind_a_learnt_word(parts: dict[str, Any]) -> None:
    """FLUX.1's CLIP is configured to take the largest id for the end: a row of its own would be taken for it."""
    import torch

    from editing.flux.embeddings import learnt

    encoder, seen = parts["text_encoder"], []
    with learnt(parts, [DOG], FILES.__getitem__) as taught:
        ids = taught["tokenizer"]("<dog> a blue star", return_tensors="pt").input_ids
        hook = encoder.register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
        with torch.no_grad():
            encoder(ids)
        hook.remove()
    assert int(ids.max()) == len(parts["tokenizer"])
    assert int(seen[0].max()) < len(parts["tokenizer"])


def test_tokenizers_and_encoders_are_as_before(parts: dict[str, Any]) -> None:
    from editing.flux.embeddings import learnt

    def state() -> list[Any]:
        sizes = [len(parts[name]) for name in ("tokenizer", "tokenizer_2")]
        hooks = [
            len(m._forward_hooks) + len(m._forward_pre_hooks)
            for name in ("text_encoder", "text_encoder_2")
            for m in parts[name].modules()
        ]
        return [sizes, hooks, [tuple(p.shape) for p in parts["text_encoder"].parameters()]]

    before = state()
    with suppress(RuntimeError), learnt(parts, [CAT, DOG], FILES.__getitem__) as taught:
        assert taught["tokenizer"] is not parts["tokenizer"]
        assert taught["text_encoder"] is parts["text_encoder"]
        assert state() != before
        raise RuntimeError
    assert state() == before
    with learnt(parts, [], FILES.__getitem__) as taught:
        assert taught is parts


@pytest.mark.parametrize(
    ("token", "digest", "code"),
    [("cat", "3" * 64, "embedding_unsupported"), ("cat", "4" * 64, "embedding_not_finite"),
     ("unk", "1" * 64, "embedding_token_taken")],
)  # fmt: skip
def test_words_that_cannot_be_taught_are_refused(parts: dict[str, Any], token: str, digest: str, code: str) -> None:
    from editing.flux.embeddings import learnt

    before = encoded(parts, "a <cat> on sand")
    word = Embedding(token=token, digest=digest)
    with pytest.raises(OperationError) as caught, learnt(parts, [DOG, word], FILES.__getitem__):
        pass
    assert (caught.value.code, caught.value.field) == (code, "embeddings[1]")
    assert all((a == b).all() for a, b in zip(before, encoded(parts, "a <cat> on sand"), strict=True))
