"""What this machine can hold, asked without torch: importing it would take longer than the answer is worth."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from typing import Final

from editing.memory import LAYOUTS, QUANTISER, Layout, MemoryProfile, pick_profile, reason_of
from studio.settings import Settings

_MEBIBYTE: Final = 1 << 20
_PATIENCE_SECONDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The memory profile that a worker with these settings would use.

    Attributes:
        layout: The profile, and what it means.
        reason: Why that one.
        device: Name of the accelerator, or `cpu`.
        total_bytes: Its memory; None for main memory.
    """

    layout: Layout
    reason: str
    device: str
    total_bytes: int | None


def memory_of(settings: Settings) -> Memory:
    """Say which memory profile a worker would use here.

    Args:
        settings: The installation's.

    Returns:
        The profile and why. Accelerators other than NVIDIA's are not seen here; a worker asks torch itself.
    """
    card = None if settings.device == "cpu" else _card(settings.device)
    device, total = card or ("cpu", None)
    quantiser = find_spec(QUANTISER) is not None
    if settings.memory == "auto":
        profile = pick_profile(total, quantiser=quantiser)
        reason = reason_of(profile, device, total, quantiser=quantiser)
    else:
        profile = MemoryProfile(settings.memory)
        reason = "STUDIO_MEMORY names it"
        if total is None and profile is not MemoryProfile.CPU:
            reason += "; but no accelerator was found here, and a worker would refuse it"
        elif LAYOUTS[profile].quantised and not quantiser:
            reason += f"; but a worker would refuse it without {QUANTISER}: pip install 'flux-studio[quantised]'"
    return Memory(layout=LAYOUTS[profile], reason=reason, device=device, total_bytes=total)


def _card(device: str) -> tuple[str, int] | None:
    """Name and memory of the NVIDIA card that torch would take."""
    smi = shutil.which("nvidia-smi")
    if smi is None or metadata.version("torch").endswith("+cpu"):
        return None
    query = [smi, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        query.append(f"--id={visible}")
    try:
        said = subprocess.run(query, capture_output=True, text=True, check=True, timeout=_PATIENCE_SECONDS).stdout  # noqa: S603 - a fixed command
        name, mebibytes = said.splitlines()[int(device.partition(":")[2] or 0)].rsplit(",", 1)
        return name.strip(), int(mebibytes) * _MEBIBYTE
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
