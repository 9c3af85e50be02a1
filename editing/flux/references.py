"""References: pictures that the result shall resemble, as text tokens (Redux) or beside the prompt (image adapters)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from PIL import Image

from editing.diffusion.torchvision_shim import ensure_torchvision
from editing.errors import EngineError
from editing.flux.conditions import Models
from editing.flux.loading import LoadedCheckpoint
from editing.rasters import Pixels

ensure_torchvision()

from transformers import CLIPImageProcessor  # noqa: E402 - the shim comes first

_PROJECTION = ("ip_adapter_proj_model.", "image_proj.")
_BLOCKS = ("double_blocks.", "ip_adapter.")


def redux_tokens(redux: LoadedCheckpoint, pixels: Pixels, weight: float, models: Models) -> torch.Tensor:
    """Turn a picture into text tokens, as FLUX.1 Redux does.

    Args:
        redux: The loaded checkpoint.
        pixels: uint8 (h, w, 3), sRGB, any size: its image processor scales it.
        weight: Factor of the tokens; 1 is what Redux was trained with.
        models: Say where and in what to compute.

    Returns:
        (1, tokens, width of T5), to be laid behind the prompt's.
    """
    encoder, embedder = redux.parts["image_encoder"], redux.parts["image_embedder"]
    values = redux.parts["feature_extractor"].preprocess(
        images=[Image.fromarray(pixels)], do_resize=True, return_tensors="pt", do_convert_rgb=True
    )
    values = values["pixel_values"].to(device=models.device, dtype=models.dtype)
    hidden = encoder(pixel_values=values).last_hidden_state
    tokens: torch.Tensor = embedder(hidden).image_embeds
    return tokens * weight if weight != 1.0 else tokens


def adapter_embeds(adapter: LoadedCheckpoint, pixels: Pixels, models: Models) -> torch.Tensor:
    """Look at a picture as an image prompt adapter does.

    Args:
        adapter: The loaded checkpoint.
        pixels: uint8 (h, w, 3), sRGB, any size.
        models: Say where and in what to compute.

    Returns:
        (1, 1, width of CLIP).
    """
    encoder = adapter.parts["image_encoder"]
    side = int(encoder.config.image_size)
    seen = CLIPImageProcessor(size=side, crop_size=side)(Image.fromarray(pixels), return_tensors="pt").pixel_values
    embeds: torch.Tensor = encoder(seen.to(device=models.device, dtype=models.dtype)).image_embeds
    return embeds[None]


@contextmanager
def adapted(models: Models, adapters: Sequence[LoadedCheckpoint], weights: Sequence[float]) -> Iterator[None]:
    """Let a transformer look at pictures for the time of one run; afterwards it is as it was, however the run ended.

    Args:
        models: Whose transformer shall look at them.
        adapters: One loaded adapter for each picture, in order; one adapter may serve several.
        weights: Weight of each.

    Yields:
        Nothing; pass the pictures' embeddings as `joint_attention_kwargs["ip_adapter_image_embeds"]`.

    Raises:
        EngineError: `weights_unsuitable`, if an adapter's weights do not fit this transformer.
    """
    if not adapters:
        yield
        return
    transformer, residency = models.part["transformer"], models.residency
    processors = dict(transformer.attn_processors)
    try:
        with residency.changing("transformer", transformer):
            _attach(transformer, adapters, weights)
            _compute_in(transformer, models.dtype)
        yield
    finally:
        with residency.changing("transformer", transformer):
            transformer.set_attn_processor(processors)
            transformer.encoder_hid_proj = None
            transformer.config.encoder_hid_dim_type = None


def _attach(transformer: Any, adapters: Sequence[LoadedCheckpoint], weights: Sequence[float]) -> None:
    try:
        transformer._load_ip_adapter_weights([_by_part(each.parts["weights"]) for each in adapters])  # noqa: SLF001 - diffusers' own pipelines call it so
    except (LookupError, RuntimeError, ValueError) as error:
        name = adapters[0].checkpoint.name
        raise EngineError(
            f"the weights of {name} do not fit this transformer: {str(error)[:300]}",
            code="weights_unsuitable",
            field="references",
            value=name,
        ) from error
    for processor in transformer.attn_processors.values():
        if hasattr(processor, "scale"):
            processor.scale = list(weights)


def _compute_in(transformer: Any, dtype: torch.dtype) -> None:
    """What was attached has the format in which the transformer is kept, which may be no format to compute in."""
    attached = [each for each in transformer.attn_processors.values() if isinstance(each, torch.nn.Module)]
    for module in (*attached, transformer.encoder_hid_proj):
        module.to(dtype=dtype)


def _by_part(weights: Mapping[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """An adapter's tensors under diffusers' names, those of the projection apart from those of the blocks."""
    parts: dict[str, dict[str, torch.Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for key, tensor in weights.items():
        name = key.partition(".")[2]
        if key.startswith(_PROJECTION):
            parts["image_proj"][name] = tensor
        elif key.startswith(_BLOCKS):
            name = name.replace("ip_adapter_double_stream_k_proj", "to_k_ip").replace("processor.", "")
            parts["ip_adapter"][name.replace("ip_adapter_double_stream_v_proj", "to_v_ip")] = tensor
    return parts
