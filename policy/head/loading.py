"""Reads the head's files: the only module of it, besides its training, that opens any."""

import hashlib
import tomllib
from importlib import resources
from typing import Any, NamedTuple

from policy.errors import PolicyError
from policy.head.documents import HeadDocument, parse_head
from policy.head.masking import Masks
from policy.head.weights import Weights, parse_weights

PACKAGE = "policy.head"
LANGUAGES = ("en", "zh")


class HeadParts(NamedTuple):
    """What a head is made of; `digest` is SHA-256, lower hex, over all of it."""

    document: HeadDocument
    masks: Masks
    weights: Weights
    digest: str


def load_parts() -> HeadParts:
    """Load the head that is shipped.

    Raises:
        PolicyError: A file is missing, malformed, or not the one that was trained.
    """
    document = load_document()
    weights = parse_weights(_read("weights.npz"), digest=document.digest, categories=len(document.reasons))
    files = ("outputs.toml", "trained.toml", *(f"words/{language}.toml" for language in LANGUAGES))
    digest = hashlib.sha256(b"\0".join(map(_read, files))).hexdigest()
    return HeadParts(document, load_masks(), weights, digest)


def load_document() -> HeadDocument:
    """Load what the head answers with, and from which score on.

    Raises:
        PolicyError: A file is missing or malformed.
    """
    return parse_head(_read_toml("outputs.toml"), _read_toml("trained.toml"))


def load_masks() -> Masks:
    """Load the words that are masked.

    Raises:
        PolicyError: A file is missing or malformed.
    """
    return Masks(_read_toml(f"words/{language}.toml") for language in LANGUAGES)


def _read_toml(name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(_read(name).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"the head's {name} is not TOML: {error}") from error


def _read(name: str) -> bytes:
    try:
        return resources.files(PACKAGE).joinpath(name).read_bytes()
    except OSError as error:
        raise PolicyError(f"the head's {name} cannot be read: {type(error).__name__}") from error
