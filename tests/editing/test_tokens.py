"""Tokens as the models are given them: held against the tokenizers of transformers."""

import io
import json
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from editing.catalogue import find
from editing.diffusion.weights import PACKAGED
from editing.errors import EditingError
from editing.prompts import parse_prompt
from editing.tokens import Reading, Tokenizers

PROMPTS = [
    "",
    " ",
    "a red circle on sand",
    "A  Red\tCIRCLE,\n\n on   sand ",
    "héllo Ünïcödé ﬁne №5 cafe\u0301",
    "猫在椅子上 🎨👩‍👩‍👧 star",
    "</s> a <|endoftext|> b <pad> <unk> <|startoftext|>",
    "it's they're 3d 16:9 (see: note) :)",
    "\u200b\u00a0\u3000wide spaces\u2028here",
    "a red circle on the sand, " * 200,
    "🎨" * 300,
]
assert max(map(len, PROMPTS)) > 5000


def reading_of(readings: tuple[Reading, ...], encoder: str) -> Reading:
    return next(each for each in readings if each.encoder == encoder)


def ids(reading: Reading) -> list[int]:
    return [token.id for token in reading.tokens]


@pytest.fixture(scope="module")
def theirs() -> Any:
    """Folder -> the tokenizer that transformers makes of it."""
    from editing.diffusion.quiet import quiet_libraries

    from transformers import CLIPTokenizer, Qwen2TokenizerFast, T5TokenizerFast  # isort: skip

    def load(kind: str, folder: Path) -> Any:
        classes = {"clip": CLIPTokenizer, "t5": T5TokenizerFast, "qwen3": Qwen2TokenizerFast}
        with quiet_libraries():
            return classes[kind].from_pretrained(folder, local_files_only=True)

    return load


def reference(tokenizer: Any, text: str, limit: int) -> list[int]:
    return list(tokenizer(text, truncation=True, max_length=limit).input_ids)


def test_no_torch_is_imported() -> None:
    code = "import sys, editing.tokens; sys.exit(any(name in sys.modules for name in ('torch', 'transformers')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["flux-mini", "flux-mini-fill"])
def test_the_packaged_tokenizers_give_the_numbers_of_transformers(theirs: Any, name: str) -> None:
    checkpoint, folder = find(name), PACKAGED / name
    clip, t5 = theirs("clip", folder / "tokenizer"), theirs("t5", folder / "tokenizer_2")
    tokenizers = Tokenizers()
    for prompt in PROMPTS:
        readings = tokenizers.read(checkpoint, folder, parse_prompt(prompt))
        assert ids(reading_of(readings, "clip")) == reference(clip, prompt, 77)
        assert ids(reading_of(readings, "t5")) == reference(t5, prompt, checkpoint.max_sequence_length)


def test_tiny_checkpoints_give_the_numbers_of_transformers(theirs: Any, tiny_weights: dict[str, Path]) -> None:
    checkpoint, folder = find("FLUX.1-dev"), tiny_weights["FLUX.1-dev"]
    clip, t5 = theirs("clip", folder / "tokenizer"), theirs("t5", folder / "tokenizer_2")
    for prompt in PROMPTS:
        readings = Tokenizers().read(checkpoint, folder, parse_prompt(prompt))
        assert ids(reading_of(readings, "clip")) == reference(clip, prompt, 77)
        assert ids(reading_of(readings, "t5")) == reference(t5, prompt, 512)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, tiny_weights: dict[str, Path]) -> Path:
    """As FLUX.1 is published: CLIP as vocabulary and merges, T5 with SentencePiece's table and further steps."""
    from editing.diffusion.quiet import quiet_libraries

    import sentencepiece  # isort: skip
    from transformers import T5TokenizerFast  # isort: skip

    folder = tmp_path_factory.mktemp("published")
    whole = json.loads((tiny_weights["FLUX.1-dev"] / "tokenizer" / "tokenizer.json").read_text())
    clip, t5 = folder / "tokenizer", folder / "tokenizer_2"
    clip.mkdir()
    (clip / "vocab.json").write_text(json.dumps(whole["model"]["vocab"]))
    merges = [each if isinstance(each, str) else " ".join(each) for each in whole["model"]["merges"]]
    (clip / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), "utf-8")
    (clip / "tokenizer_config.json").write_text('{"model_max_length": 77, "tokenizer_class": "CLIPTokenizer"}')
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a red circle on sand", "hello fine cafe no5 star", "it's they're wide"] * 9),
        model_writer=model, vocab_size=60, hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2,
        bos_id=-1, minloglevel=2,
    )  # fmt: skip
    t5.mkdir()
    (t5 / "spiece.model").write_bytes(model.getvalue())
    with quiet_libraries():
        T5TokenizerFast.from_pretrained(t5, extra_ids=0, local_files_only=True).save_pretrained(t5)
    file = t5 / "tokenizer.json"
    content = json.loads(file.read_text("utf-8"))
    assert content["normalizer"]["type"] == "Precompiled"
    steps = [content["normalizer"], {"type": "Strip", "strip_left": False, "strip_right": True},
             {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}]  # fmt: skip
    content["normalizer"] = {"type": "Sequence", "normalizers": steps}
    content["pre_tokenizer"] = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
    file.write_text(json.dumps(content), "utf-8")
    return folder


def test_the_published_layout_gives_the_numbers_of_transformers(theirs: Any, published: Path) -> None:
    clip, t5 = theirs("clip", published / "tokenizer"), theirs("t5", published / "tokenizer_2")
    tokenizers = Tokenizers()
    for prompt in PROMPTS:
        readings = tokenizers.read(find("FLUX.1-schnell"), published, parse_prompt(prompt))
        assert ids(reading_of(readings, "clip")) == reference(clip, prompt, 77)
        assert ids(reading_of(readings, "t5")) == reference(t5, prompt, 256)


