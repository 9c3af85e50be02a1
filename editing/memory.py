"""Memory profiles: in which number format each part of a model is kept, and where it waits until it is needed.

     48gb   everything whole, on the card
     24gb   transformer and ControlNet in fp8; text encoder and denoising take turns on the card
     16gb   transformer in int4; they take turns
     12gb   text encoder and ControlNet in int4 too; encoding and decoding of pictures takes turns with them
      8gb   fp8, streamed to the card layer by layer, the next one while this one computes
      cpu   float32, in main memory

One profile per worker, picked from its device or named by the operator. Parts that are small whatever the card stay
whole: squeezing them saves nothing and costs quality. Data and sums alone; `editing.diffusion.memory` carries it out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SMALL_PARAMETERS: Final = 250_000_000
"""Below this many parameters a part stays whole and on the device: CLIP-L and the whole of flux-mini."""

GIGABYTE: Final = 1_000_000_000


class MemoryProfile(StrEnum):
    """How much memory the device has, and so how weights are kept."""

    GB48 = "48gb"
    GB24 = "24gb"
    GB16 = "16gb"
    GB12 = "12gb"
    GB8 = "8gb"
    CPU = "cpu"


class WeightFormat(StrEnum):
    """Number format of the weights at rest; what is computed with is bfloat16 or float32 in each case."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FP8 = "fp8"
    """float8_e4m3fn, cast to the computing format layer by layer (diffusers' layerwise casting)."""
    INT4 = "int4"
    """NF4 in blocks of 64 (bitsandbytes), unpacked layer by layer."""

    @property
    def exact(self) -> bool:
        """Whether the weights keep the values they were loaded with."""
        return self in {WeightFormat.FLOAT32, WeightFormat.BFLOAT16}


class Waiting(StrEnum):
    """Where a part waits while it is not needed. None of these changes a pixel."""

    RESIDENT = "on the device"
    TURNS = "in main memory, whole models taking turns on the device"
    """Model offload. What works together, the transformer and its ControlNets, comes and goes together."""
    LAYERS = "in main memory, one layer at a time on the device"
    """Sequential offload: for what runs once per prompt, so that no fixed memory is pinned for it."""
    STREAMED = "in main memory, layers streamed ahead of their use"
    """Group offload at leaf level with a stream of its own: for what runs at every step."""


class Part(StrEnum):
    """Parts of a model, by diffusers' component names."""

    TRANSFORMER = "transformer"
    CONTROLNET = "controlnet"
    TEXT_ENCODER = "text_encoder"
    TEXT_ENCODER_2 = "text_encoder_2"
    IMAGE_ENCODER = "image_encoder"
    VAE = "vae"


class Crew(StrEnum):
    """Parts that work at the same time, and so come and go together."""

    PROMPT = "prompt"
    LOOP = "loop"
    PIXELS = "pixels"


CREWS: Final[Mapping[Part, Crew]] = {
    Part.TEXT_ENCODER: Crew.PROMPT,
    Part.TEXT_ENCODER_2: Crew.PROMPT,
    Part.IMAGE_ENCODER: Crew.PROMPT,
    Part.TRANSFORMER: Crew.LOOP,
    Part.CONTROLNET: Crew.LOOP,
    Part.VAE: Crew.PIXELS,
}


@dataclass(frozen=True, slots=True)
class Keeping:
    """How one part is kept.

    Attributes:
        format: Number format of its weights at rest.
        waits: Where it is while it is not needed.
    """

    format: WeightFormat
    waits: Waiting = Waiting.RESIDENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a profile means.

    Attributes:
        profile: Which one.
        least_bytes: Least memory of a device it is picked for; cards report less than their name says.
        parts: How each part is kept.
        vae_tiling: Whether pictures with a side above `TILE` are encoded and decoded in tiles, which blend.
        vae_slicing: Whether pictures of a batch are encoded and decoded one by one; exact.
        keeps: Checkpoints that paint and stay loaded between edits.
    """

    profile: MemoryProfile
    least_bytes: int
    parts: Mapping[Part, Keeping]
    vae_tiling: bool = True
    vae_slicing: bool = True
    keeps: int = 1

    def keeping(self, part: Part, parameters: int, *, small: int = SMALL_PARAMETERS) -> Keeping:
        """Say how a part of a certain size is kept.

        Args:
            part: Which.
            parameters: How many weights it has.
            small: Below this many it stays whole. Not so the VAE, which takes turns for the sake of the pictures it
                works on, not for its weights.

        Returns:
            Its format and where it waits.
        """
        keeping = self.parts[part]
        if part is Part.VAE or parameters >= small:
            return keeping
        whole = WeightFormat.FLOAT32 if self.profile is MemoryProfile.CPU else WeightFormat.BFLOAT16
        return Keeping(whole)

    @property
    def quantised(self) -> bool:
        """Whether it keeps anything in int4, which takes a library that is not installed by default."""
        return any(each.format is WeightFormat.INT4 for each in self.parts.values())


TILE: Final = 1024
"""Side of the VAE's tiles in pixels: what FLUX likes to paint is never cut."""

