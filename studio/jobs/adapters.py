"""LoRAs and embeddings of a request: a name becomes a digest when it is accepted, so that a job means one file.

A name is looked up in the catalogue first, then among what its owner uploaded. `sha256:...` names an upload by its
file.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from editing import embeddings, loras
from editing.catalogue import CATALOGUE
from editing.checkpoints import Checkpoint, Family
from editing.tensorfiles import read_header
from policy import Decision, Subject, Verdict
from storage import Adapter, AdapterConflictError, AdapterKind, AdapterStore, BlobStore, NewAdapter, NotFoundError
from studio.jobs.public import public_verdict
from studio.jobs.subjects import of_name
from studio.problems import Problem

Screen = Callable[[Sequence[Subject]], Verdict]
"""Asks the policy about everything that belongs together."""

NAMES_SHOWN = 50
"""Most names that a problem lists."""

_DIGEST = re.compile(r"sha256:([0-9a-fA-F]{64})")
_NAMES = {
    AdapterKind.LORA: re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"),
    AdapterKind.EMBEDDING: re.compile(r"[A-Za-z0-9_-]{1,64}"),  # it is the word's token, unless a request says another
}


def resolve_loras(
    given: Sequence[Mapping[str, Any]], owner: str, store: AdapterStore, checkpoint: Checkpoint
) -> list[dict[str, Any]]:
    """Say which LoRAs a request means.

    Args:
        given: `{"name": ..., "weight": ...}` each; no weight takes the catalogue's, else 1.
        owner: Whose uploads it may name.
        store: Where they are.
        checkpoint: What paints; an upload that was made for other code is refused.

    Returns:
        `{"name", "weight"}` for one of the catalogue, `{"name", "weight", "digest"}` for an upload; in order.

    Raises:
        Problem: `lora_not_found`, with the names there are.
        OperationError: `lora_unsupported`: made for another architecture.
    """
    return [_lora(index, each, owner, store, checkpoint) for index, each in enumerate(given)]


def resolve_embeddings(
    given: Sequence[Mapping[str, Any]], owner: str, store: AdapterStore, checkpoint: Checkpoint
) -> list[dict[str, Any]]:
    """Say which embeddings a request means.

    Args:
        given: `{"name": ..., "token": ...}` each; no token takes the upload's name.
        owner: Whose uploads it may name.
        store: Where they are.
        checkpoint: What paints; vectors that none of its encoders takes are refused.

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
        embeddings.check_encoders(adapter.name, adapter.facts, checkpoint, field=field)
        found.append({"name": adapter.name, "token": each.get("token") or adapter.name, "digest": adapter.digest})
    return found


def _lora(
    index: int, given: Mapping[str, Any], owner: str, store: AdapterStore, checkpoint: Checkpoint
) -> dict[str, Any]:
    field = f"loras[{index}].name"
    known = CATALOGUE.get(given["name"])
    weight = given.get("weight")
    if known is not None and known.family is Family.LORA:
        return {"name": known.name, "weight": known.weight if weight is None else weight}
    adapter = find_upload(AdapterKind.LORA, given["name"], owner, store, field)
    loras.check_architecture(adapter.name, adapter.facts, checkpoint, field=field)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that is to be kept.

    Attributes:
        kind: What it shall be.
        name: What its owner calls it.
        file: At its start, seekable.
        size: Its length, in bytes.
    """

    kind: AdapterKind
    name: str
    file: BinaryIO
    size: int


def admit(
    upload: Upload, *, owner: str, key_id: str, blobs: BlobStore, store: AdapterStore, limit: int, screen: Screen
) -> Adapter:
    """Judge a file by its header, then keep it: first the bytes, then the row.

    Args:
        upload: The file.
        owner: Who may use it.
        key_id: The key it came with.
        blobs: Where the bytes go.
        store: Where the row goes.
        limit: Most bytes of a LoRA.
        screen: Asks the policy about the name.

    Returns:
        The adapter. Nothing is written of a file that is refused, unless its name was: that leaves a blob to the
        sweeper. The same file under the same name again is the same adapter.

    Raises:
        Problem: `lora_name_invalid`, `lora_name_taken`, `lora_known`, or the same of `embedding`; `name_refused`.
        OperationError: The file is no adapter that can be used.
        StorageError: It cannot be kept.
    """
    kind = upload.kind.value
    _check_name(upload)
    _require_allowed(screen([of_name("name", upload.name)]))
    most = limit if upload.kind is AdapterKind.LORA else embeddings.MAX_BYTES
    header = read_header(upload.file, upload.size, what=kind, limit=most)
    facts: dict[str, Any]
    if upload.kind is AdapterKind.LORA:
        lora = loras.facts_of(header)
        loras.require_plain(lora)
        facts = lora.to_json()
    else:
        facts = embeddings.facts_of(header).to_json()
    upload.file.seek(0)
    digest = blobs.put_file(upload.file)
    new = NewAdapter(
        owner=owner,
        key_id=key_id,
        kind=upload.kind,
        name=upload.name,
        digest=digest,
        size_bytes=upload.size,
        facts=facts,
    )
    try:
        return store.add(new)
    except AdapterConflictError as error:
        raise _conflict(upload, error.existing) from error


def _check_name(upload: Upload) -> None:
    kind, pattern = upload.kind.value, _NAMES[upload.kind]
    if not pattern.fullmatch(upload.name):
        raise Problem(
            f"{kind}_name_invalid",
            f"The name must match {pattern.pattern}, got {upload.name[:80]!r}.",
            "name",
            upload.name,
            pattern.pattern,
        )
    if upload.name in CATALOGUE:
        raise Problem(
            f"{kind}_name_taken", f"{upload.name} is a checkpoint's name; choose another.", "name", upload.name
        )


def _require_allowed(verdict: Verdict) -> None:
    """Nothing holds a name for a person to look at: what is not allowed is refused."""
    if verdict.decision is not Decision.ALLOW:
        raise Problem(
            "name_refused",
            "The name was refused by the acceptable-use policy.",
            "name",
            extra={"verdict": public_verdict(verdict)},
        )


def _conflict(upload: Upload, existing: Adapter) -> Problem:
    kind = upload.kind.value
    if existing.name == upload.name:
        return Problem(
            f"{kind}_name_taken",
            f"{upload.name} stands for another file; choose another name, or remove it first: "
            f"DELETE /v1/{kind}s/{upload.name}",
            "name",
            upload.name,
        )
    return Problem(f"{kind}_known", f"This file is there already, as {existing.name}.", "file", existing.name)
