"""Estimates: how much of the device's memory a profile takes, from the number of weights alone."""

from collections.abc import Mapping
from typing import Final

from editing.memory import CREWS, LAYOUTS, Crew, Keeping, MemoryProfile, Part, Waiting, WeightFormat

FLUX1_DEV: Final[Mapping[Part, int]] = {
    Part.TRANSFORMER: 11_901_408_320,
    Part.CONTROLNET: 2_140_000_000,  # Union-Pro-2.0: six double blocks
    Part.TEXT_ENCODER: 123_060_480,
    Part.TEXT_ENCODER_2: 4_762_310_656,
    Part.IMAGE_ENCODER: 428_225_600,  # SigLIP, for Redux
    Part.VAE: 83_819_683,
}
"""Parameters of FLUX.1 [dev] and what may act beside it."""

WHOLE_SHARE: Final[Mapping[tuple[Part, WeightFormat], float]] = {
    (Part.TRANSFORMER, WeightFormat.FP8): 0.278,  # the modulation of each block, 3.25 billion weights, and embedders
    (Part.CONTROLNET, WeightFormat.FP8): 0.33,
    (Part.TRANSFORMER, WeightFormat.INT4): 0.006,
    (Part.CONTROLNET, WeightFormat.INT4): 0.04,
    (Part.TEXT_ENCODER_2, WeightFormat.INT4): 0.24,  # the last layer of each of T5's blocks, and its words
}
"""Share of a part's weights that stay in bfloat16 where the rest is squeezed, because quality hangs on them."""

_BYTES: Final[Mapping[WeightFormat, float]] = {
    WeightFormat.FLOAT32: 4.0,
    WeightFormat.BFLOAT16: 2.0,
    WeightFormat.FP8: 1.0,
    WeightFormat.INT4: 0.5625,  # half a byte, and a float32 scale for each 64 of them
}

# Estimated from shapes: a picture of two megapixels, bfloat16, batch 1; without tiles the VAE's widest layers hold
# 256 channels at full size, several at a time.
_ACTIVATIONS: Final[Mapping[Crew, int]] = {Crew.PROMPT: 300_000_000, Crew.LOOP: 1_200_000_000}
_TILED, _UNTILED = 2_600_000_000, 5_000_000_000
CONTEXT_BYTES: Final = 600_000_000
"""What the driver, the libraries' kernels and the allocator's rounding take."""
STREAMED_BYTES: Final = 600_000_000
"""Layers on the device at one time while they are streamed or come one by one."""


def part_bytes(part: Part, parameters: int, keeping: Keeping) -> int:
    """Say what a part's weights take at rest.

    Args:
        part: Which.
        parameters: How many weights.
        keeping: How it is kept.

    Returns:
        Bytes.
    """
    whole = WHOLE_SHARE.get((part, keeping.format), 0.0)
    return round(parameters * (whole * 2.0 + (1.0 - whole) * _BYTES[keeping.format]))


def needed_bytes(profile: MemoryProfile, parameters: Mapping[Part, int]) -> int:
    """Estimate the peak of a device's memory: the worst of encoding a prompt, denoising, and encoding or decoding.

    Args:
        profile: Which.
        parameters: How many weights each part has.

    Returns:
        Bytes: weights, activations of a picture of two megapixels, and what the driver takes.
    """
    layout = LAYOUTS[profile]
    resident = 0
    in_turn = dict.fromkeys(Crew, 0)
    streamed = dict.fromkeys(Crew, 0)
    for part, count in parameters.items():
        keeping = layout.keeping(part, count)
        size = part_bytes(part, count, keeping)
        if keeping.waits is Waiting.RESIDENT:
            resident += size
        elif keeping.waits is Waiting.TURNS:
            in_turn[CREWS[part]] += size
        else:
            streamed[CREWS[part]] = STREAMED_BYTES
    active = {**_ACTIVATIONS, Crew.PIXELS: _TILED if layout.vae_tiling else _UNTILED}
    # A crew that takes no turns finds the one before it still on the device.
    aboard = {crew: own or max(in_turn.values()) for crew, own in in_turn.items()}
    return CONTEXT_BYTES + resident + max(aboard[crew] + streamed[crew] + active[crew] for crew in Crew)
