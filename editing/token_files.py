"""Tokenizers from the files of a checkpoint's folder; no torch, no transformers.

transformers 5 takes vocabulary and merges out of `tokenizer.json` and builds the rest, how a text is normalised and
split, by rules of its own for each kind. So the rest of the file is left aside here too, or the numbers would differ.
"""

import base64
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE

from editing.errors import EngineError

CLIP_LIMIT: Final = 77
_START, _END = "<|startoftext|>", "<|endoftext|>"
_CLIP_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""How CLIP splits a text into words (openai/CLIP, `simple_tokenizer.py`)."""
_QWEN_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen's models split one (QwenLM/Qwen3, `tokenizer.json`)."""


def as_it_is(prompt: str) -> str:
    """The text that an encoder without a chat is given."""
    return prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFiles:
    """A tokenizer, as its folder describes it.

    Attributes:
        tokenizer: Neither cuts nor pads.
        limit: Most tokens that the folder allows; None where it is the checkpoint's affair.
        chat: What is made of a prompt before it is cut into tokens.
    """

    tokenizer: Tokenizer
    limit: int | None = None
    chat: Callable[[str], str] = as_it_is


def _guarded(read: Callable[[Path], TokenFiles]) -> Callable[[Path], TokenFiles]:
    """Turn whatever the reading of a folder raises into an error of ours."""

    @functools.wraps(read)
    def guarded(folder: Path) -> TokenFiles:
        try:
            return read(folder)
        except EngineError:
            raise
        except Exception as error:  # the wheel raises plain Exception for whatever it cannot read
            raise _unreadable(folder, str(error)) from error

    return guarded


@_guarded
def read_clip(folder: Path) -> TokenFiles:
    """Read CLIP's tokenizer, from `tokenizer.json`, or from `vocab.json` and `merges.txt` as FLUX.1 was published.

    Args:
        folder: A checkpoint's `tokenizer`.

    Returns:
        The tokenizer; its limit is 77 unless the folder says less.

    Raises:
        EngineError: `weights_missing` or `tokenizer_unreadable`.
    """
    tokenizer = _of_json(folder) or _of_vocabulary(folder)
    if tokenizer is None:
        raise _missing(folder, "tokenizer.json, nor vocab.json and merges.txt")
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_CLIP_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    start, end = (_number(tokenizer, name) for name in (_START, _END))
    tokenizer.post_processor = processors.RobertaProcessing(
        (_END, end), (_START, start), trim_offsets=False, add_prefix_space=False
    )
    said = _settings(folder).get("model_max_length")
    return TokenFiles(tokenizer=tokenizer, limit=min(said, CLIP_LIMIT) if isinstance(said, int) else CLIP_LIMIT)


@_guarded
def read_t5(folder: Path) -> TokenFiles:
    """Read T5's tokenizer from `tokenizer.json`.

    Args:
        folder: A checkpoint's `tokenizer_2`.

    Returns:
        The tokenizer.

    Raises:
        EngineError: `weights_missing`; `tokenizer_unreadable`, also where there is only `spiece.model`.
    """
    tokenizer = _of_json(folder)
    if tokenizer is None and (folder / "spiece.model").is_file():
        raise EngineError(
            f"{folder.name} has only spiece.model; put the tokenizer.json of the published checkpoint beside it",
            code="tokenizer_unreadable",
            field="checkpoint",
            value="spiece.model",
            limit="tokenizer.json",
        )
    if tokenizer is None:
        raise _missing(folder, "tokenizer.json")
    charsmap = _charsmap(json.loads((folder / "tokenizer.json").read_text("utf-8")).get("normalizer"))
    tokenizer.normalizer = normalizers.Precompiled(charsmap) if charsmap else normalizers.Sequence([])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always", split=True),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", _number(tokenizer, "</s>"))]
    )
    return TokenFiles(tokenizer=tokenizer)


@_guarded
def read_chat(folder: Path) -> TokenFiles:
    """Read the tokenizer of FLUX.2's language model, Qwen3, and the chat template that it wraps a prompt in.

    Args:
        folder: A checkpoint's `tokenizer`.

    Returns:
        The tokenizer; its `chat` is one question with the answer about to begin, nothing thought aloud.

    Raises:
        EngineError: `weights_missing` or `tokenizer_unreadable`.
    """
    tokenizer = _of_json(folder)
    if tokenizer is None:
        raise _missing(folder, "tokenizer.json")
    file = folder / "chat_template.jinja"
    source = file.read_text("utf-8") if file.is_file() else _settings(folder).get("chat_template")
    if not isinstance(source, str):
        raise _missing(folder, "chat template")
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return TokenFiles(tokenizer=tokenizer, chat=_chat(folder, source))


def _chat(folder: Path, source: str) -> Callable[[str], str]:
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # The environment in which transformers renders such templates: a file of weights must not run code.
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    template = environment.from_string(source)

    def render(prompt: str) -> str:
        try:
            return template.render(
                messages=[{"role": "user", "content": prompt}], add_generation_prompt=True, enable_thinking=False
            )
        except TemplateError as error:
            raise _unreadable(folder, str(error)) from error

    return render


def _of_json(folder: Path) -> Tokenizer | None:
    file = folder / "tokenizer.json"
    if not file.is_file():
        return None
    tokenizer = Tokenizer.from_str(file.read_text("utf-8"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _of_vocabulary(folder: Path) -> Tokenizer | None:
    vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
    if not (vocabulary.is_file() and merges.is_file()):
        return None
    lines = merges.read_text("utf-8").splitlines()
    pairs = [(first, second) for first, _, second in (line.partition(" ") for line in lines) if second]
    if pairs and pairs[0][0] == "#version:":
        pairs = pairs[1:]
    tokenizer = Tokenizer(
        BPE(
            vocab=json.loads(vocabulary.read_text("utf-8")),
            merges=pairs,
            continuing_subword_prefix="",
            end_of_word_suffix="</w>",
            unk_token=_END,
        )
    )
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in (_START, _END)])
    return tokenizer


def _settings(folder: Path) -> Mapping[str, Any]:
    file = folder / "tokenizer_config.json"
    found = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return found if isinstance(found, dict) else {}


def _charsmap(normalizer: Mapping[str, Any] | None) -> bytes | None:
    """SentencePiece's table of characters, the one step of the file's normalizer that transformers keeps."""

    def steps(each: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
        if each:
            yield each
            for inner in each.get("normalizers", ()):
                yield from steps(inner)

    found = (each["precompiled_charsmap"] for each in steps(normalizer) if each.get("type") == "Precompiled")
    text = next(found, None)
    return None if text is None else base64.b64decode(text)


def _number(tokenizer: Tokenizer, name: str) -> int:
    number = tokenizer.token_to_id(name)
    if number is None:
        raise ValueError(f"its vocabulary has no {name}")
    return number


def _missing(folder: Path, what: str) -> EngineError:
    return EngineError(
        f"there is no {what} in {folder.name}",
        code="weights_missing",
        field="checkpoint",
        value=folder.name,
        limit=what,
    )


def _unreadable(folder: Path, reason: str) -> EngineError:
    return EngineError(
        f"{folder.name} cannot be read: {reason[:200]}",
        code="tokenizer_unreadable",
        field="checkpoint",
        value=folder.name,
    )
