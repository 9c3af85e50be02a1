"""What the guard's own process runs: it loads the model once, then answers. Imported by nobody, named to the child."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from policy.guard.answering import AnsweringScreener
from policy.guard.judging import parse_table
from policy.guard.weights import GuardFiles, check_digests, file_digests


def build(folder: str, device: str, digests: Mapping[str, str], table: Mapping[str, Any]) -> AnsweringScreener:
    """Load the guard; called by name in its own process.

    Args:
        folder: Where it lies.
        device: `auto`, `cpu`, `cuda`, `cuda:1` ...
        digests: Of every file that may be loaded, by name.
        table: The thresholds' document.

    Raises:
        GuardError: The files are not those that were digested, or not those of a guard.
    """
    files = GuardFiles(name="", folder=Path(folder), revision="local")
    # Digested again, here: what is loaded is what the policy's version names, even by a child started weeks later.
    found = file_digests(files)
    check_digests(found, digests)
    check_digests(digests, found)
    _leave_pictures_out()
    from policy.guard.model import GuardReader

    return AnsweringScreener(GuardReader(files.folder, device), parse_table(table))


def _leave_pictures_out() -> None:
    """Keep transformers from importing torchvision: the guard reads words.

    PyPI's torchvision, built for CUDA, cannot be imported beside a CPU build of torch and would take transformers with
    it. A module that is None counts as not installed.
    """
    sys.modules.setdefault("torchvision", None)  # type: ignore[arg-type]
