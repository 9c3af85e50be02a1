"""LoRA files for tests: pairs of small random factors under whatever names a test asks for."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors.numpy import save

H, JOINT = 32, 32  # sides of tests/editing/tiny.py's transformer
DOUBLE = {
    "norm1.linear": (6 * H, H), "norm1_context.linear": (6 * H, H), "attn.to_q": (H, H), "attn.to_k": (H, H),
    "attn.to_v": (H, H), "attn.to_out.0": (H, H), "attn.add_q_proj": (H, H), "attn.add_k_proj": (H, H),
    "attn.add_v_proj": (H, H), "attn.to_add_out": (H, H), "ff.net.0.proj": (4 * H, H), "ff.net.2": (H, 4 * H),
    "ff_context.net.0.proj": (4 * H, H), "ff_context.net.2": (H, 4 * H),
}  # fmt: skip
SINGLE = {
    "norm.linear": (3 * H, H), "proj_mlp": (4 * H, H), "proj_out": (H, 5 * H), "attn.to_q": (H, H),
    "attn.to_k": (H, H), "attn.to_v": (H, H),
}  # fmt: skip
TOP = {"x_embedder": (H, 64), "context_embedder": (H, JOINT), "norm_out.linear": (2 * H, H), "proj_out": (64, H)}
LAYERS = {
    **{f"transformer_blocks.0.{name}": sides for name, sides in DOUBLE.items()},
    **{f"single_transformer_blocks.0.{name}": sides for name, sides in SINGLE.items()},
    **TOP,
}
"""Every layer of the tiny transformer that trainers change, and its sides."""
ATTENTION = {name: sides for name, sides in LAYERS.items() if ".attn.to_" in name}

Arrays = dict[str, np.ndarray]


def factors(seed: int, outputs: int, inputs: int, rank: int = 4, size: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper factor."""
    rng = np.random.default_rng(seed)
    draw = lambda *shape: (rng.standard_normal(shape) * size).astype(np.float32)  # noqa: E731
    return draw(rank, inputs), draw(outputs, rank)


def diffusers_lora(seed: int, layers: Mapping[str, tuple[int, int]] = ATTENTION, rank: int = 4, **other: Any) -> Arrays:
    """As diffusers and PEFT name it."""
    made: Arrays = {}
    for index, (name, (outputs, inputs)) in enumerate(layers.items()):
        down, up = factors(1000 * seed + index, outputs, inputs, rank, **other)
        made[f"transformer.{name}.lora_A.weight"], made[f"transformer.{name}.lora_B.weight"] = down, up
    return made


def file_of(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> bytes:
    """The file's bytes."""
    return save({name: np.ascontiguousarray(each) for name, each in tensors.items()}, dict(metadata or {}) or None)


def raw_file(members: Mapping[str, Any], body: bytes = b"") -> bytes:
    """A file with any header."""
    header = json.dumps(members).encode()
    return len(header).to_bytes(8, "little") + header + body