def test_a_language_model_is_shown_the_prompt_in_its_chat(theirs: Any, tmp_path: Path) -> None:
    from tests.editing.tiny_flux2 import tokenizer

    made = tokenizer()
    thought = "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"  # as Qwen3's own template
    made.chat_template = made.chat_template.replace("assistant\n{% endif %}", f"assistant\n{thought}{{% endif %}}")
    assert thought in made.chat_template
    made.save_pretrained(tmp_path / "tokenizer")
    checkpoint, qwen = find("FLUX.2-klein-4B"), theirs("qwen3", tmp_path / "tokenizer")
    for prompt in [*PROMPTS, "user", "assistant"]:
        (reading,) = Tokenizers().read(checkpoint, tmp_path, parse_prompt(prompt))
        chat = qwen.apply_chat_template(
            [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        assert ids(reading) == reference(qwen, chat, checkpoint.max_sequence_length)
        read = {place for token in reading.tokens if not token.special for place in range(token.start, token.end)}
        shown = range(len(prompt) - len(reading.truncated))
        # a mark composed with its letter has no place of its own; a character read by half counts as cut off
        assert {place for place in shown if not unicodedata.combining(prompt[place])} <= read <= {*shown, len(shown)}
        assert "assistant" not in [token.text for token in reading.tokens if token.special][:3]


def test_tokens_name_their_text_their_place_and_their_weight() -> None:
    prompt = parse_prompt("a (red circle:1.5) on sand")
    for reading in Tokenizers().read(find("flux-mini"), PACKAGED / "flux-mini", prompt):
        own = [token for token in reading.tokens if not token.special]
        assert all(token.text == prompt.plain[token.start : token.end] for token in own)
        assert {token.text: token.weight for token in own} == {
            "a": 1.0, "red": 1.5, "circle": 1.5, "on": 1.0, "sand": 1.0,
        }  # fmt: skip
        assert {token.weight for token in reading.tokens if token.special} == {1.0}
        assert (reading.needed, reading.truncated) == (len(reading.tokens), "")


def test_what_is_cut_off_is_shown_and_is_exactly_what_has_no_effect() -> None:
    prompt = parse_prompt("a red circle on sand, " * 3 + "and (a blue star:1.5)")
    _, t5 = Tokenizers().read(find("flux-mini"), PACKAGED / "flux-mini", prompt)
    assert (t5.limit, len(t5.tokens)) == (16, 16)
    assert t5.needed > 16
    assert t5.truncated.endswith("and a blue star")
    read = max(token.end for token in t5.tokens)
    assert prompt.plain[read:].strip() == t5.truncated.strip()


def test_a_tokenizer_is_read_once_until_its_files_change(tmp_path: Path) -> None:
    for part in ("tokenizer", "tokenizer_2"):
        shutil.copytree(PACKAGED / "flux-mini" / part, tmp_path / part)
    tokenizers, checkpoint = Tokenizers(), find("flux-mini")
    before = tokenizers.read(checkpoint, tmp_path, parse_prompt("red"))
    kept = dict(tokenizers._kept)
    assert tokenizers.read(checkpoint, tmp_path, parse_prompt("red")) == before
    assert tokenizers._kept == kept
    file = tmp_path / "tokenizer" / "tokenizer.json"
    content = json.loads(file.read_text())
    vocab = content["model"]["vocab"]
    vocab["red</w>"], vocab["circle</w>"] = vocab["circle</w>"], vocab["red</w>"]
    file.write_text(json.dumps(content))
    assert ids(tokenizers.read(checkpoint, tmp_path, parse_prompt("red"))[0]) != ids(before[0])


def _only_spiece(folder: Path) -> None:
    (folder / "tokenizer_2" / "tokenizer.json").rename(folder / "tokenizer_2" / "spiece.model")


def _no_clip(folder: Path) -> None:
    (folder / "tokenizer" / "tokenizer.json").unlink()


def _no_folder(folder: Path) -> None:
    shutil.rmtree(folder / "tokenizer_2")


def _broken_json(folder: Path) -> None:
    (folder / "tokenizer" / "tokenizer.json").write_text('{"model": ')


def _foreign(folder: Path) -> None:
    (folder / "tokenizer" / "tokenizer.json").write_text((folder / "tokenizer_2" / "tokenizer.json").read_text())


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (_only_spiece, "tokenizer_unreadable"),
        (_no_clip, "weights_missing"),
        (_no_folder, "weights_missing"),
        (_broken_json, "tokenizer_unreadable"),
        (_foreign, "tokenizer_unreadable"),
    ],
    ids=["only_spiece", "no_clip", "no_folder", "broken_json", "foreign"],
)
def test_files_that_cannot_be_read_are_named(tmp_path: Path, harm: Any, code: str) -> None:
    for part in ("tokenizer", "tokenizer_2"):
        shutil.copytree(PACKAGED / "flux-mini" / part, tmp_path / part)
    harm(tmp_path)
    with pytest.raises(EditingError) as raised:
        Tokenizers().read(find("flux-mini"), tmp_path, parse_prompt("a star"))
    assert raised.value.code == code


def test_what_reads_no_prompts_is_refused() -> None:
    with pytest.raises(EditingError) as raised:
        Tokenizers().read(find("flux-mini-canny"), PACKAGED / "flux-mini-canny", parse_prompt("a star"))
    assert raised.value.code == "checkpoint_unsuitable"
