"""The guard model's files: where they are, whether they are what can be run, and their digests. Downloads nothing.

No torch here: a server tells in milliseconds that its guard is missing, and only the guard's own process loads it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from policy.guard.catalogue import ARCHITECTURE, find_guard
from policy.guard.errors import GuardFilesError, GuardMissingError, GuardTamperedError, GuardTemplateError

_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_TEXTS = ("tokenizer_config.json", "tokenizer.json", "chat_template.jinja", "generation_config.json", "config.json")
_READ_TOO = ("vocab.json", "merges.txt", "special_tokens_map.json", "added_tokens.json")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardFiles:
    """One model on this machine.

    Attributes:
        name: How the operator named it.
        folder: Where it lies.
        revision: The commit on the hub, or `local`.
        pinned: Digests its files must have, by name; empty for a folder.
    """

    name: str
    folder: Path
    revision: str
    pinned: Mapping[str, str] = field(default_factory=dict)


def locate_guard(model: str, *, hub_cache: Path | None = None) -> GuardFiles:
    """Find a guard model's folder and check what lies there, short of reading the weights.

    Args:
        model: A folder, `owner/model` of the catalogue, or `owner/model@commit`.
        hub_cache: The hub's cache; None for the usual one.

    Raises:
        GuardMissingError: It is not on this machine, or files are missing; the message says what to do.
        GuardFilesError: The folder holds something else than weights of the one class that is loaded.
        GuardTemplateError: There is no chat template.
    """
    try:
        return _located(model, hub_cache)
    except (OSError, RuntimeError) as error:  # a folder that may not be entered; the home of somebody unknown
        raise GuardMissingError(f"{model[:200]} cannot be looked at: {type(error).__name__}") from error


def _located(model: str, hub_cache: Path | None) -> GuardFiles:
    folder = Path(model).expanduser()
    if model and folder.is_dir():
        found = GuardFiles(name=model, folder=folder.absolute(), revision="local")
    elif model.startswith((".", "/", "~")):
        raise GuardMissingError(f"there is no folder {model}")
    else:
        found = _in_hub_cache(model, hub_cache)
    _check_config(found.folder)
    weight_names(found.folder)
    _check_tokenizer(found.folder)
    return found


def file_digests(files: GuardFiles) -> dict[str, str]:
    """Digest every file that is loaded; reads them whole, a second or two a gigabyte.

    Args:
        files: The model.

    Returns:
        SHA-256, lower hex, by file name, sorted.

    Raises:
        GuardTamperedError: A file is not the pinned one.
        GuardMissingError: A file is missing.
    """
    names = {name for name in (*_TEXTS, *_READ_TOO, _INDEX) if (files.folder / name).is_file()}
    digests = {name: _digest(files.folder / name) for name in sorted(names | set(weight_names(files.folder)))}
    check_digests(digests, files.pinned)
    return digests


def check_digests(found: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Check that files are those that were expected.

    Raises:
        GuardTamperedError: One is missing or another; the message names it.
    """
    wrong = sorted(name for name, digest in expected.items() if found.get(name) != digest)
    if wrong:
        raise GuardTamperedError(
            f"{wrong[0]} and {len(wrong) - 1} other files of the guard model are not the pinned ones: "
            "fetch it anew, or name its folder in STUDIO_GUARD_MODEL to run what lies there"
        )


def weight_names(folder: Path) -> list[str]:
    """List the safetensors files that make up the model.

    Args:
        folder: The model's.

    Raises:
        GuardMissingError: A shard is missing.
        GuardFilesError: There are none, perhaps only pickled ones, or the index is not one.
    """
    if (folder / _INDEX).is_file():
        shards = _read_json(folder / _INDEX).get("weight_map")
        if not isinstance(shards, dict) or not all(_is_plain_name(each) for each in shards.values()):
            raise GuardFilesError(f"{_INDEX} names no files of its folder")
        names = sorted(set(shards.values()))
        if absent := [name for name in names if not (folder / name).is_file()]:
            raise GuardMissingError(f"{absent[0]} and {len(absent) - 1} other weight files are missing in {folder}")
        return names
    if (folder / _SINGLE).is_file():
        return [_SINGLE]
    pickled = sorted(each.name for pattern in _PICKLED for each in folder.glob(pattern))
    if pickled:
        raise GuardFilesError(f"{folder} holds pickled weights ({pickled[0]}); only safetensors are loaded")
    raise GuardMissingError(f"there is no {_SINGLE} in {folder}")


def _in_hub_cache(model: str, hub_cache: Path | None) -> GuardFiles:
    from huggingface_hub.constants import HF_HUB_CACHE

    known = find_guard(model)
    cached = Path(hub_cache or HF_HUB_CACHE) / f"models--{known.hub_id}".replace("/", "--")
    folder = cached / "snapshots" / known.revision
    if not folder.is_dir():
        size = f" ({known.size_bytes / 1e9:.1f} GB, {known.licence})" if known.size_bytes else ""
        raise GuardMissingError(
            f"the guard model is not on this machine: `hf download {known.hub_id} --revision {known.revision}`{size}, "
            "or name a local folder in STUDIO_GUARD_MODEL"
        )
    return GuardFiles(name=model, folder=folder, revision=known.revision, pinned=known.digests)


def _check_config(folder: Path) -> None:
    config = _read_json(folder / "config.json")
    architectures = config.get("architectures")
    if architectures != [ARCHITECTURE]:
        raise GuardFilesError(f"a guard model is a {ARCHITECTURE}, {folder} holds {architectures!r}")
    if "auto_map" in config:
        raise GuardFilesError(f"{folder} brings code of its own, which is never run")


def _check_tokenizer(folder: Path) -> None:
    settings = _read_json(folder / "tokenizer_config.json")
    if not (folder / "tokenizer.json").is_file():
        raise GuardMissingError(f"there is no tokenizer.json in {folder}")
    if not isinstance(settings.get("chat_template"), str) and not (folder / "chat_template.jinja").is_file():
        raise GuardTemplateError(f"the tokenizer in {folder} has no chat template: this is no guard model")


def _read_json(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise GuardMissingError(f"{file.name} cannot be read in {file.parent}: {error.strerror}") from error
    except ValueError as error:
        raise GuardFilesError(f"{file.name} in {file.parent} is not JSON") from error
    if not isinstance(document, dict):
        raise GuardFilesError(f"{file.name} in {file.parent} is not a JSON object")
    return document


def _is_plain_name(name: object) -> bool:
    return isinstance(name, str) and name.endswith(".safetensors") and Path(name).name == name


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise GuardMissingError(f"{file.name} cannot be read in {file.parent}: {error.strerror}") from error
    return digest.hexdigest()
