"""Loading: from a checkpoint's folder to models in memory, safetensors only and never from the network."""

import gc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from editing.catalogue import Checkpoint, Family
from editing.diffusion.quiet import quiet_libraries  # imports the shim before diffusers
from editing.diffusion.settings import EngineSettings, MemoryProfile, WeightsDtype
from editing.diffusion.weights import PIPELINE_PARTS, Digests, locate
from editing.errors import EngineError
from editing.flux.inpainting import MASK_CHANNELS, InpaintingControlNet

from diffusers import FluxControlNetModel, FluxFillPipeline, FluxPipeline  # isort: skip

BASE_CHANNELS = 64
FILL_CHANNELS = 384
_SHAREABLE = ("vae", "text_encoder", "text_encoder_2")
_LOADED = (*PIPELINE_PARTS, "tokenizer", "tokenizer_2", "scheduler")
_LOADING_ERRORS = (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedCheckpoint:
    """A checkpoint in memory.

    Attributes:
        checkpoint: The catalogue's entry.
        revision: `packaged`, `local`, or the commit on the hub.
        digests: SHA-256 of every weight file loaded, by path within the folder.
        parts: The models, tokenizers and scheduler by diffusers' component name; a ControlNet has one, `controlnet`.
    """

    checkpoint: Checkpoint
    revision: str
    digests: Mapping[str, str]
    parts: Mapping[str, Any]

    def part_digest(self, part: str) -> tuple[str, ...]:
        """Name the weights of one part.

        Args:
            part: Component name.

        Returns:
            The digests of its files.
        """
        return tuple(digest for file, digest in sorted(self.digests.items()) if file.startswith(f"{part}/"))


class CheckpointShelf:
    """Loads checkpoints and keeps a few: one base, one Fill and one ControlNet, or with offload one pipeline.

    Base and Fill share every text encoder and VAE whose files are the same. A ControlNet for inpainting takes the
    place of another ControlNet: no run uses two.
    """

    def __init__(self, settings: EngineSettings, *, device: torch.device, dtype: torch.dtype) -> None:
        self._settings = settings
        self._device = device
        self._dtype = dtype
        self._digests = Digests()
        self._kept: dict[Family, LoadedCheckpoint] = {}

    def get(self, checkpoint: Checkpoint) -> LoadedCheckpoint:
        """Hand out a checkpoint, loading it if it is not on the shelf.

        Args:
            checkpoint: The catalogue's entry.

        Returns:
            The loaded checkpoint; the same objects until another of its family takes its place.

        Raises:
            EngineError: `weights_missing`, `revision_unpinned`, `weights_unreadable` or `weights_unsuitable`.
        """
        kept = self._kept.get(checkpoint.family)
        if kept is not None and kept.checkpoint == checkpoint:
            return kept
        self._make_room(checkpoint)
        location = locate(checkpoint, self._settings)
        digests = self._digests.of_parts(checkpoint, location.folder)
        try:
            with quiet_libraries():
                parts = self._load(checkpoint, location.folder, digests)
        except _LOADING_ERRORS as error:
            raise EngineError(
                f"the weights of {checkpoint.name} in {location.folder} cannot be loaded: {error}",
                code="weights_unreadable",
                field="checkpoint",
                value=checkpoint.name,
            ) from error
        loaded = LoadedCheckpoint(checkpoint=checkpoint, revision=location.revision, digests=digests, parts=parts)
        _check_channels(loaded)
        self._kept[checkpoint.family] = loaded
        return loaded

    def _make_room(self, checkpoint: Checkpoint) -> None:
        evicted = [checkpoint.family]
        if self._settings.memory is not MemoryProfile.RESIDENT and checkpoint.family is not Family.CONTROLNET:
            evicted = [Family.BASE, Family.FILL]
        if not [self._kept.pop(family) for family in evicted if family in self._kept]:
            return
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _load(self, checkpoint: Checkpoint, folder: Path, digests: Mapping[str, str]) -> dict[str, Any]:
        options = {"local_files_only": True, "use_safetensors": True, "dtype": self._dtype}
        if checkpoint.family is Family.CONTROLNET:
            net_class = FluxControlNetModel if checkpoint.inpainting is None else InpaintingControlNet
            return {"controlnet": self._placed(net_class.from_pretrained(folder, **options).eval())}
        pipeline_class = FluxFillPipeline if checkpoint.family is Family.FILL else FluxPipeline
        pipeline = pipeline_class.from_pretrained(folder, **options, **self._shared(digests))
        parts = {name: getattr(pipeline, name) for name in _LOADED}
        for name in PIPELINE_PARTS:
            parts[name] = self._placed(parts[name].eval())
        return parts

    def _shared(self, digests: Mapping[str, str]) -> dict[str, Any]:
        shared = {}
        for kept in self._kept.values():
            for part in _SHAREABLE:
                wanted = tuple(digest for file, digest in sorted(digests.items()) if file.startswith(f"{part}/"))
                if wanted and kept.part_digest(part) == wanted:
                    shared[part] = kept.parts[part]
        return shared

    def _placed(self, model: Any) -> Any:
        return model.to(self._device) if self._settings.memory is MemoryProfile.RESIDENT else model


def _check_channels(loaded: LoadedCheckpoint) -> None:
    """Refuse a folder that holds another kind of weights than its name says."""
    family = loaded.checkpoint.family
    model = loaded.parts["controlnet" if family is Family.CONTROLNET else "transformer"]
    expected = FILL_CHANNELS if family is Family.FILL else BASE_CHANNELS
    channels = int(model.config.in_channels)
    if loaded.checkpoint.inpainting is not None:
        expected = BASE_CHANNELS + MASK_CHANNELS
        channels = int(model.controlnet_x_embedder.in_features)
    if channels != expected:
        raise EngineError(
            f"{loaded.checkpoint.name} reads {expected} channels, its weights {channels}",
            code="weights_unsuitable",
            field="checkpoint",
            value=channels,
            limit=expected,
        )


def torch_dtype(dtype: WeightsDtype | None, device: torch.device) -> torch.dtype:
    """Choose the number format of the weights.

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
        The device of the settings, or the accelerator if there is one, or the CPU.

    Raises:
        EngineError: `device_unknown`; `offload_unavailable`, if the memory profile needs an accelerator that is not
            there.
    """
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
    if settings.memory is not MemoryProfile.RESIDENT and (accelerator is None or device.type == "cpu"):
        raise EngineError(
            f"memory profile {settings.memory.value} needs an accelerator, and the device is {device}; "
            f"use {MemoryProfile.RESIDENT.value}",
            code="offload_unavailable",
            field="memory",
            value=settings.memory.value,
            limit=MemoryProfile.RESIDENT.value,
        )
    return device
