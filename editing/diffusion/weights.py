"""Weights on disk: which folder holds a checkpoint, which files of it are loaded, and their digests."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from editing.catalogue import Checkpoint, Family
from editing.diffusion.settings import EngineSettings
from editing.errors import EngineError
from editing.zoo.detectors import PICKLED

PACKAGED = Path(__file__).resolve().parents[1] / "mini" / "weights"
PIPELINE_PARTS = ("transformer", "vae", "text_encoder", "text_encoder_2")
ADAPTER_FILE = "ip_adapter.safetensors"
_PARTS = {
    Family.KLEIN: ("transformer", "vae", "text_encoder"),
    Family.CONTROLNET: ("",),
    Family.DETECTOR: ("",),
    Family.REDUX: ("image_encoder", "image_embedder"),
    Family.IP_ADAPTER: ("image_encoder",),
}
"""Folders of models within a checkpoint's folder; a pipeline's for every family that is not named."""
_MARKERS = {
    Family.CONTROLNET: "config.json",
    Family.DETECTOR: "config.json",
    Family.IP_ADAPTER: ADAPTER_FILE,
    Family.LORA: "*.safetensors",
    Family.CONTROL_LORA: "*.safetensors",
}
"""A file by which a checkpoint's folder is known; a pipeline's index for every family that is not named."""
_STEMS = ("diffusion_pytorch_model", "model")
_CHUNK = 1 << 20
_READING_ERRORS = (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError, SafetensorError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where a checkpoint lies.

    Attributes:
        folder: Its folder, in diffusers' layout.
        revision: `packaged`, `local`, or the commit on the hub.
    """

    folder: Path
    revision: str


def locate(checkpoint: Checkpoint, settings: EngineSettings) -> Location:
    """Find a checkpoint's folder: the settings' first, then the packaged one, then the hub's cache. Downloads nothing.

    Args:
        checkpoint: The catalogue's entry.
        settings: The engine's settings.

    Returns:
        Its folder and revision.

    Raises:
        EngineError: `weights_missing`, or `revision_unpinned` for a hub checkpoint that nobody pins.
    """
    local = settings.weights.get(checkpoint.name)
    if local is not None:
        return Location(folder=_existing(Path(local), checkpoint), revision="local")
    if checkpoint.packaged is not None:
        return Location(folder=_existing(PACKAGED / checkpoint.packaged, checkpoint), revision="packaged")
    return _in_hub_cache(checkpoint, settings)


def at_hand(checkpoint: Checkpoint, settings: EngineSettings) -> bool:
    """Say whether a checkpoint lies on this machine; no file is read, and nothing downloaded.

    Args:
        checkpoint: The catalogue's entry.
        settings: The engine's settings.

    Returns:
        Whether `locate` finds it; true for what needs no weights.
    """
    if checkpoint.hub_id is None and checkpoint.packaged is None and checkpoint.name not in settings.weights:
        return True
    try:
        locate(checkpoint, settings)
    except EngineError:
        return False
    return True


def _existing(folder: Path, checkpoint: Checkpoint) -> Path:
    marker = PICKLED.get(checkpoint.name) or _MARKERS.get(checkpoint.family, "model_index.json")
    if not any(each.is_file() for each in folder.glob(marker)):
        raise EngineError(
            f"the weights of {checkpoint.name} are not in {folder}: there is no {marker}",
            code="weights_missing",
            field="checkpoint",
            value=checkpoint.name,
            limit=str(folder),
        )
    return folder


def _in_hub_cache(checkpoint: Checkpoint, settings: EngineSettings) -> Location:
    from huggingface_hub.constants import HF_HUB_CACHE

    revision = settings.revisions.get(checkpoint.name, checkpoint.revision)
    if revision is None:
        raise EngineError(
            f"no revision of {checkpoint.hub_id} is pinned: name a commit, or a local folder, in the settings",
            code="revision_unpinned",
            field="checkpoint",
            value=checkpoint.name,
        )
    cached = Path(settings.hub_cache or HF_HUB_CACHE) / f"models--{checkpoint.hub_id}".replace("/", "--")
    try:
        cached.stat()  # the hub's own look-up takes half a second to import: not for what is plainly not there
        from huggingface_hub import snapshot_download

        folder = snapshot_download(
            str(checkpoint.hub_id), revision=revision, cache_dir=settings.hub_cache, local_files_only=True
        )
    except (OSError, ValueError) as error:
        raise EngineError(
            f"{checkpoint.name} is not on this machine: `hf download {checkpoint.hub_id} --revision {revision}`, "
            "or name a local folder in the settings",
            code="weights_missing",
            field="checkpoint",
            value=checkpoint.name,
            limit=revision,
        ) from error
    return Location(folder=_existing(Path(folder), checkpoint), revision=revision)


