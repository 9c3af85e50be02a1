"""Emphasis: a weighted prompt as embeddings of FLUX.1's two text encoders.

T5 gives one vector per token: those of a weighted part move away from, or towards, what the empty prompt gives at the
same places, e' = e_empty + w (e - e_empty), as ComfyUI does it. CLIP gives FLUX.1 one pooled vector and no place for a
weight, so this is ours: pooled' = pooled + sum over the parts of (w_i - 1) (pooled - pooled of the prompt without part
i): what a part contributes is taken w times. With every weight 1 both are bit for bit what diffusers' FluxPipeline
makes of the plain prompt.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from editing.diffusion.quiet import quiet_libraries  # imports the shim before diffusers
from editing.prompts import Part, Prompt, parse_prompt, weights_of

from diffusers.loaders import TextualInversionLoaderMixin  # isort: skip
from diffusers.utils.torch_utils import get_module_execution_device  # isort: skip


@torch.no_grad()
def encode(parts: Mapping[str, Any], text: str, max_sequence_length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Encode a prompt, weights in it or not.

    Learnt words that are several tokens long are written out as diffusers does it, if the tokenizers know them.

    Args:
        parts: Components by diffusers' name: `tokenizer`, `tokenizer_2`, `text_encoder`, `text_encoder_2`.
        text: The prompt as it was written (`editing.prompts.parse_prompt`).
        max_sequence_length: Tokens of T5; what a prompt has beyond them has no effect, whatever its weight.

    Returns:
        T5's embeddings (1, max_sequence_length, d) and CLIP's pooled vector (1, d), each on the device and in the dtype
        that its encoder computes in.

    Raises:
        OperationError: The prompt's weights are malformed.
    """
    prompt = parse_prompt(text)
    with quiet_libraries():
        return (
            _embeddings(parts["tokenizer_2"], parts["text_encoder_2"], prompt, max_sequence_length),
            _pooled(parts["tokenizer"], parts["text_encoder"], prompt),
        )


def _embeddings(tokenizer: Any, encoder: Any, prompt: Prompt, length: int) -> torch.Tensor:
    prompt = _written_out(prompt, tokenizer)
    tokens = _tokens(tokenizer, [prompt.plain], length)
    embedded: torch.Tensor = _run(encoder, tokens.input_ids)[0]
    if not prompt.weighted:
        return embedded
    empty: torch.Tensor = _run(encoder, _tokens(tokenizer, [""], length).input_ids)[0]
    weights = torch.tensor(weights_of(prompt, [tuple(span) for span in tokens.offset_mapping[0].tolist()]))
    weights = weights.to(embedded.device)[None, :, None]
    # In float32, and only where there is a weight: elsewhere nothing moves by a rounding.
    moved = torch.lerp(empty.float(), embedded.float(), weights).to(embedded.dtype)
    return torch.where(weights == 1.0, embedded, moved)


def _pooled(tokenizer: Any, encoder: Any, prompt: Prompt) -> torch.Tensor:
    prompt = _written_out(prompt, tokenizer)
    pooled = _pool(tokenizer, encoder, prompt.plain)
    moved = pooled.float()
    # One at a time: a batch would round differently from the lone prompt that each is compared with.
    for index, part in enumerate(prompt.parts):
        if part.weight != 1.0:
            contributed = pooled.float() - _pool(tokenizer, encoder, prompt.without(index)).float()
            moved = moved + (part.weight - 1.0) * contributed
    return moved.to(pooled.dtype)


def _pool(tokenizer: Any, encoder: Any, text: str) -> torch.Tensor:
    tokens = _tokens(tokenizer, [text], tokenizer.model_max_length)
    pooled: torch.Tensor = _run(encoder, tokens.input_ids).pooler_output
    return pooled


def _tokens(tokenizer: Any, texts: Sequence[str], length: int) -> Any:
    return tokenizer(
        texts,
        padding="max_length",
        max_length=length,
        truncation=True,
        return_offsets_mapping=True,
        return_tensors="pt",
    )


def _run(encoder: Any, ids: torch.Tensor) -> Any:
    return encoder(ids.to(get_module_execution_device(encoder)), output_hidden_states=False)


def _written_out(prompt: Prompt, tokenizer: Any) -> Prompt:
    """Write out learnt words of several tokens, part by part so that each keeps its weight."""
    convert = TextualInversionLoaderMixin().maybe_convert_prompt
    parts = tuple(Part(convert(part.text, tokenizer), part.weight) for part in prompt.parts)
    return Prompt("".join(part.text for part in parts), parts)
