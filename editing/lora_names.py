"""Names in LoRA files: which layer of which model each stands for, in every naming that trainers of FLUX write.

The same layer is called `transformer.transformer_blocks.0.attn.to_q` (diffusers, PEFT), `double_blocks.0.img_attn.qkv`
(black-forest-labs; queries, keys and values in one), `lora_unet_double_blocks_0_img_attn_qkv` (kohya-ss's sd-scripts)
or `double_blocks.0.processor.qkv_lora1` (XLabs). With dots and underscores taken as one, a table per architecture is
enough. The pairs of names are those of diffusers 0.42's converters (`loaders/lora_conversion_utils.py`), which know
only FLUX.1's own sizes; here widths come from the file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from editing.checkpoints import Architecture

TRANSFORMER: Final = "transformer"
TEXT_ENCODER: Final = "text_encoder"
TEXT_ENCODER_2: Final = "text_encoder_2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a pair of low-rank factors acts.

    Attributes:
        part: `transformer`, `text_encoder` or `text_encoder_2`.
        paths: Path of each module in that part, as diffusers and transformers call them; several share the rows of
            the upper factor: in equal shares, or as `widths` says.
        widths: Rows of each module in multiples of the lower factor's inputs, 0 for the rest; empty for equal shares.
        halves_swapped: Whether the rows' halves (shift, scale) stand the other way round in diffusers.
    """

    part: str
    paths: tuple[str, ...]
    widths: tuple[int, ...] = ()
    halves_swapped: bool = False


_QKV = ("attn.to_q", "attn.to_k", "attn.to_v")
_ADDED = ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj")

_Leaves = Mapping[str, tuple[str, ...]]


def _own(*paths: str) -> dict[str, tuple[str, ...]]:
    """Diffusers' own names, each for itself."""
    return {path.replace(".", "_"): (path,) for path in paths}


_ATTENTION: Final[_Leaves] = {
    **_own(*_QKV, *_ADDED, "attn.to_out.0", "attn.to_add_out"),
    "img_attn_qkv": _QKV,
    "txt_attn_qkv": _ADDED,
    "img_attn_proj": ("attn.to_out.0",),
    "txt_attn_proj": ("attn.to_add_out",),
    "processor_qkv_lora1": _QKV,
    "processor_qkv_lora2": _ADDED,
    "processor_proj_lora1": ("attn.to_out.0",),
    "processor_proj_lora2": ("attn.to_add_out",),
}
_DOUBLE: Final[Mapping[Architecture, _Leaves]] = {
    Architecture.FLUX1: {
        **_ATTENTION,
        **_own("norm1.linear", "norm1_context.linear"),
        **_own("ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2"),
        "img_mlp_0": ("ff.net.0.proj",),
        "img_mlp_2": ("ff.net.2",),
        "txt_mlp_0": ("ff_context.net.0.proj",),
        "txt_mlp_2": ("ff_context.net.2",),
        "img_mod_lin": ("norm1.linear",),
        "txt_mod_lin": ("norm1_context.linear",),
    },
    Architecture.FLUX2: {
        **_ATTENTION,
        **_own("ff.linear_in", "ff.linear_out", "ff_context.linear_in", "ff_context.linear_out"),
        "img_mlp_0": ("ff.linear_in",),
        "img_mlp_2": ("ff.linear_out",),
        "txt_mlp_0": ("ff_context.linear_in",),
        "txt_mlp_2": ("ff_context.linear_out",),
    },
}
_SINGLE: Final[Mapping[Architecture, _Leaves]] = {
    Architecture.FLUX1: {
        **_own(*_QKV, "norm.linear", "proj_mlp", "proj_out"),
        "linear1": (*_QKV, "proj_mlp"),
        "linear2": ("proj_out",),
        "modulation_lin": ("norm.linear",),
        "processor_qkv_lora": _QKV,
        "processor_proj_lora": ("proj_out",),
    },
    Architecture.FLUX2: {
        **_own("attn.to_qkv_mlp_proj", "attn.to_out"),
        "linear1": ("attn.to_qkv_mlp_proj",),
        "linear2": ("attn.to_out",),
    },
}
_TOP: Final[Mapping[Architecture, _Leaves]] = {
    Architecture.FLUX1: {
        **_own(
            *("x_embedder", "context_embedder", "norm_out.linear", "proj_out"),
            *(
                f"time_text_embed.{each}_embedder.linear_{n}"
                for each in ("timestep", "text", "guidance")
                for n in (1, 2)
            ),
        ),
        "img_in": ("x_embedder",),
        "txt_in": ("context_embedder",),
        "time_in_in_layer": ("time_text_embed.timestep_embedder.linear_1",),
        "time_in_out_layer": ("time_text_embed.timestep_embedder.linear_2",),
        "vector_in_in_layer": ("time_text_embed.text_embedder.linear_1",),
        "vector_in_out_layer": ("time_text_embed.text_embedder.linear_2",),
        "guidance_in_in_layer": ("time_text_embed.guidance_embedder.linear_1",),
        "guidance_in_out_layer": ("time_text_embed.guidance_embedder.linear_2",),
        "final_layer_linear": ("proj_out",),
        "final_layer_adaLN_modulation_1": ("norm_out.linear",),
    },
    Architecture.FLUX2: {
        **_own(
            *("x_embedder", "context_embedder", "norm_out.linear", "proj_out"),
            *(f"time_guidance_embed.{each}_embedder.linear_{n}" for each in ("timestep", "guidance") for n in (1, 2)),
            *(f"{each}.linear" for each in ("single_stream_modulation", "double_stream_modulation_img")),
            "double_stream_modulation_txt.linear",
        ),
        "img_in": ("x_embedder",),
        "txt_in": ("context_embedder",),
        "time_in_in_layer": ("time_guidance_embed.timestep_embedder.linear_1",),
        "time_in_out_layer": ("time_guidance_embed.timestep_embedder.linear_2",),
        "guidance_in_in_layer": ("time_guidance_embed.guidance_embedder.linear_1",),
        "guidance_in_out_layer": ("time_guidance_embed.guidance_embedder.linear_2",),
        "single_stream_modulation_lin": ("single_stream_modulation.linear",),
        "double_stream_modulation_img_lin": ("double_stream_modulation_img.linear",),
        "double_stream_modulation_txt_lin": ("double_stream_modulation_txt.linear",),
        "final_layer_linear": ("proj_out",),
        "final_layer_adaLN_modulation_1": ("norm_out.linear",),
    },
}
_NORMS: Final = {
    "img_attn_norm_query_norm": "attn.norm_q",
    "img_attn_norm_key_norm": "attn.norm_k",
    "txt_attn_norm_query_norm": "attn.norm_added_q",
    "txt_attn_norm_key_norm": "attn.norm_added_k",
    "norm_query_norm": "attn.norm_q",
    "norm_key_norm": "attn.norm_k",
    "attn_norm_q": "attn.norm_q",
    "attn_norm_k": "attn.norm_k",
    "attn_norm_added_q": "attn.norm_added_q",
    "attn_norm_added_k": "attn.norm_added_k",
}

