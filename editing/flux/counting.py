"""Counting: the floating-point operations of FLUX.1-Fill-dev, on tensors that have shapes and no memory.

torch counts the matrix products, convolutions and attentions of the real classes in the real configuration; the rest
(norms, activations) is some thousandths.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from editing.costs import PartOperations
from editing.diffusion.quiet import quiet_libraries  # imports the shim before diffusers

from diffusers import AutoencoderKL, FluxTransformer2DModel  # isort: skip
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel  # isort: skip

TEXT_TOKENS = 512
"""Of the long text encoder, as the catalogue has it for FLUX.1-Fill-dev."""
CLIP_TOKENS = 77

# The configurations are those published with black-forest-labs/FLUX.1-Fill-dev.
_TRANSFORMER = {
    "patch_size": 1,
    "in_channels": 384,
    "out_channels": 64,
    "num_layers": 19,
    "num_single_layers": 38,
    "attention_head_dim": 128,
    "num_attention_heads": 24,
    "joint_attention_dim": 4096,
    "pooled_projection_dim": 768,
    "guidance_embeds": True,
}
_VAE = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "latent_channels": 16,
    "norm_num_groups": 32,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}
_T5 = {
    "vocab_size": 32128,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "feed_forward_proj": "gated-gelu",
    "is_encoder_decoder": False,
    "use_cache": False,
}
_CLIP = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
}
_DTYPE = torch.bfloat16


class FillCounter:
    """Counts the parts of a job with FLUX.1-Fill-dev; models are built once and sizes are counted once."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], PartOperations] = {}
        with quiet_libraries(), torch.device("meta"):
            self._transformer = FluxTransformer2DModel(**_TRANSFORMER).to(_DTYPE)
            self._vae = AutoencoderKL(**_VAE).to(_DTYPE)
            long = T5EncoderModel(T5Config(**_T5)).to(_DTYPE)
            short = CLIPTextModel(CLIPTextConfig(**_CLIP)).to(_DTYPE)
        self._text = _counted(lambda: (long(_tokens(TEXT_TOKENS)), short(_tokens(CLIP_TOKENS))))

    def __call__(self, width: int, height: int) -> PartOperations:
        """Count the parts of a job at one size.

        Args:
            width: Columns at which the model runs, a multiple of 16.
            height: Rows, a multiple of 16.

        Returns:
            The operations of each part.
        """
        size = (width, height)
        if size not in self._known:
            latents = _meta(1, _VAE["latent_channels"], height // 8, width // 8)
            self._known[size] = PartOperations(
                text=self._text,
                encode=_counted(lambda: self._vae.encode(_meta(1, 3, height, width))),
                step=_counted(lambda: self._step((width // 16) * (height // 16))),
                decode=_counted(lambda: self._vae.decode(latents)),
            )
        return self._known[size]

    def _step(self, tokens: int) -> Any:
        return self._transformer(
            hidden_states=_meta(1, tokens, _TRANSFORMER["in_channels"]),
            encoder_hidden_states=_meta(1, TEXT_TOKENS, _TRANSFORMER["joint_attention_dim"]),
            pooled_projections=_meta(1, _TRANSFORMER["pooled_projection_dim"]),
            timestep=_meta(1),
            guidance=_meta(1),
            img_ids=_meta(tokens, 3),
            txt_ids=_meta(TEXT_TOKENS, 3),
        )


def _meta(*shape: Any) -> torch.Tensor:
    return torch.empty(*shape, device="meta", dtype=_DTYPE)


def _tokens(count: int) -> torch.Tensor:
    return torch.empty(1, count, device="meta", dtype=torch.long)


def _counted(call: Callable[[], Any]) -> int:
    with quiet_libraries(), torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())
