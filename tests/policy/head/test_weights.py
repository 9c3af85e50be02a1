"""The head's files: pinned, small, and refused when anything about them is wrong."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from policy import Decision, Policy, PolicyError, TextSubject, load_rules
from policy.head import LearnedHead, loading
from policy.head.documents import parse_head
from policy.head.features import SLOTS
from policy.head.loading import load_parts
from policy.head.masking import Masks
from policy.head.model import LinearModel
from policy.head.weights import Weights, parse_weights, quantised, text_key, to_bytes

FOLDER = Path(loading.__file__).parent
OUTPUTS = {"version": "1", "reasons": {"privacy": "A sentence."}}
THRESHOLDS = {"privacy": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0]}
TRAINED = {"weights": "0" * 64, "thresholds": {"spaced": THRESHOLDS, "chinese": THRESHOLDS}}


def trained(*thresholds: float) -> dict:
    return TRAINED | {"thresholds": {"spaced": {"privacy": [*thresholds]}, "chinese": THRESHOLDS}}


def small_weights() -> Weights:
    random = np.random.default_rng(1)
    models = [
        LinearModel(weights=random.normal(size=(1, SLOTS)).astype(np.float32), biases=np.zeros(1, dtype=np.float32))
        for _ in range(2)
    ]
    steps, scales, biases = quantised(models)
    seen = np.array([text_key("seen")], dtype=np.uint32)
    return Weights(weights=steps, scales=scales, biases=biases, seen=seen, folds=np.zeros(1, dtype=np.uint8))


def test_the_shipped_files_are_small_and_hold_no_text() -> None:
    assert (FOLDER / "weights.npz").stat().st_size < 600_000
    weights = load_parts().weights
    assert {each.dtype.kind for each in (weights.weights, weights.seen, weights.folds)} <= {"i", "u"}


def test_weights_survive_their_file_bit_by_bit() -> None:
    content = to_bytes(small_weights())
    again = parse_weights(content, digest=hashlib.sha256(content).hexdigest(), categories=1)
    assert to_bytes(again) == content
    assert again.unseeing("Seen ") == 1
    assert again.unseeing("never seen") == 0


def test_a_changed_byte_is_refused_before_anything_is_parsed() -> None:
    content = (FOLDER / "weights.npz").read_bytes()
    document = load_parts().document
    changed = content[:-1] + bytes([content[-1] ^ 1])
    with pytest.raises(PolicyError, match="digest"):
        parse_weights(changed, digest=document.digest, categories=len(document.reasons))


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x05\x06" + b"\0" * 18])
def test_a_file_of_another_kind_is_refused(content: bytes) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        parse_weights(content, digest=hashlib.sha256(content).hexdigest(), categories=1)


def test_weights_for_other_categories_are_refused() -> None:
    content = to_bytes(small_weights())
    with pytest.raises(PolicyError, match="do not fit together"):
        parse_weights(content, digest=hashlib.sha256(content).hexdigest(), categories=2)


def test_a_head_whose_weights_are_missing_has_a_problem_and_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "headless"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in ("outputs.toml", "trained.toml"):
        (package / name).write_bytes((FOLDER / name).read_bytes())
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(loading, "PACKAGE", "headless")
    head = LearnedHead.load()
    assert head.problems() == ("the head's weights.npz cannot be read: FileNotFoundError",)
    with pytest.raises(PolicyError, match=r"weights\.npz"):
        head.scores("a cat")
    policy = Policy(load_rules(), [head])
    assert not policy.ready().ready
    assert policy.screen([TextSubject(name="prompt", text="a cat")]).decision is Decision.BLOCK


def test_documents_that_fit_are_read() -> None:
    assert parse_head(OUTPUTS, TRAINED).thresholds["chinese"]["privacy"][6] == 1.0


@pytest.mark.parametrize(
    ("outputs", "other", "message"),
    [
        ({}, TRAINED, "incomplete"),
        (OUTPUTS, {"weights": "0"}, "incomplete"),
        (OUTPUTS, TRAINED | {"thresholds": {"spaced": {}, "chinese": {}}}, "must be for privacy"),
        (OUTPUTS, trained(0.1, 0.2), "7 rising"),
        (OUTPUTS, trained(0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.1), "7 rising"),
        (OUTPUTS, trained(2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0), "7 rising"),
    ],
)  # fmt: skip
def test_documents_that_do_not_fit_are_refused(outputs: dict, other: dict, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        parse_head(outputs, other)


@pytest.mark.parametrize(
    "document", [{}, {"identity": []}, {"identity": {"kind": "word"}}, {"identity": {"kind": [""]}}]
)
def test_word_lists_that_hold_something_else_are_refused(document: dict) -> None:
    with pytest.raises(PolicyError, match="word list"):
        Masks([document])
