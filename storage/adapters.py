"""Uploaded LoRAs and embeddings: who may use which, under what name. The bytes are blobs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.database import Database
from storage.digests import checked_digest
from storage.errors import ConflictError, NotFoundError
from storage.identity import ADAPTER_PREFIX, Clock, NewId, random_id, utc_now
from storage.models import AdapterRow
from storage.pages import DEFAULT_LIMIT, Page, checked_limit, paged, read_cursor
from storage.words import AdapterKind

_QUEUE = 0x61646170746572


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAdapter:
    """An adapter whose blob is stored already, about to get its row.

    Attributes:
        owner: Handle of the account that may use it.
        key_id: The key it was uploaded with.
        kind: What it is.
        name: What its owner calls it; unique among their adapters of this kind.
        digest: SHA-256 of the file; each file is there once per owner and kind.
        size_bytes: Length of the file.
        facts: What its header says, as JSON.
    """

    owner: str
    key_id: str
    kind: AdapterKind
    name: str
    digest: str
    size_bytes: int
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """An adapter that `owner` may use. See `NewAdapter`."""

    id: str
    owner: str
    key_id: str
    kind: AdapterKind
    name: str
    digest: str
    size_bytes: int
    facts: Mapping[str, Any]
    created_at: datetime


class AdapterConflictError(ConflictError):
    """The name stands for another file already, or the file is there under another name.

    Attributes:
        existing: The adapter in the way.
    """

    def __init__(self, message: str, existing: Adapter) -> None:
        super().__init__(message)
        self.existing = existing


class AdapterStore:
    """One row for each name, kind and owner; the same file uploaded by two people is one blob and two rows."""

    def __init__(self, database: Database, clock: Clock = utc_now, new_id: NewId = random_id) -> None:
        self._database = database
        self._clock = clock
        self._new_id = new_id

    def add(self, new: NewAdapter) -> Adapter:
        """Let an owner use a file under a name; the same file under the same name again is the same adapter.

        Raises:
            InvalidValueError: The digest is not one, or the facts are not JSON.
            AdapterConflictError: Name or file is taken; nothing was written.
        """
        with self._database.transaction() as session:
            self._database.serialise(session, _QUEUE)
            named = self._find(session, new.kind, AdapterRow.name == new.name, new.owner)
            if named is not None and named.digest == new.digest:
                return _adapter(named)
            known = self._find(session, new.kind, AdapterRow.digest == checked_digest(new.digest), new.owner)
            for row in (named, known):
                if row is not None:
                    raise AdapterConflictError(f"{new.kind.value} {row.name!r} is {row.digest}", _adapter(row))
            row = AdapterRow(
                id=self._new_id(ADAPTER_PREFIX),
                owner=new.owner,
                key_id=new.key_id,
                kind=new.kind,
                name=new.name,
                digest=new.digest,
                size_bytes=new.size_bytes,
                facts=dict(new.facts),
                created_at=self._clock(),
            )
            session.add(row)
            session.flush()
            return _adapter(row)

    def get(self, kind: AdapterKind, name: str, owner: str) -> Adapter:
        """Read an adapter by its name.

        Raises:
            NotFoundError: The owner has none of this name; another's looks the same.
        """
        with self._database.reading() as session:
            return _adapter(self._require(session, kind, name, owner))

    def by_digest(self, kind: AdapterKind, digest: str, owner: str) -> Adapter:
        """Read an adapter by its file.

        Raises:
            NotFoundError: The owner has none with this digest.
        """
        with self._database.reading() as session:
            row = self._find(session, kind, AdapterRow.digest == digest, owner)
            if row is None:
                raise NotFoundError(f"no {kind.value} with digest {digest[:80]!r}")
            return _adapter(row)

    def list(
        self, kind: AdapterKind, owner: str | None, *, limit: int = DEFAULT_LIMIT, before: str | None = None
    ) -> Page[Adapter]:
        """A page of adapters, newest first.

        Args:
            kind: Of which kind.
            owner: None lists everybody's, for roles that may.
            limit: At most this many, 1..500.
            before: The `next_cursor` of the page before.

        Raises:
            InvalidValueError: A bad limit or cursor.
        """
        query = select(AdapterRow).where(AdapterRow.kind == kind).order_by(AdapterRow.sequence.desc())
        query = query.limit(checked_limit(limit) + 1)
        if owner is not None:
            query = query.where(AdapterRow.owner == owner)
        if before is not None:
            query = query.where(AdapterRow.sequence < read_cursor(kind.value, before))
        with self._database.reading() as session:
            rows = session.scalars(query).all()
            return paged(rows, limit, listing=kind.value, sequence=lambda row: row.sequence, item=_adapter)

    def remove(self, kind: AdapterKind, name: str, owner: str) -> Adapter:
        """Forget an adapter. Its blob goes with a later sweep, once no job that was accepted with it is open.

        Raises:
            NotFoundError: The owner has none of this name.
        """
        with self._database.transaction() as session:
            row = self._require(session, kind, name, owner)
            removed = _adapter(row)
            session.delete(row)
            return removed

    def _require(self, session: Session, kind: AdapterKind, name: str, owner: str) -> AdapterRow:
        row = self._find(session, kind, AdapterRow.name == name, owner)
        if row is None:
            raise NotFoundError(f"no {kind.value} {name[:80]!r}")
        return row

    @staticmethod
    def _find(session: Session, kind: AdapterKind, wanted: Any, owner: str) -> AdapterRow | None:
        query = select(AdapterRow).where(AdapterRow.kind == kind, AdapterRow.owner == owner, wanted)
        return session.scalars(query).one_or_none()


def _adapter(row: AdapterRow) -> Adapter:
    return Adapter(
        id=row.id,
        owner=row.owner,
        key_id=row.key_id,
        kind=row.kind,
        name=row.name,
        digest=row.digest,
        size_bytes=row.size_bytes,
        facts=row.facts,
        created_at=row.created_at,
    )
