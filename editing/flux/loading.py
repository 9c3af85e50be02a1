"""Loading: from a checkpoint's folder to models in memory, safetensors only and never from the network."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from editing.checkpoints import Checkpoint, Family
from editing.diffusion.memory import Residency
from editing.diffusion.quiet import quiet_libraries  # imports the shim before diffusers
from editing.diffusion.rooms import UsedWeights
from editing.diffusion.settings import EngineSettings
from editing.diffusion.weights import ADAPTER_FILE, PIPELINE_PARTS, Digests, locate, of_part, reading
from editing.errors import EngineError
from editing.flux.inpainting import MASK_CHANNELS, InpaintingControlNet

from diffusers import FluxControlNetModel, FluxPipeline, FluxPriorReduxPipeline  # isort: skip
from transformers import CLIPVisionModelWithProjection  # isort: skip

BASE_CHANNELS = 64
_CHANNELS = {Family.FILL: 384, Family.CONTROL: 128}
_SHAREABLE = ("vae", "text_encoder", "text_encoder_2")
_LOADED = (*PIPELINE_PARTS, "tokenizer", "tokenizer_2", "scheduler")
_KEPT = {Family.CONTROLNET: 2, Family.REDUX: 1, Family.IP_ADAPTER: 1}
"""Checkpoints of a family that stay loaded beside those of the edit in hand; one of every other family."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedCheckpoint:
    """A checkpoint in memory.

    Attributes:
        checkpoint: The catalogue's entry.
        revision: `packaged`, `local`, or the commit on the hub.
        digests: SHA-256 of every weight file loaded, by path within the folder.
        parts: The models, tokenizers and scheduler by diffusers' component name; a ControlNet has one, `controlnet`.
        words: Digests of its tokenizers' files: two with the same encoders may read a prompt differently.
    """

    checkpoint: Checkpoint
    revision: str
    digests: Mapping[str, str]
    parts: Mapping[str, Any]
    words: tuple[str, ...] = ()

    @property
    def used(self) -> UsedWeights:
        """What the record says about it."""
        return UsedWeights(name=self.checkpoint.name, revision=self.revision, digests=self.digests)

    def part_digest(self, part: str) -> tuple[str, ...]:
        """Name the weights of one part.

        Args:
            part: Component name.

        Returns:
            The digests of its files.
        """
        return of_part(self.digests, part)