_WHOLE: Final = Keeping(WeightFormat.BFLOAT16)
_WHOLE_IN_TURN: Final = Keeping(WeightFormat.BFLOAT16, Waiting.TURNS)
_FP8_IN_TURN: Final = Keeping(WeightFormat.FP8, Waiting.TURNS)
_INT4_IN_TURN: Final = Keeping(WeightFormat.INT4, Waiting.TURNS)
_FP8_STREAMED: Final = Keeping(WeightFormat.FP8, Waiting.STREAMED)
_WHOLE_BY_LAYER: Final = Keeping(WeightFormat.BFLOAT16, Waiting.LAYERS)


def _parts(
    loop: Keeping, prompt: Keeping, *, controlnet: Keeping | None = None, vae: Keeping = _WHOLE
) -> dict[Part, Keeping]:
    return {
        Part.TRANSFORMER: loop,
        Part.CONTROLNET: controlnet or loop,
        Part.TEXT_ENCODER: prompt,
        Part.TEXT_ENCODER_2: prompt,
        # Never layer by layer: SigLIP's last layer reads the weights of another without calling it.
        Part.IMAGE_ENCODER: _WHOLE if prompt == _WHOLE else _WHOLE_IN_TURN,
        Part.VAE: vae,
    }


LAYOUTS: Final[Mapping[MemoryProfile, Layout]] = {
    layout.profile: layout
    for layout in (
        Layout(
            profile=MemoryProfile.GB48,
            least_bytes=46 * GIGABYTE,
            parts=_parts(_WHOLE, _WHOLE),
            vae_tiling=False,
            vae_slicing=False,
        ),
        Layout(
            profile=MemoryProfile.GB24,
            least_bytes=23 * GIGABYTE,
            parts=_parts(_FP8_IN_TURN, _WHOLE_IN_TURN),
        ),
        # The text encoder is whole here: it has the card to itself, and what it says is said once.
        Layout(
            profile=MemoryProfile.GB16,
            least_bytes=15_500_000_000,
            parts=_parts(_INT4_IN_TURN, _WHOLE_IN_TURN, controlnet=_WHOLE_IN_TURN),
        ),
        Layout(
            profile=MemoryProfile.GB12,
            least_bytes=11_500_000_000,
            parts=_parts(_INT4_IN_TURN, _INT4_IN_TURN, vae=_WHOLE_IN_TURN),
        ),
        # fp8, because a streamed layer costs what it weighs, and a computer with such a card seldom has the 34 GB of
        # main memory that bfloat16 takes; not int4, whose packed weights diffusers cannot stream.
        Layout(
            profile=MemoryProfile.GB8,
            least_bytes=5_500_000_000,
            parts=_parts(_FP8_STREAMED, _WHOLE_BY_LAYER),
        ),
        Layout(
            profile=MemoryProfile.CPU,
            least_bytes=0,
            parts=dict.fromkeys(Part, Keeping(WeightFormat.FLOAT32)),
            vae_tiling=False,
            vae_slicing=False,
            keeps=2,
        ),
    )
}

QUANTISER: Final = "bitsandbytes"
"""The library for int4, an optional extra."""

FALLBACK: Final = MemoryProfile.GB8
"""What is picked instead of a profile with int4 where the library for it is not installed."""


def pick_profile(total_bytes: int | None, *, quantiser: bool = True) -> MemoryProfile:
    """Pick the profile for a device.

    Args:
        total_bytes: Memory of the accelerator; None if there is none.
        quantiser: Whether int4 can be had.

    Returns:
        The roomiest profile that fits; `cpu` where none does.
    """
    for layout in LAYOUTS.values():
        if total_bytes is None or total_bytes < layout.least_bytes:
            continue
        if layout.quantised and not quantiser:
            return FALLBACK
        return layout.profile
    return MemoryProfile.CPU


def checkpoints_kept(profile: MemoryProfile, total_bytes: int | None) -> int:
    """Say how many checkpoints that paint stay loaded between edits.

    Args:
        profile: The one in use.
        total_bytes: Memory of the accelerator, or None.

    Returns:
        At least 1; one more for every further 24 GB (a FLUX.1 transformer) of a card beyond 48.
    """
    kept = LAYOUTS[profile].keeps
    if profile is MemoryProfile.GB48 and total_bytes is not None:
        kept += max(total_bytes - LAYOUTS[profile].least_bytes, 0) // (24 * GIGABYTE)
    return kept


def reason_of(picked: MemoryProfile, device: str, total_bytes: int | None, *, quantiser: bool) -> str:
    """Say in words why a profile was picked.

    Args:
        picked: The profile.
        device: Name of the device.
        total_bytes: Memory of the accelerator, or None.
        quantiser: Whether int4 can be had.

    Returns:
        Such as `cuda:0 has 25.3 GB`.
    """
    if total_bytes is None:
        return "there is no accelerator"
    said = f"{device} has {total_bytes / GIGABYTE:.1f} GB"
    roomier = pick_profile(total_bytes)
    if not quantiser and roomier is not picked:
        said += f"; {roomier.value} would fit, and be faster, with {QUANTISER}: pip install 'flux-studio[quantised]'"
    return said
