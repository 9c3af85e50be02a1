"""LoRAs for the base: low-rank weights beside its attention and feed-forward layers (Hu and others, "LoRA", 2021)."""

from pathlib import Path

import torch
from diffusers import FluxPipeline, FluxTransformer2DModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file

RANK = 8
LORA_FILE = "pytorch_lora_weights.safetensors"  # as diffusers names it
_PREFIX = "transformer."  # of the pipeline's part
_LAYERS = (
    r"(single_)?transformer_blocks\.\d+\."
    r"(attn\.(to_[qkv]|to_out\.0|add_[qkv]_proj|to_add_out)|ff(_context)?\.net\.(0\.proj|2)|proj_mlp|proj_out)"
)


def with_lora(base: FluxTransformer2DModel, earlier: Path | None = None) -> FluxTransformer2DModel:
    """Put a LoRA beside a transformer's layers; it alone is trained, and a new one at first changes nothing.

    Args:
        base: Changed in place; its own weights stay as they are.
        earlier: Folder of a LoRA to go on from, as `save_lora` wrote it; None or an absent one for a new LoRA.

    Returns:
        The same transformer.
    """
    base.requires_grad_(requires_grad=False)
    # alpha equal to the rank: a weight of 1 adds just what was learnt, also for readers that know no alpha
    base.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=_LAYERS, init_lora_weights=True))
    if earlier is not None and earlier.exists():
        layers = load_file(earlier / LORA_FILE)
        set_peft_model_state_dict(base, {name.removeprefix(_PREFIX): layer.float() for name, layer in layers.items()})
    return base


def save_lora(transformer: FluxTransformer2DModel, folder: Path) -> None:
    """Write a transformer's LoRA as `pytorch_lora_weights.safetensors` in diffusers' keys, float16."""
    layers = {name: tensor.to(torch.float16) for name, tensor in get_peft_model_state_dict(transformer).items()}
    FluxPipeline.save_lora_weights(folder, transformer_lora_layers=layers)
