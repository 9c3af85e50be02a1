"""Let a CUDA-built torchvision import beside a CPU build of torch.

PyPI's torchvision is linked against CUDA torch. Beside a CPU build its C++ library cannot be loaded, and then
`import torchvision`, and with it transformers and diffusers, dies of `operator torchvision::nms does not exist`.
Declaring the two operators that torchvision's Python code registers against lets all of it import; only a call of a
compiled operator would fail, and no FLUX pipeline makes one. Nothing happens where the library loads.
"""

import importlib.util
from pathlib import Path

import torch

_SCHEMA = "{}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_kept: list[torch.library.Library] = []  # an operator lives as long as the library object that declared it


def ensure_torchvision() -> bool:
    """Make torchvision importable; call before anything imports transformers, diffusers or controlnet-aux.

    Returns:
        True if the operators had to be declared, now or before; False if torchvision is whole, or not installed.
    """
    if _kept:
        return True
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    try:
        for library in Path(spec.origin).parent.glob("_C*.so"):
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
    except OSError:
        pass  # linked against CUDA, and torch is not
    if hasattr(torch.ops.torchvision, "nms"):
        return False
    fragment = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        fragment.define(_SCHEMA.format(name))  # type: ignore[no-untyped-call]
    _kept.append(fragment)
    return True
