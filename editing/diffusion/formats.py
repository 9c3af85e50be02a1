"""Formats: a model's weights squeezed into fp8 or int4 after they were loaded whole.

Two techniques, each of which a CPU can run and test:

* fp8 is diffusers' layerwise casting, which needs nothing else: a weight is stored in float8_e4m3fn and cast for the
  moment its layer runs.
* int4 is bitsandbytes' NF4. torchao was tried too: its int4 packs differently for each device, so that what was packed
  for the card could not wait in main memory. diffusers' own loading through bitsandbytes refuses to run without a GPU,
  so layers are exchanged here, one by one on the device; no more than one whole layer is there at a time.

LoRAs act beside squeezed layers, never merged into them: merging would round the LoRA away.
"""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, Final

import torch
from torch import nn

from editing.diffusion.quiet import quiet_libraries  # imports the shim before diffusers
from editing.errors import EngineError
from editing.memory import LAYOUTS, QUANTISER, MemoryProfile, Part, WeightFormat

from diffusers.hooks import apply_layerwise_casting  # isort: skip

_KEPT_BESIDE_FP8: Final = ("embed", "norm", "modulation", r"^proj_out$")
_KEPT_BESIDE_INT4: Final = ("embed", "modulation", "norm_out", r"^proj_out$", "^controlnet_")
"""FLUX.2's blocks share one modulation, few weights that act everywhere; of FLUX.1's every block has its own."""
_KEPT_OF_TEXT: Final = ("embed", "shared", r"\.wo$")
"""T5 casts its activations to the format it finds in `wo`, and its makers keep that layer precise."""
_CASTING: Final = "layerwise_casting"


def check_quantiser(profile: MemoryProfile) -> None:
    """Refuse a profile whose library is not installed.

    Args:
        profile: The one asked for.

    Raises:
        EngineError: `quantiser_missing`.
    """
    if not LAYOUTS[profile].quantised or has_quantiser():
        return
    others = [each.value for each, layout in LAYOUTS.items() if not layout.quantised]
    raise EngineError(
        f"memory profile {profile.value} keeps weights in int4, which takes {QUANTISER}: "
        f"pip install 'flux-studio[quantised]', or set STUDIO_MEMORY to {', '.join(others)}",
        code="quantiser_missing",
        field="memory",
        value=profile.value,
        limit=others,
    )


def has_quantiser() -> bool:
    """Say whether the library for int4 is installed."""
    return find_spec(QUANTISER) is not None


def squeeze(model: nn.Module, part: Part, form: WeightFormat, *, device: torch.device, dtype: torch.dtype) -> None:
    """Bring a whole model into a format, in place.

    Args:
        model: With weights in `dtype`.
        part: What it is, which says what stays whole.
        form: The format.
        device: Where it will run; int4 is packed there and left in main memory.
        dtype: What it computes in.
    """
    if form is WeightFormat.FP8:
        _store_in_fp8(model, part, dtype)
    elif form is WeightFormat.INT4:
        _pack_in_int4(model, part, device, dtype)


def recast(model: nn.Module) -> None:
    """Bring layers that a run left cast, because it failed inside them, back into fp8.

    Args:
        model: One that was squeezed, or any other.
    """
    for layer in model.modules():
        registry = getattr(layer, "_diffusers_hook", None)
        hook = None if registry is None else registry.get_hook(_CASTING)
        if hook is not None:
            layer.to(hook.storage_dtype)


def _store_in_fp8(model: nn.Module, part: Part, dtype: torch.dtype) -> None:
    kept = _KEPT_OF_TEXT if part in {Part.TEXT_ENCODER, Part.TEXT_ENCODER_2} else _KEPT_BESIDE_FP8
    with quiet_libraries():
        apply_layerwise_casting(model, torch.float8_e4m3fn, dtype, skip_modules_pattern=kept)
    linears: Iterator[Any] = (layer for layer in model.modules() if isinstance(layer, nn.Linear))
    for layer in linears:
        if layer.weight.dtype is torch.float8_e4m3fn:
            # PEFT makes a LoRA in the format of the weight it sits on, unless the layer names another: without this
            # the LoRA would be rounded to fp8, and could not even be multiplied.
            layer.compute_dtype = dtype


def _pack_in_int4(model: nn.Module, part: Part, device: torch.device, dtype: torch.dtype) -> None:
    from bitsandbytes import nn as packed

    text = part in {Part.TEXT_ENCODER, Part.TEXT_ENCODER_2}
    for parent, name, layer in list(_linears(model, _KEPT_OF_TEXT if text else _KEPT_BESIDE_INT4)):
        small: Any = packed.Linear4bit(
            layer.in_features,
            layer.out_features,
            bias=layer.bias is not None,
            compute_dtype=dtype,
            compress_statistics=False,
            quant_type="nf4",
            device="meta",
        )
        small.weight = packed.Params4bit(
            layer.weight.data, requires_grad=False, compress_statistics=False, quant_type="nf4"
        )
        small.bias = layer.bias
        # On some CPUs it would repack itself at its first run, with rounded scales, and could wait nowhere afterwards.
        small.support_avx512bf16_for_cpu = False
        setattr(parent, name, small.to(device).to("cpu").eval())


def _linears(model: nn.Module, kept: tuple[str, ...]) -> Iterator[tuple[nn.Module, str, nn.Linear]]:
    for path, parent in model.named_modules():
        for name, layer in parent.named_children():
            full = f"{path}.{name}" if path else name
            if type(layer) is nn.Linear and not any(re.search(pattern, full) for pattern in kept):
                yield parent, name, layer
