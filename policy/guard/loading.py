"""Builds the guard a worker asks, or what stands in for it. The IO shell: reads the table, digests the weights."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policy.guard.absent import AbsentGuard
from policy.guard.errors import GuardError, GuardTableError
from policy.guard.judging import parse_table
from policy.guard.screener import ANSWER_LIMIT_S, START_LIMIT_S, GuardScreener
from policy.guard.weights import file_digests, locate_guard

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_NONE_SET = "none is set; name one in STUDIO_GUARD_MODEL, as Qwen/Qwen3Guard-Gen-0.6B"


def build_guard(
    model: str | None,
    *,
    device: str = "auto",
    required: bool,
    table: Path | None = None,
    hub_cache: Path | None = None,
    answer_limit_s: float = ANSWER_LIMIT_S,
    start_limit_s: float = START_LIMIT_S,
) -> GuardScreener | AbsentGuard:
    """Find, digest and load the guard model; for workers, since it takes seconds and starts a process.

    Args:
        model: A folder, `owner/model` or `owner/model@commit`; None for none.
        device: `auto`, `cpu`, `cuda`, `cuda:1` ...
        required: Whether everything blocks without it.
        table: A file of thresholds instead of the shipped one.
        hub_cache: The hub's cache; None for the usual one.
        answer_limit_s: Seconds one text may take, > 0.
        start_limit_s: Seconds loading may take, > 0.

    Returns:
        The guard, loaded and ready; where it cannot be, an `AbsentGuard` that blocks if it is required. This never
        raises for what lies in a folder.
    """
    if model is None:
        return AbsentGuard(_NONE_SET, required=required)
    try:
        document = read_table(table)
        files = locate_guard(model, hub_cache=hub_cache)
        guard = GuardScreener(
            files,
            file_digests(files),
            document,
            device=device,
            answer_limit_s=answer_limit_s,
            start_limit_s=start_limit_s,
        )
    except GuardError as error:
        return AbsentGuard(str(error), required=required)
    if problems := guard.start():
        guard.close()
        return AbsentGuard("; ".join(problems), required=required)
    return guard


def missing_guard(model: str | None, *, required: bool, hub_cache: Path | None = None) -> AbsentGuard | None:
    """Say, without digesting or loading anything, that the guard is not there; for the API process.

    Args:
        model: As for `build_guard`.
        required: Likewise.
        hub_cache: Likewise.

    Returns:
        What stands in for it; None if its files lie ready, so that the workers will have it.
    """
    if model is None:
        return AbsentGuard(_NONE_SET, required=required)
    try:
        locate_guard(model, hub_cache=hub_cache)
    except GuardError as error:
        return AbsentGuard(str(error), required=required)
    return None


def read_table(file: Path | None = None) -> dict[str, Any]:
    """Read and check a table of thresholds.

    Args:
        file: TOML; None for the shipped one.

    Returns:
        Its document, valid.

    Raises:
        GuardTableError: It cannot be read or is malformed; the message names the file.
    """
    place: Traversable = resources.files("policy").joinpath("guard", "thresholds.toml") if file is None else file
    try:
        document = tomllib.loads(place.read_text("utf-8"))
        parse_table(document)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise GuardTableError(f"{place.name}: cannot be read: {error}") from error
    except GuardTableError as error:
        raise GuardTableError(f"{place.name}: {error}") from error
    return document
