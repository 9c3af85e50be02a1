"""Nets: controlnet-aux's networks from local files, which are read as tensors and as nothing else."""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, TypeAlias

import torch

from editing.diffusion.quiet import quiet_libraries  # imports the shim before controlnet-aux

Build: TypeAlias = Callable[[], torch.nn.Module]
_WRAPPERS = ("state_dict", "model")


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Keep libraries from printing and warning while the block runs.

    controlnet-aux warns, on import, of what it was not installed with; timm prints what it builds; sigmoids overflow.
    """
    with quiet_libraries(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _hed() -> torch.nn.Module:
    from controlnet_aux.hed import ControlNetHED_Apache2

    return ControlNetHED_Apache2()  # type: ignore[no-any-return]


def _pidinet() -> torch.nn.Module:
    from controlnet_aux.pidi.model import pidinet

    return pidinet()  # type: ignore[no-any-return]


def _teed() -> torch.nn.Module:
    from controlnet_aux.teed.ted import TED

    return TED()  # type: ignore[no-any-return]


def _lineart() -> torch.nn.Module:
    from controlnet_aux.lineart import Generator

    return Generator(3, 1, 3)  # type: ignore[no-any-return]


def _lineart_anime() -> torch.nn.Module:
    from controlnet_aux.lineart_anime import UnetGenerator

    # it asks a partial what it makes, to know whether its convolutions have biases; the published ones have
    norm = partial(torch.nn.InstanceNorm2d, affine=False, track_running_stats=False)
    return UnetGenerator(3, 1, 8, 64, norm_layer=norm, use_dropout=False)  # type: ignore[no-any-return]


def _midas() -> torch.nn.Module:
    from controlnet_aux.midas.midas.dpt_depth import DPTDepthModel

    return DPTDepthModel(path=None, backbone="vitb_rn50_384", non_negative=True)  # type: ignore[no-any-return]


def _normalbae() -> torch.nn.Module:
    from controlnet_aux.normalbae.nets.NNET import NNET

    options = {"architecture": "BN", "pretrained": "scannet", "sampling_ratio": 0.4, "importance_ratio": 0.7}
    return NNET(SimpleNamespace(mode="client", **options))  # type: ignore[no-any-return]


def _openpose() -> torch.nn.Module:
    from controlnet_aux.open_pose.model import bodypose_model

    return bodypose_model()  # type: ignore[no-any-return]


BUILDS: Final[Mapping[str, Build]] = {
    "hed": _hed,
    "pidinet": _pidinet,
    "teed": _teed,
    "lineart": _lineart,
    "lineart-coarse": _lineart,
    "lineart-anime": _lineart_anime,
    "midas-dpt-hybrid": _midas,
    "normalbae": _normalbae,
    "openpose": _openpose,
}
"""The networks by their names in the catalogue."""


def build(name: str) -> torch.nn.Module:
    """Build a network with weights at random; torch's own generator is as it was afterwards.

    Args:
        name: Its name in the catalogue.

    Returns:
        The network on the CPU, in float32, for inference.
    """
    with hushed(), torch.random.fork_rng(devices=[]):
        return BUILDS[name]().float().eval().requires_grad_(requires_grad=False)


def load(name: str, file: Path, device: torch.device) -> torch.nn.Module:
    """Load a network.

    Args:
        name: Its name in the catalogue.
        file: Its weights, a pickle of tensors; anything else in it is refused.
        device: Where it shall run.

    Returns:
        The network there, in float32 (HED was published in float16), for inference.

    Raises:
        OSError, RuntimeError, ValueError, LookupError, pickle.UnpicklingError: The file is not these weights.
    """
    net = build(name)
    tensors = _tensors(file)
    if name == "openpose":  # published without the names of the two branches
        own = {key.split(".", 1)[1]: key for key in net.state_dict()}
        tensors = {own.get(key, key): tensor for key, tensor in tensors.items()}
    net.load_state_dict(tensors)
    return net.to(device)


def _tensors(file: Path) -> dict[str, Any]:
    """The tensors of a file, however they were wrapped by who saved them."""
    loaded = torch.load(file, map_location="cpu", weights_only=True)
    for wrapper in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping) or not all(isinstance(each, torch.Tensor) for each in loaded.values()):
        raise ValueError(f"{file.name} holds no table of tensors")
    return {key.replace("module.", ""): tensor for key, tensor in loaded.items()}
