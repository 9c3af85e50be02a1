"""Learnt words in action: known to copies of the tokenizers, and seen by the encoders while a block runs, by hooks.

No row is added to an encoder and no tokenizer is changed: an encoder is given an ordinary id where a learnt word
stands, and what it looks up there is replaced by the word's vector. (With ids beyond its own, FLUX.1's CLIP would take
the learnt word for the end of the prompt: its configuration looks for the largest id.)
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from io import BytesIO
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from torch import nn

from editing.diffusion.quiet import quiet_libraries  # imports the shim before transformers
from editing.embeddings import MAX_BYTES, facts_of
from editing.errors import OperationError
from editing.guides import Embedding
from editing.lora_names import TEXT_ENCODER, TEXT_ENCODER_2
from editing.tensorfiles import read_header

from tokenizers import AddedToken  # isort: skip

_TOKENIZERS = {TEXT_ENCODER: "tokenizer", TEXT_ENCODER_2: "tokenizer_2"}

_Words = Mapping[str, torch.Tensor]
"""Token -> its vectors, (n, width)."""


@contextmanager
def learnt(
    parts: Mapping[str, Any], words: Sequence[Embedding], read: Callable[[str], bytes]
) -> Iterator[Mapping[str, Any]]:
    """Run a block in which prompts may say these words, as `<token>`.

    A word of several vectors is several tokens, `<token> <token>_1 ...`, as diffusers' `maybe_convert_prompt` writes it
    out. An encoder for which the file holds nothing reads the word as plain text.

    Args:
        parts: Components by diffusers' name: `tokenizer`, `tokenizer_2`, `text_encoder`, `text_encoder_2`.
        words: The words.
        read: Digest of an uploaded file -> its bytes.

    Yields:
        The same components, with copies of the tokenizers that know the words; valid while the block runs.

    Raises:
        OperationError: `embedding_unsupported` where no encoder reads vectors of that width, `embedding_not_finite`,
            `embedding_token_taken` where a tokenizer has such a token; and what `editing.embeddings` refuses. The
            components are then as before.
    """
    if not words:
        yield parts
        return
    taught = _taught(parts, words, read)
    given = dict(parts)
    with ExitStack() as hooks:
        for encoder, vectors in taught.items():
            name = _TOKENIZERS[encoder]
            given[name], first = _tokenizer(parts[name], vectors)
            _see(hooks, parts[encoder], first, torch.cat(list(vectors.values())))
        yield given


def _taught(
    parts: Mapping[str, Any], words: Sequence[Embedding], read: Callable[[str], bytes]
) -> dict[str, dict[str, torch.Tensor]]:
    """Every word's vectors by encoder, judged."""
    found: dict[str, dict[str, torch.Tensor]] = {}
    for index, word in enumerate(words):
        data = read(word.digest)
        facts = facts_of(read_header(BytesIO(data), len(data), what="embedding", limit=MAX_BYTES))
        tensors = load_tensors(data)
        for encoder, name in facts.tensors.items():
            vectors = tensors[name].reshape(facts.vectors[encoder])
            _judge(word, index, encoder, parts, vectors)
            found.setdefault(encoder, {})[word.token] = vectors
    return found


def _judge(word: Embedding, index: int, encoder: str, parts: Mapping[str, Any], vectors: torch.Tensor) -> None:
    model = parts.get(encoder)
    width = model.get_input_embeddings().embedding_dim if model is not None else None
    if width != vectors.shape[1]:
        raise _error(
            "unsupported",
            f"<{word.token}> has vectors of width {vectors.shape[1]} for {encoder}, which reads {width or 'none'}",
            index,
            vectors.shape[1],
            width,
        )
    names = _names(word.token, vectors)
    if parts[_TOKENIZERS[encoder]].get_vocab().keys() & names:
        raise _error("token_taken", f"<{word.token}> is a token already; choose another", index, word.token)
    if not bool(torch.isfinite(vectors).all()):
        raise _error("not_finite", f"<{word.token}> holds numbers that are none (NaN or infinite)", index, word.token)


def _tokenizer(tokenizer: Any, vectors: _Words) -> tuple[Any, int]:
    """A copy that knows the words, and the first word's id; the others follow."""
    with quiet_libraries():
        taught = copy.deepcopy(tokenizer)
    first = len(taught)
    for token, each in vectors.items():
        # Diffusers parts a word's tokens by blanks, which would be tokens of T5 themselves.
        names = enumerate(_names(token, each))
        taught.add_tokens([AddedToken(name, normalized=False, lstrip=n > 0) for n, name in names])
    return taught, first


def _names(token: str, vectors: torch.Tensor) -> list[str]:
    return [f"<{token}>", *(f"<{token}>_{n}" for n in range(1, vectors.shape[0]))]


def _see(hooks: ExitStack, encoder: nn.Module, first: int, vectors: torch.Tensor) -> None:
    """Show the encoder the vectors wherever their ids stand."""
    table = encoder.get_input_embeddings()  # type: ignore[operator]  # transformers' own
    ordinary = int(getattr(encoder.config, "eos_token_id", None) == 0)
    where: list[torch.Tensor] = []

    def hide(_encoder: nn.Module, args: tuple[Any, ...], given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        ids = args[0] if args else given["input_ids"]
        learnt_there = (ids >= first) & (ids < first + vectors.shape[0])
        where[:] = [learnt_there, ids[learnt_there] - first]
        plain = ids.masked_fill(learnt_there, ordinary)
        return ((plain, *args[1:]), given) if args else (args, {**given, "input_ids": plain})

    def show(_table: nn.Module, _args: tuple[Any, ...], out: torch.Tensor) -> torch.Tensor:
        learnt_there, which = where
        shown = out.clone()
        shown[learnt_there] = vectors.to(out)[which.to(out.device)]
        return shown

    hooks.callback(encoder.register_forward_pre_hook(hide, with_kwargs=True).remove)
    # T5's layers look words up in a module of their own that shares its weight with the encoder's.
    for module in encoder.modules():
        if isinstance(module, nn.Embedding) and module.weight is table.weight:
            hooks.callback(module.register_forward_hook(show).remove)


def _error(code: str, said: str, index: int, value: object, limit: object = None) -> OperationError:
    return OperationError(said, code=f"embedding_{code}", field=f"embeddings[{index}]", value=value, limit=limit)