_TRANSFORMER_PREFIX = re.compile(
    r"(?:lora_unet_|lora_transformer_|(?:base_model\.model\.|model\.|diffusion_model\.|transformer\.)+)?(.+)", re.DOTALL
)
_TEXT_PREFIXES: Final = (
    (re.compile(r"(?:lora_te_|lora_te1_|text_encoder\.|text_encoders\.clip_l\.transformer\.)(.+)"), TEXT_ENCODER),
    (re.compile(r"(?:lora_te3_|text_encoder_2\.|text_encoders\.t5xxl\.transformer\.)(.+)"), TEXT_ENCODER_2),
)
_BLOCK = re.compile(r"(?:(single)_(?:transformer_)?|double_|transformer_)blocks_(\d{1,3})_(.+)")
_CLIP = re.compile(r"(?:text_model_)?encoder_layers_(\d{1,3})_(self_attn|mlp)_([qkv]_proj|out_proj|fc[12])")
_T5 = re.compile(r"encoder_block_(\d{1,3})_layer_([01])_(SelfAttention|DenseReluDense)_([qkvo]|wi_[01]|wi|wo)")


def place_of(stem: str, architecture: Architecture) -> Place | None:
    """Say which layers a pair of factors is for.

    Args:
        stem: Name in the file, without `.lora_A.weight` or the like.
        architecture: Which model it is looked up in.

    Returns:
        The layers, or None if that architecture has none of this name.
    """
    for pattern, part in _TEXT_PREFIXES:
        if found := pattern.fullmatch(stem):
            path = _text_path(found[1].replace(".", "_"), part)
            return Place(part=part, paths=(path,)) if path else None
    name = _plain(stem)
    block = _BLOCK.fullmatch(name)
    if block is None:
        swapped = name == "final_layer_adaLN_modulation_1"
        paths = _TOP[architecture].get(name)
        return Place(part=TRANSFORMER, paths=paths, halves_swapped=swapped) if paths else None
    single, number, leaf = block.groups()
    leaves = (_SINGLE if single else _DOUBLE)[architecture].get(leaf)
    if leaves is None:
        return None
    prefix = f"{'single_' if single else ''}transformer_blocks.{number}."
    widths = (1, 1, 1, 0) if leaves == (*_QKV, "proj_mlp") else ()
    return Place(part=TRANSFORMER, paths=tuple(prefix + each for each in leaves), widths=widths)


def norm_of(stem: str) -> str | None:
    """Say which norm a control LoRA replaces.

    Args:
        stem: Name in the file, without `.scale` or `.weight`.

    Returns:
        Path of the norm in the transformer, or None if it is none.
    """
    block = _BLOCK.fullmatch(_plain(stem))
    if block is None or block[3] not in _NORMS:
        return None
    return f"{'single_' if block[1] else ''}transformer_blocks.{block[2]}.{_NORMS[block[3]]}"


def _plain(stem: str) -> str:
    found = _TRANSFORMER_PREFIX.fullmatch(stem)
    return (found[1] if found else stem).replace(".", "_")


def _text_path(name: str, part: str) -> str | None:
    if part == TEXT_ENCODER:
        found = _CLIP.fullmatch(name)
        return f"encoder.layers.{found[1]}.{found[2]}.{found[3]}" if found else None
    found = _T5.fullmatch(name)
    return f"encoder.block.{found[1]}.layer.{found[2]}.{found[3]}.{found[4]}" if found else None