class CheckpointShelf:
    """Loads checkpoints and keeps a few.

    As many that paint stay as the memory profile says, at most one of each family,
    two ControlNets and one of each adapter.

    What an edit needs stays, however many ControlNets that is. Those that paint share every text encoder and
    autoencoder whose files are the same.
    """

    def __init__(self, settings: EngineSettings, residency: Residency, *, keeps: int) -> None:
        self._settings = settings
        self._residency = residency
        self._keeps = keeps
        self._digests = Digests()
        self._kept: dict[str, LoadedCheckpoint] = {}

    def get(self, checkpoint: Checkpoint, *, beside: Collection[str] = ()) -> LoadedCheckpoint:
        """Hand out a checkpoint, loading it if it is not on the shelf.

        Args:
            checkpoint: The catalogue's entry.
            beside: Names of the other checkpoints of the same edit, which stay.

        Returns:
            The loaded checkpoint; the same objects until others of its family take its place.

        Raises:
            EngineError: `weights_missing`, `revision_unpinned`, `weights_unreadable` or `weights_unsuitable`.
        """
        kept = self._kept.pop(checkpoint.name, None)
        if kept is not None and kept.checkpoint == checkpoint:
            self._kept[checkpoint.name] = kept  # the latest last
            return kept
        location = locate(checkpoint, self._settings)
        digests = self._digests.of_parts(checkpoint, location.folder)
        self._make_room(checkpoint, beside)
        with reading(checkpoint, location.folder), quiet_libraries():
            parts = self._load(checkpoint, location.folder, digests)
        loaded = LoadedCheckpoint(
            checkpoint=checkpoint,
            revision=location.revision,
            digests=digests,
            parts=parts,
            words=tuple(self._digests.of(file) for file in sorted(location.folder.glob("tokenizer*/*.*"))),
        )
        _check_channels(loaded)
        self._kept[checkpoint.name] = loaded
        return loaded

    def _make_room(self, checkpoint: Checkpoint, beside: Collection[str]) -> None:
        """Let go of the oldest that this one takes the place of."""
        kept = list(self._kept.values())
        evicted = _surplus(
            [each for each in kept if each.checkpoint.family is checkpoint.family],
            most=1 if checkpoint.paints else _KEPT.get(checkpoint.family, 1),
            beside=beside,
        )
        if checkpoint.paints:
            left = [each for each in kept if each.checkpoint.paints and each.checkpoint.name not in evicted]
            evicted |= _surplus(left, most=self._keeps, beside=beside)
        for name in evicted:
            del self._kept[name]
        if evicted:
            self._residency.free()

    def release(self) -> None:
        """Let go of every checkpoint."""
        self._kept.clear()
        self._residency.free()

    def _load(self, checkpoint: Checkpoint, folder: Path, digests: Mapping[str, str]) -> dict[str, Any]:
        options = {"local_files_only": True, "use_safetensors": True, "dtype": self._residency.dtype}
        loaders: dict[Family, Callable[[], dict[str, Any]]] = {
            Family.CONTROLNET: lambda: self._controlnet(checkpoint, folder, options),
            Family.REDUX: lambda: self._redux(folder, options),
            Family.IP_ADAPTER: lambda: self._adapter(folder, options),
        }
        if checkpoint.family in loaders:
            return loaders[checkpoint.family]()
        pipeline = FluxPipeline.from_pretrained(folder, **options, **self._shared(digests))
        parts = {name: getattr(pipeline, name) for name in _LOADED}
        for name in PIPELINE_PARTS:
            self._residency.settle({name: parts[name].eval()})
        return parts

    def _controlnet(self, checkpoint: Checkpoint, folder: Path, options: Mapping[str, Any]) -> dict[str, Any]:
        net_class = FluxControlNetModel if checkpoint.inpainting is None else InpaintingControlNet
        net = net_class.from_pretrained(folder, **options).eval()
        self._residency.settle({"controlnet": net})
        return {"controlnet": net}

    def _redux(self, folder: Path, options: Mapping[str, Any]) -> dict[str, Any]:
        pipeline = FluxPriorReduxPipeline.from_pretrained(folder, **options)
        parts = {name: getattr(pipeline, name) for name in ("image_encoder", "image_embedder", "feature_extractor")}
        self._residency.settle({"image_encoder": parts["image_encoder"].eval()})
        # No layer of the loop, and small: it is kept as the encoder's last layer would be.
        self._residency.settle({"image_encoder:embedder": parts["image_embedder"].eval()})
        return parts

    def _adapter(self, folder: Path, options: Mapping[str, Any]) -> dict[str, Any]:
        encoder = CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder", **options).eval()
        self._residency.settle({"image_encoder": encoder})
        return {"image_encoder": encoder, "weights": load_file(folder / ADAPTER_FILE)}

    def _shared(self, digests: Mapping[str, str]) -> dict[str, Any]:
        shared = {}
        for kept in self._kept.values():
            for part in _SHAREABLE:
                wanted = of_part(digests, part)
                if wanted and kept.part_digest(part) == wanted:
                    shared[part] = kept.parts[part]
        return shared


def _surplus(loaded: Sequence[LoadedCheckpoint], *, most: int, beside: Collection[str]) -> set[str]:
    """Of checkpoints that take each other's place, the oldest that go for one more; what the edit needs stays."""
    free = [each.checkpoint.name for each in loaded if each.checkpoint.name not in beside]
    return set(free[: max(0, len(loaded) + 1 - most)])


def _check_channels(loaded: LoadedCheckpoint) -> None:
    """Refuse a folder that holds another kind of weights than its name says."""
    family = loaded.checkpoint.family
    if family in {Family.REDUX, Family.IP_ADAPTER}:
        return
    model = loaded.parts["controlnet" if family is Family.CONTROLNET else "transformer"]
    expected = _CHANNELS.get(family, BASE_CHANNELS)
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
