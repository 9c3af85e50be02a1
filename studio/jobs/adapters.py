"""LoRAs and embeddings of a request: a name becomes a digest when it is accepted, so that a job means one file.

A name is looked up in the catalogue first, then among what its owner uploaded. `sha256:...` names an upload by its
file.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from editing.catalogue import CATALOGUE
from editing.checkpoints import Checkpoint, Family
from editing.embeddings import check_encoders
from editing.loras import check_architecture
from storage import Adapter, AdapterKind, AdapterStore, NotFoundError
from studio.problems import Problem

NAMES_SHOWN = 50
"""Most names that a problem lists."""

_DIGEST = re.compile(r"sha256:([0-9a-fA-F]{64})")


def resolve_loras(
    given: Sequence[Mapping[str, Any]], owner: str, store: AdapterStore, checkpoint: Checkpoint | None = None
) -> list[dict[str, Any]]:
    """Say which LoRAs a request means.

    Args:
        given: `{"name": ..., "weight": ...}` each; no weight takes the catalogue's, else 1.
        owner: Whose uploads it may name.
        store: Where they are.
        checkpoint: What paints; an upload that was made for other code is refused. None: not asked.

    Returns:
        `{"name", "weight"}` for one of the catalogue, `{"name", "weight", "digest"}` for an upload; in order.

    Raises:
        Problem: `lora_not_found`, with the names there are.
        OperationError: `lora_unsupported`: made for another architecture.
    """
    return [_lora(index, each, owner, store, checkpoint) for index, each in enumerate(given)]


def resolve_embeddings(
    given: Sequence[Mapping[str, Any]], owner: str, store: AdapterStore, checkpoint: Checkpoint | None = None
) -> list[dict[str, Any]]:
    """Say which embeddings a request means.

    Args:
        given: `{"name": ..., "token": ...}` each; no token takes the upload's name.
        owner: Whose uploads it may name.
        store: Where they are.
        checkpoint: What paints; vectors that none of its encoders takes are refused. None: not asked.

    Returns:
        `{"name", "token", "digest"}` each, in order.

    Raises:
        Problem: `embedding_not_found`, with the names there are.
        OperationError: `embedding_unsupported`.
    """
    found: list[dict[str, Any]] = []
    for index, each in enumerate(given):
        field = f"embeddings[{index}].name"
        adapter = find_upload(AdapterKind.EMBEDDING, each["name"], owner, store, field)
        if checkpoint is not None:
            check_encoders(adapter.name, adapter.facts, checkpoint, field=field)
        found.append({"name": adapter.name, "token": each.get("token") or adapter.name, "digest": adapter.digest})
    return found


def _lora(
    index: int, given: Mapping[str, Any], owner: str, store: AdapterStore, checkpoint: Checkpoint | None
) -> dict[str, Any]:
    field = f"loras[{index}].name"
    known = CATALOGUE.get(given["name"])
    weight = given.get("weight")
    if known is not None and known.family is Family.LORA:
        return {"name": known.name, "weight": known.weight if weight is None else weight}
    adapter = find_upload(AdapterKind.LORA, given["name"], owner, store, field)
    if checkpoint is not None:
        check_architecture(adapter.name, adapter.facts, checkpoint, field=field)
    return {"name": adapter.name, "weight": 1.0 if weight is None else weight, "digest": adapter.digest}


def find_upload(
    kind: AdapterKind, name: str, owner: str, store: AdapterStore, field: str = "name", *, status: int | None = None
) -> Adapter:
    """Find an upload by name or `sha256:` digest.

    Args:
        kind: Of which kind.
        name: What its owner calls it, or `sha256:` and the digest of its file.
        owner: Whose it must be.
        store: Where to look.
        field: Where in the request it is named.
        status: HTTP status if it is not there; None: that of a faulty request.

    Raises:
        Problem: `lora_not_found` or `embedding_not_found`, with the names there are.
    """
    by_file = _DIGEST.fullmatch(name)
    try:
        return store.by_digest(kind, by_file[1].lower(), owner) if by_file else store.get(kind, name, owner)
    except NotFoundError as error:
        names = names_of(kind, owner, store)
        raise Problem(
            f"{kind.value}_not_found",
            f"There is no {kind.value} {name[:80]!r}, or it is not yours; there are: {', '.join(names) or 'none'}. "
            f"Upload one with POST /v1/{kind.value}s.",
            field,
            name,
            names,
            status_code=status,
        ) from error


def names_of(kind: AdapterKind, owner: str, store: AdapterStore) -> list[str]:
    """List what an owner can name: the catalogue's, then their uploads, newest first."""
    listed = [each.name for each in CATALOGUE.values() if kind is AdapterKind.LORA and each.family is Family.LORA]
    return [*listed, *(each.name for each in store.list(kind, owner, limit=NAMES_SHOWN).items)]
