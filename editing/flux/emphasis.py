"""Emphasis: a weighted prompt as embeddings of FLUX.1's two text encoders.

T5 gives one vector per token: those of a weighted part move away from, or towards, what the empty prompt gives at the
same places, e' = e_empty + w (e - e_empty), as ComfyUI does it. CLIP gives FLUX.1 one pooled vector and no place for a
weight, so this is ours: pooled' = pooled + sum over the parts of (w_i - 1) (pooled - pooled of the prompt without part
i): what a part contributes is taken w times. With every weight 1 both are bit for bit what diffusers' FluxPipeline
makes of the plain prompt.
"""

from collections.abc import Mapping
from typing import Any

import torch

from editing.prompts import parse_prompt


def encode(parts: Mapping[str, Any], text: str, max_sequence_length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Encode a prompt, weights in it or not.

    Args:
        parts: Components by diffusers' name: `tokenizer`, `tokenizer_2`, `text_encoder`, `text_encoder_2`.
        text: The prompt as it was written (`editing.prompts.parse_prompt`).
        max_sequence_length: Tokens of T5.

    Returns:
        T5's embeddings (1, max_sequence_length, d) and CLIP's pooled vector (1, d), each in its encoder's dtype and on
        the device it runs on.

    Raises:
        OperationError: The prompt's weights are malformed.
    """
    raise NotImplementedError(parse_prompt(text), parts, max_sequence_length)