def weight_files(folder: Path) -> list[Path]:
    """List the safetensors files that one model's folder loads.

    Args:
        folder: Of one model, such as `transformer/`.

    Returns:
        The shards of its index, or its one file; variants and other formats in the folder are not loaded.

    Raises:
        EngineError: `weights_missing`, if there is none.
    """
    for stem in _STEMS:
        index = folder / f"{stem}.safetensors.index.json"
        if index.is_file():
            shards = json.loads(index.read_text("utf-8"))["weight_map"].values()
            return [folder / shard for shard in sorted(set(shards))]
        single = folder / f"{stem}.safetensors"
        if single.is_file():
            return [single]
    raise EngineError(
        f"no safetensors weights in {folder}; no other format is loaded",
        code="weights_missing",
        field="checkpoint",
        value=str(folder),
        limit="safetensors",
    )


def lora_file(folder: Path) -> Path:
    """Find the one weight file of a LoRA's folder.

    Args:
        folder: Where it lies.

    Returns:
        The file that diffusers would write, or else the only safetensors file there.

    Raises:
        EngineError: `weights_missing`, if there is none, or several and none of that name.
    """
    usual = folder / "pytorch_lora_weights.safetensors"
    found = [usual] if usual.is_file() else sorted(folder.glob("*.safetensors"))
    if len(found) == 1:
        return found[0]
    raise EngineError(
        f"{folder} holds {len(found)} safetensors files; a LoRA is one file, or {usual.name} among several",
        code="weights_missing",
        field="checkpoint",
        value=str(folder),
        limit=usual.name,
    )


@contextmanager
def reading(checkpoint: Checkpoint, folder: Path) -> Iterator[None]:
    """Name the checkpoint whose files cannot be read as what they should be.

    Args:
        checkpoint: The catalogue's entry.
        folder: Where it lies.

    Yields:
        Nothing.

    Raises:
        EngineError: `weights_unreadable`, for whatever a library says of its files.
    """
    try:
        yield
    except _READING_ERRORS as error:
        raise EngineError(
            f"the weights of {checkpoint.name} in {folder} cannot be loaded: {error}",
            code="weights_unreadable",
            field="checkpoint",
            value=checkpoint.name,
        ) from error


def of_part(digests: Mapping[str, str], part: str) -> tuple[str, ...]:
    """Name the files of one part.

    Args:
        digests: By path within a checkpoint's folder.
        part: Such as `vae`.

    Returns:
        The digests of its files, in the order of their paths.
    """
    return tuple(digest for file, digest in sorted(digests.items()) if file.startswith(f"{part}/"))


class Digests:
    """SHA-256 of weight files, computed once per file and state of it."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int], str] = {}

    def of(self, file: Path) -> str:
        """Digest a file.

        Args:
            file: The file.

        Returns:
            Lower hex.
        """
        real = file.resolve()
        state = real.stat()
        key = (str(real), state.st_size, state.st_mtime_ns)
        if key not in self._known:
            digest = hashlib.sha256()
            with real.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
            self._known[key] = digest.hexdigest()
        return self._known[key]

    def of_parts(self, checkpoint: Checkpoint, folder: Path) -> dict[str, str]:
        """Digest every file that a checkpoint loads.

        Args:
            checkpoint: The catalogue's entry.
            folder: Its folder.

        Returns:
            Digest by path within the folder, such as `vae/diffusion_pytorch_model.safetensors`.

        Raises:
            EngineError: `weights_missing`.
        """
        if checkpoint.family in {Family.LORA, Family.CONTROL_LORA}:
            files = [lora_file(folder)]
        elif checkpoint.name in PICKLED:
            files = [folder / PICKLED[checkpoint.name]]
        else:
            parts = _PARTS.get(checkpoint.family, PIPELINE_PARTS)
            files = [file for part in parts for file in weight_files(folder / part)]
        if checkpoint.family is Family.IP_ADAPTER:
            files.append(folder / ADAPTER_FILE)
        missing = [file for file in files if not file.is_file()]
        if missing:
            raise EngineError(
                f"the index names {missing[0]}, which is not there",
                code="weights_missing",
                field="checkpoint",
                value=checkpoint.name,
                limit=str(missing[0]),
            )
        return {file.relative_to(folder).as_posix(): self.of(file) for file in files}
