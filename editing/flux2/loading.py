"""Loading: from a FLUX.2 [klein] folder to models in memory, safetensors only and never from the network."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from editing.checkpoints import Checkpoint
from editing.diffusion.memory import Residency
from editing.diffusion.quiet import quiet_libraries  # imports the shim before diffusers
from editing.diffusion.rooms import UsedWeights
from editing.diffusion.settings import EngineSettings
from editing.diffusion.weights import Digests, locate, of_part, reading
from editing.errors import EngineError
from editing.flux2.latents import Normalisation

from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2Transformer2DModel  # isort: skip
from transformers import Qwen2TokenizerFast, Qwen3ForCausalLM  # isort: skip

TEXT_LAYERS = (9, 18, 27)
"""Layers of the text encoder that the transformer reads, the embeddings counted as layer 0."""
MODELS = {"transformer": Flux2Transformer2DModel, "vae": AutoencoderKLFlux2, "text_encoder": Qwen3ForCausalLM}
"""The models of a checkpoint, by the folders they lie in."""
_SHAREABLE = ("vae", "text_encoder")
_CLASSES = {
    "_class_name": "Flux2KleinPipeline",
    "transformer": "Flux2Transformer2DModel",
    "vae": "AutoencoderKLFlux2",
    "text_encoder": "Qwen3ForCausalLM",
    "scheduler": "FlowMatchEulerDiscreteScheduler",
}
"""What a folder's index names, by its keys."""
_TOKENIZER_FILES = frozenset({".json", ".jinja", ".txt"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedKlein:
    """A checkpoint in memory.

    Attributes:
        checkpoint: The catalogue's entry.
        revision: `local`, or the commit on the hub.
        digests: SHA-256 of every file loaded, by path within the folder.
        transformer: diffusers' Flux2Transformer2DModel.
        vae: diffusers' AutoencoderKLFlux2.
        normalisation: Of the VAE's latents.
        text_encoder: transformers' Qwen3ForCausalLM, without the layers that nothing reads.
        tokenizer: transformers' Qwen2 tokenizer, with its chat template.
        scheduler: A pattern: each run builds its own from its settings, for a scheduler remembers the last run.
    """

    checkpoint: Checkpoint
    revision: str
    digests: Mapping[str, str]
    transformer: Any
    vae: Any
    normalisation: Normalisation
    text_encoder: Any
    tokenizer: Any
    scheduler: Any

    @property
    def models(self) -> Mapping[str, Any]:
        """The models alone, by the folders they lie in."""
        return {part: getattr(self, part) for part in MODELS}

    @property
    def used(self) -> UsedWeights:
        """What the record says about it."""
        return UsedWeights(name=self.checkpoint.name, revision=self.revision, digests=self.digests)

    def part_digests(self, part: str) -> tuple[str, ...]:
        """Name the files of one part.

        Args:
            part: Such as `vae`.

        Returns:
            The digests of its files.
        """
        return of_part(self.digests, part)


class KleinShelf:
    """Loads checkpoints and keeps the last; the next one takes over every text encoder and VAE of the same files.

    What can be judged without loading is judged while the last one still stands, so that a folder that is missing,
    incomplete or of another kind changes nothing.
    """

    def __init__(self, settings: EngineSettings, residency: Residency) -> None:
        """Set up; nothing is loaded yet.

        Args:
            settings: The engine's settings.
            residency: Where models wait, and in which number format.
        """
        self._settings = settings
        self._residency = residency
        self._digests = Digests()
        self._kept: LoadedKlein | None = None

    def get(self, checkpoint: Checkpoint) -> LoadedKlein:
        """Hand out a checkpoint, loading it if it is not on the shelf.

        Args:
            checkpoint: The catalogue's entry.

        Returns:
            The loaded checkpoint; the same objects until another takes its place.

        Raises:
            EngineError: `weights_missing`, `revision_unpinned`, `weights_unreadable` or `weights_unsuitable`.
        """
        if self._kept is not None and self._kept.checkpoint == checkpoint:
            return self._kept
        location = locate(checkpoint, self._settings)
        with reading(checkpoint, location.folder):
            _check_kind(checkpoint, location.folder)
            digests = self._digested(checkpoint, location.folder)
            shared = self._take_down(digests)
            with quiet_libraries():
                parts = self._load(location.folder, shared)
        self._kept = LoadedKlein(checkpoint=checkpoint, revision=location.revision, digests=digests, **parts)
        return self._kept

    def release(self) -> None:
        """Let go of what is kept."""
        self._kept = None
        self._residency.free()

    def _digested(self, checkpoint: Checkpoint, folder: Path) -> dict[str, str]:
        digests = self._digests.of_parts(checkpoint, folder)
        for file in digests:
            with safe_open(folder / file, framework="pt"):  # reads the header: a file that was cut off is refused
                pass
        tokenizer = sorted(file for file in (folder / "tokenizer").iterdir() if file.suffix in _TOKENIZER_FILES)
        if not {"tokenizer.json", "vocab.json"} & {file.name for file in tokenizer}:
            # transformers would make one that knows no words
            raise EngineError(
                f"{checkpoint.name} has no tokenizer in {folder}",
                code="weights_missing",
                field="checkpoint",
                value=checkpoint.name,
                limit="tokenizer/tokenizer.json",
            )
        return digests | {file.relative_to(folder).as_posix(): self._digests.of(file) for file in tokenizer}

    def _take_down(self, digests: Mapping[str, str]) -> dict[str, Any]:
        """Empty the shelf, but for what the next checkpoint would load again."""
        kept = self._kept
        shared: dict[str, Any] = {}
        if kept is not None:
            same = [part for part in _SHAREABLE if kept.part_digests(part) == of_part(digests, part)]
            shared = {part: getattr(kept, part) for part in same}
            if "vae" in same:
                shared["normalisation"] = kept.normalisation
            del kept
            self.release()
        return shared

    def _load(self, folder: Path, shared: Mapping[str, Any]) -> dict[str, Any]:
        parts = dict(shared)
        for part, model_class in MODELS.items():
            if part in shared:
                continue
            options = self._residency.load_options(part)
            model = model_class.from_pretrained(folder / part, local_files_only=True, use_safetensors=True, **options)
            if part == "text_encoder":
                _drop_unread_layers(model)
            if part == "vae":
                parts["normalisation"] = Normalisation.of(model)
            parts[part] = model.eval()
            self._residency.settle({part: model})
        scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler", local_files_only=True)
        tokenizer = Qwen2TokenizerFast.from_pretrained(folder / "tokenizer", local_files_only=True)
        return {**parts, "scheduler": scheduler, "tokenizer": tokenizer}


def _drop_unread_layers(text_encoder: Any) -> None:
    """Free the layers behind the last that is read: a quarter of the text encoder, and of its time.

    One more is kept than is read: the state behind the very last would come out normalised.
    """
    del text_encoder.model.layers[TEXT_LAYERS[-1] + 1 :]


def _check_kind(checkpoint: Checkpoint, folder: Path) -> None:
    """Refuse a folder that holds another kind of weights than its name says, before anything is loaded."""
    index = _read(folder / "model_index.json")
    for part, expected in _CLASSES.items():
        named = index.get(part)
        found = named[-1] if isinstance(named, list) else named
        if found != expected:
            raise _unsuitable(checkpoint, f"takes {expected} as its {part}, its folder names {found}", found, expected)
    distilled = checkpoint.negative_cfg is None
    if bool(index.get("is_distilled", False)) is not distilled:
        kinds = ("distilled", "undistilled") if distilled else ("undistilled", "distilled")
        raise _unsuitable(checkpoint, f"is {kinds[0]}, its weights are {kinds[1]}", kinds[1], kinds[0])
    transformer, vae, text = (_read(folder / part / "config.json") for part in MODELS)
    fits = {
        "in_channels": 4 * vae["latent_channels"],
        "joint_attention_dim": len(TEXT_LAYERS) * text["hidden_size"],
        "guidance_embeds": False,
    }
    for setting, wanted in fits.items():
        if transformer[setting] != wanted:
            given = transformer[setting]
            raise _unsuitable(checkpoint, f"takes {setting} {wanted}, its transformer has {given}", given, wanted)


def _read(file: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return values


def _unsuitable(checkpoint: Checkpoint, reason: str, value: object, limit: object) -> EngineError:
    return EngineError(
        f"{checkpoint.name} {reason}", code="weights_unsuitable", field="checkpoint", value=value, limit=limit
    )
