"""Devices: where models run, and in which number format."""

import torch

from editing.diffusion.settings import EngineSettings, WeightsDtype
from editing.errors import EngineError
from editing.memory import MemoryProfile


def torch_dtype(dtype: WeightsDtype | None, device: torch.device) -> torch.dtype:
    """Choose what is computed in.

    Args:
        dtype: What the settings say.
        device: Where the model runs.

    Returns:
        bfloat16 on an accelerator and float32 on the CPU, unless the settings say otherwise.
    """
    if dtype is None:
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    return {WeightsDtype.FLOAT32: torch.float32, WeightsDtype.BFLOAT16: torch.bfloat16}[dtype]


def pick_device(settings: EngineSettings) -> torch.device:
    """Choose where the model runs.

    Args:
        settings: The engine's settings.

    Returns:
        The device of the settings, or the accelerator if there is one and the memory profile is not the CPU's, or the
        CPU.

    Raises:
        EngineError: `device_unknown`.
    """
    if settings.device is None and settings.memory is MemoryProfile.CPU:
        return torch.device("cpu")
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    try:
        device = torch.device(settings.device) if settings.device else (accelerator or torch.device("cpu"))
    except RuntimeError as error:
        raise EngineError(
            f"there is no device {settings.device!r}; name one such as cpu or cuda:0",
            code="device_unknown",
            field="device",
            value=settings.device,
        ) from error
    if device.type != "cpu" and (accelerator is None or device.type != accelerator.type):
        raise EngineError(
            f"there is no device {settings.device!r} on this machine; there is {accelerator or 'cpu'}",
            code="device_unknown",
            field="device",
            value=settings.device,
            limit=[str(accelerator or "cpu")],
        )
    return device
