"""Placing: which device a worker uses, in which number format it computes, and under which memory profile."""

from dataclasses import dataclass

import torch

from editing.diffusion.devices import pick_device, torch_dtype
from editing.diffusion.formats import check_quantiser, has_quantiser
from editing.diffusion.settings import EngineSettings
from editing.errors import EngineError
from editing.memory import MemoryProfile, checkpoints_kept, pick_profile, reason_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where and how models run.

    Attributes:
        device: The device.
        dtype: What is computed in.
        profile: How weights are kept.
        reason: Why that profile, in words.
        total_bytes: The device's memory; None for main memory.
    """

    device: torch.device
    dtype: torch.dtype
    profile: MemoryProfile
    reason: str = ""
    total_bytes: int | None = None

    @property
    def keeps(self) -> int:
        """How many checkpoints that paint stay loaded between edits."""
        return checkpoints_kept(self.profile, self.total_bytes)


def place(settings: EngineSettings) -> Place:
    """Decide where and how models run.

    Args:
        settings: The engine's settings.

    Returns:
        The device of the settings, or the accelerator if there is one, or the CPU; bfloat16 on an accelerator and
        float32 on the CPU, unless the settings say otherwise; the profile of the settings, or what fits the device.

    Raises:
        EngineError: `device_unknown`; `offload_unavailable`, for a profile of accelerators on the CPU;
            `memory_unsuitable`, for the CPU's on an accelerator; `quantiser_missing`.
    """
    device = pick_device(settings)
    total = device_bytes(device)
    profile, reason = _profile(settings.memory, device, total)
    return Place(
        device=device, dtype=torch_dtype(settings.dtype, device), profile=profile, reason=reason, total_bytes=total
    )


def device_bytes(device: torch.device) -> int | None:
    """Ask how much memory an accelerator has.

    Args:
        device: A device.

    Returns:
        Bytes, or None for main memory.
    """
    if device.type == "cpu":
        return None
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory())
    return int(torch.accelerator.get_memory_info(device)[1])


def _profile(asked: MemoryProfile | None, device: torch.device, total: int | None) -> tuple[MemoryProfile, str]:
    if asked is None:
        picked = pick_profile(total, quantiser=has_quantiser())
        return picked, reason_of(picked, str(device), total, quantiser=has_quantiser())
    if asked is not MemoryProfile.CPU and device.type == "cpu":
        raise EngineError(
            f"memory profile {asked.value} needs an accelerator, and the device is {device}; "
            f"use {MemoryProfile.CPU.value} or auto",
            code="offload_unavailable",
            field="memory",
            value=asked.value,
            limit=MemoryProfile.CPU.value,
        )
    if asked is MemoryProfile.CPU and device.type != "cpu":
        raise EngineError(
            f"memory profile {asked.value} is for main memory, and the device is {device}; name the device cpu, or "
            "another profile",
            code="memory_unsuitable",
            field="memory",
            value=asked.value,
            limit=pick_profile(total, quantiser=has_quantiser()).value,
        )
    check_quantiser(asked)
    return asked, "named in the settings"
