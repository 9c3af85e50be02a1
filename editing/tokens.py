"""Tokens: how a checkpoint reads a prompt, piece by piece, up to where it stops reading. No torch, no transformers.

The numbers are those that the model is given: the tokenizers are built of the checkpoint's own files as transformers
builds them (`editing.token_files`).

    FLUX.1   clip: 77 tokens, of `tokenizer/`         t5: the checkpoint's limit, of `tokenizer_2/`
    FLUX.2   qwen3: the checkpoint's limit, of `tokenizer/`, the prompt inside the chat that its template makes of it

Learnt words are read as ordinary text: their files are not at hand here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from editing.checkpoints import Architecture, Checkpoint
from editing.errors import EngineError, OperationError
from editing.prompts import Prompt, weights_of
from editing.token_files import TokenFiles, read_chat, read_clip, read_t5

_ENCODERS: Final[dict[Architecture, tuple[tuple[str, str, Callable[[Path], TokenFiles]], ...]]] = {
    Architecture.FLUX1: (("clip", "tokenizer", read_clip), ("t5", "tokenizer_2", read_t5)),
    Architecture.FLUX2: (("qwen3", "tokenizer", read_chat),),
}
_MARK: Final = "\ue000"
"""Stands for the prompt where its place in a chat is looked for: a private character, which no template holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token that the model reads.

    Attributes:
        text: What it stands for in the plain prompt; the token's own name for one that is not of the prompt.
        id: Its number in the vocabulary.
        start: Where it begins in the plain prompt, in characters.
        end: Where it ends. A character that takes several tokens is in each of them.
        weight: How much it counts, 0..3.
        special: Whether it is not of the prompt: a start, an end, the chat round it.
    """

    text: str
    id: int
    start: int
    end: int
    weight: float
    special: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How one text encoder reads a prompt.

    Attributes:
        encoder: `clip`, `t5` or `qwen3`.
        tokens: What it reads, in order, padding left out.
        needed: Tokens that the whole prompt would take.
        limit: Most tokens that it reads.
        truncated: The end of the plain prompt that it does not read; empty if it reads all.
    """

    encoder: str
    tokens: tuple[Token, ...]
    needed: int
    limit: int
    truncated: str


class Tokenizers:
    """Reads prompts; keeps the tokenizer of each folder until its files change."""

    def __init__(self) -> None:
        self._kept: dict[Path, tuple[object, TokenFiles]] = {}
        self._lock = Lock()

    def read(self, checkpoint: Checkpoint, folder: Path, prompt: Prompt) -> tuple[Reading, ...]:
        """Show how each text encoder of a checkpoint reads a prompt.

        Args:
            checkpoint: What paints.
            folder: Where it lies, in diffusers' layout.
            prompt: The prompt.

        Returns:
            One reading per encoder.

        Raises:
            OperationError: `checkpoint_unsuitable` for one that reads no prompts.
            EngineError: `weights_missing` or `tokenizer_unreadable`.
        """
        if not checkpoint.paints:
            raise OperationError(
                f"{checkpoint.name} reads no prompts; what it acts beside does",
                code="checkpoint_unsuitable",
                field="checkpoint",
                value=checkpoint.name,
                limit=sorted(checkpoint.works_with),
            )
        readings = []
        for encoder, part, opened in _ENCODERS[checkpoint.architecture]:
            files = self._of(folder / part, opened)
            readings.append(_reading(encoder, files, prompt, files.limit or checkpoint.max_sequence_length))
        return tuple(readings)

    def _of(self, folder: Path, opened: Callable[[Path], TokenFiles]) -> TokenFiles:
        state = _state(folder)
        with self._lock:  # a large vocabulary takes half a second: once, however many ask
            kept = self._kept.get(folder)
            if kept is None or kept[0] != state:
                kept = self._kept[folder] = (state, opened(folder))
            return kept[1]


def _state(folder: Path) -> object:
    files = folder.iterdir() if folder.is_dir() else ()
    return sorted((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files)


def _reading(encoder: str, files: TokenFiles, prompt: Prompt, limit: int) -> Reading:
    asked, before = _asked(files, prompt.plain)
    whole = files.tokenizer.encode(asked)
    kept, lost = _cut(whole.special_tokens_mask, limit)
    own = [_inside(span, before, len(prompt.plain)) for span in whole.offsets]
    weights = weights_of(prompt, [span or (0, 0) for span in own])
    tokens = []
    for index in kept:
        start, end = own[index] or (0, 0)
        special = own[index] is None
        tokens.append(
            Token(
                text=whole.tokens[index] if special else prompt.plain[start:end],
                id=whole.ids[index],
                start=start,
                end=end,
                weight=weights[index],
                special=special,
            )
        )
    unread = next((span[0] for span in (own[index] for index in lost) if span is not None), len(prompt.plain))
    return Reading(
        encoder=encoder, tokens=tuple(tokens), needed=len(whole.ids), limit=limit, truncated=prompt.plain[unread:]
    )


def _asked(files: TokenFiles, plain: str) -> tuple[str, int]:
    """What the encoder is asked, and where in it the prompt stands."""
    before = files.chat(_MARK).find(_MARK)
    asked = files.chat(plain)
    if before < 0 or not asked.startswith(plain, before):
        raise EngineError(
            "the checkpoint's chat template does not hold the prompt as it is",
            code="tokenizer_unreadable",
            field="checkpoint",
            value="chat_template",
        )
    return asked, before


def _cut(added: Sequence[int], limit: int) -> tuple[list[int], list[int]]:
    """Which tokens are read and which are not: what the tokenizer adds at either end is always read."""
    count = len(added)
    after = next((index for index, each in enumerate(reversed(added)) if not each), count)
    room = max(limit - after, 0)
    if count <= limit:
        return list(range(count)), []
    return [*range(room), *range(count - after, count)], list(range(room, count - after))


def _inside(span: tuple[int, int], before: int, length: int) -> tuple[int, int] | None:
    """A span of the text that was asked as one of the prompt in it; None outside."""
    start, end = max(span[0] - before, 0), min(span[1] - before, length)
    return (start, end) if start < end else None
