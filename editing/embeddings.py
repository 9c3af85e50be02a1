"""Files of learnt words (Gal and others, "An Image is Worth One Word", 2022): which encoder each vector is for.

A word is one or several vectors, which stand in the prompt as `<token>`. Trainers for FLUX write `clip_l` and `t5xxl`,
A1111 and ComfyUI `emb_params`, diffusers the word itself; where the name does not say the encoder, the width does.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from editing.checkpoints import Architecture, Checkpoint
from editing.errors import OperationError
from editing.lora_names import TEXT_ENCODER, TEXT_ENCODER_2
from editing.tensorfiles import FLOATS, TensorHeader

MAX_VECTORS: Final = 64
MAX_BYTES: Final = 16 << 20
NAMES: Final = {"clip_l": TEXT_ENCODER, "t5xxl": TEXT_ENCODER_2, "t5": TEXT_ENCODER_2}
WIDTHS: Final = {768: TEXT_ENCODER, 4096: TEXT_ENCODER_2}

_WORD = re.compile(r"<([A-Za-z0-9_-]{1,64})>")


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingFacts:
    """What a file teaches.

    Attributes:
        vectors: How many vectors of which width, by encoder: `text_encoder` (CLIP), `text_encoder_2` (T5).
        tensors: Name of the encoder's tensor in the file, by encoder.
    """

    vectors: Mapping[str, tuple[int, int]]
    tensors: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Write it down as JSON.

        Returns:
            Its members; tuples are lists.
        """
        return {"vectors": {encoder: list(each) for encoder, each in self.vectors.items()}}


def facts_of(header: TensorHeader) -> EmbeddingFacts:
    """Say what a file teaches.

    Args:
        header: Of the file.

    Returns:
        Its facts.

    Raises:
        OperationError: `embedding_keys_foreign`, `embedding_shapes_wrong`; `embedding_unsupported` where no encoder of
            FLUX.1 reads vectors of that width.
    """
    names = list(header.tensors)
    known = [name for name in names if name in NAMES]
    if not names or (len(names) > 1 and len(known) != len(names)):
        raise _error(
            "keys_foreign", f"holds {', '.join(name[:40] for name in names[:3]) or 'nothing'}", names[:3], list(NAMES)
        )
    vectors: dict[str, tuple[int, int]] = {}
    tensors: dict[str, str] = {}
    for name in names:
        count, width = _shape(name, header)
        encoder = NAMES.get(name) or WIDTHS.get(width)
        if encoder is None:
            raise _error("unsupported", f"has vectors of width {width}, which no encoder reads", width, list(WIDTHS))
        if encoder in vectors:
            raise _error("keys_foreign", f"has two sets of vectors for {encoder}", names[:3], list(NAMES))
        vectors[encoder], tensors[encoder] = (count, width), name
    return EmbeddingFacts(vectors=vectors, tensors=tensors)


def check_encoders(name: str, facts: Mapping[str, Any], checkpoint: Checkpoint, *, field: str) -> None:
    """Check that a checkpoint has the encoders that learnt words were made for.

    Args:
        name: What its owner calls the upload.
        facts: `EmbeddingFacts.to_json()`.
        checkpoint: What paints.
        field: Where in the request it is named.

    Raises:
        OperationError: `embedding_unsupported`.
    """
    if checkpoint.architecture is not Architecture.FLUX1:
        raise OperationError(
            f"{name} was learnt for CLIP or T5 ({', '.join(facts['vectors'])}), which {checkpoint.name} does not have",
            code="embedding_unsupported",
            field=field,
            value=name,
            limit=[Architecture.FLUX1.value],
        )


def check_words(prompts: Sequence[str], tokens: Sequence[str]) -> None:
    """Check that every learnt word of a request stands in one of its prompts: one that does not would do nothing.

    Args:
        prompts: Prompt and negative prompt.
        tokens: The words, without angle brackets.

    Raises:
        OperationError: `embedding_unused`.
    """
    said = {word for prompt in prompts for word in _WORD.findall(prompt)}
    for index, token in enumerate(tokens):
        if token not in said:
            raise OperationError(
                f"the prompt does not say <{token}>: write it there, or leave the embedding out",
                code="embedding_unused",
                field=f"embeddings[{index}].token",
                value=token,
                limit=f"<{token}>",
            )


def _shape(name: str, header: TensorHeader) -> tuple[int, int]:
    """Count and width of a tensor's vectors."""
    tensor = header.tensors[name]
    shape = tensor.shape if len(tensor.shape) != 1 else (1, *tensor.shape)
    if len(shape) != 2 or not 1 <= shape[0] <= MAX_VECTORS or not shape[1] or tensor.dtype not in FLOATS:  # noqa: PLR2004
        raise _error(
            "shapes_wrong",
            f"has {name[:40]!r} as {tensor.dtype} {tensor.shape}; (vectors, width), at most {MAX_VECTORS}, can be used",
            list(tensor.shape),
            MAX_VECTORS,
        )
    return shape[0], shape[1]


def _error(code: str, said: str, value: object, limit: object) -> OperationError:
    return OperationError(
        f"the embedding's file {said}", code=f"embedding_{code}", field="file", value=value, limit=limit
    )
