"""Provenance records: one for every outcome, written once, never changed.

The body is kept as the canonical JSON (RFC 8785) whose SHA-256 is the record's digest, so the stored text can be
hashed as it is.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from storage.database import Database
from storage.digests import canonical_json, sha256_hex
from storage.errors import ConflictError, NotFoundError
from storage.identity import RECORD_PREFIX, Clock, NewId, random_id, utc_now
from storage.images import ImageStore, NewImage
from storage.models import RecordLinkRow, RecordRow
from storage.pages import DEFAULT_LIMIT, PAGE_LIMIT, Page, checked_limit, paged, read_cursor
from storage.words import Outcome

# Records queue up for their number, so that the order of the numbers is the order in which they became visible.
_RECORD_QUEUE = 0x7265636F7264


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecord:
    """What a record will say.

    Attributes:
        owner: Who asked.
        operation: What was asked for, such as `inpaint` or `upload`.
        outcome: How it ended.
        body: The whole statement, JSON; refers to personal text only by its references.
        parents: Ids of the records whose outputs this one was made from.
        id: Drawn when None; give one when the picture has to name its record.
    """

    owner: str
    operation: str
    outcome: Outcome
    body: Mapping[str, Any]
    parents: tuple[str, ...] = ()
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record as it is stored.

    Attributes:
        id: Starts with `rec_`.
        sequence: Its number among all records; later records have larger ones.
        job_id: The job it ends, None for an outcome without one, such as an upload.
        owner: Who asked.
        operation: What was asked for.
        outcome: How it ended.
        created_at: When it was written, UTC.
        body: The statement.
        digest: SHA-256 of the canonical body.
        parents: Ids of the records whose outputs it was made from.
        children: Ids of the records of edits of its outputs, so far.
    """

    id: str
    sequence: int
    job_id: str | None
    owner: str
    operation: str
    outcome: Outcome
    created_at: datetime
    body: Mapping[str, Any]
    digest: str
    parents: tuple[str, ...]
    children: tuple[str, ...]


class RecordStore:
    """Appends records and reads them; there is no way to change one, and the database's triggers agree."""

    def __init__(
        self, database: Database, images: ImageStore, clock: Clock = utc_now, new_id: NewId = random_id
    ) -> None:
        self._database = database
        self._images = images
        self._clock = clock
        self._new_id = new_id

    def append(
        self,
        record: NewRecord,
        images: Sequence[NewImage] = (),
        *,
        job_id: str | None = None,
        session: Session | None = None,
    ) -> Record:
        """Write a record and the rows of its images, all or nothing.

        Args:
            record: What it says.
            images: Pictures it produced or admitted; their blobs are stored already.
            job_id: The job it ends; only `JobStore.finish` has one.
            session: Writes in this transaction; None takes one of its own.

        Returns:
            The record as stored, without children.

        Raises:
            InvalidValueError: The body is not canonical JSON, or a digest is not one.
            NotFoundError: A parent does not exist.
            ConflictError: The id is taken, or the job has its record already.
        """
        if session is None:
            with self._database.transaction() as own:
                return self._append(own, record, images, job_id)
        return self._append(session, record, images, job_id)

    def get(self, record_id: str, owner: str | None) -> Record:
        """One record.

        Args:
            record_id: Its id.
            owner: None reads anybody's, for roles that may.

        Raises:
            NotFoundError: There is none, or it is another owner's.
        """
        with self._database.reading() as session:
            row = session.scalars(select(RecordRow).where(RecordRow.id == record_id)).one_or_none()
            if row is None or owner not in {None, row.owner}:
                raise NotFoundError(f"no record {record_id[:80]!r}")
            return _records(session, [row])[0]

    def list(  # noqa: PLR0913 -- one argument for each filter
        self,
        owner: str | None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        operation: str | None = None,
        outcome: Outcome | None = None,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
        newest_first: bool = True,
    ) -> Page[Record]:
        """A page of records.

        Args:
            owner: None lists everybody's, for roles that may.
            since: Written at this moment or later.
            until: Written before this moment.
            operation: Only this one.
            outcome: Only this one.
            limit: At most this many, 1..500.
            after: The `next_cursor` of the page before, in the same direction.
            newest_first: False lists in the order of writing; such a list can be continued for ever.

        Raises:
            InvalidValueError: A bad limit, or a cursor of another list or direction.
        """
        query = select(RecordRow).limit(checked_limit(limit) + 1)
        if owner is not None:
            query = query.where(RecordRow.owner == owner)
        if since is not None:
            query = query.where(RecordRow.created_at >= since)
        if until is not None:
            query = query.where(RecordRow.created_at < until)
        if operation is not None:
            query = query.where(RecordRow.operation == operation)
        if outcome is not None:
            query = query.where(RecordRow.outcome == outcome)
        query, listing = _continued(query, after, newest_first=newest_first)
        with self._database.reading() as session:
            records = _records(session, session.scalars(query).all())
        return paged(records, limit, listing=listing, sequence=lambda one: one.sequence, item=lambda one: one)

    def damaged(self) -> Iterator[str]:
        """Ids of the records whose stored text no longer hashes to their digest, in the order of writing."""
        last = 0
        while True:
            query = select(RecordRow).where(RecordRow.sequence > last).order_by(RecordRow.sequence).limit(PAGE_LIMIT)
            with self._database.reading() as session:
                rows = session.scalars(query).all()
            if not rows:
                return
            yield from (row.id for row in rows if sha256_hex(row.body.encode()) != row.digest)
            last = rows[-1].sequence

    def _append(self, session: Session, record: NewRecord, images: Sequence[NewImage], job_id: str | None) -> Record:
        body = canonical_json(record.body)
        self._database.serialise(session, _RECORD_QUEUE)
        row = RecordRow(
            id=record.id or self._new_id(RECORD_PREFIX),
            job_id=job_id,
            owner=record.owner,
            operation=record.operation,
            outcome=record.outcome,
            created_at=self._clock(),
            body=body.decode(),
            digest=sha256_hex(body),
        )
        if session.scalars(select(RecordRow.id).where(RecordRow.id == row.id)).first() is not None:
            raise ConflictError(f"there is a record {row.id!r} already")
        session.add(row)
        session.flush()
        _link(session, row.id, record.parents)
        for image in images:
            self._images.add(session, image, record.owner, row.id)
        return _records(session, [row])[0]


def _continued(query: Select[RecordRow], after: str | None, *, newest_first: bool) -> tuple[Select[RecordRow], str]:
    listing = "newest" if newest_first else "oldest"
    query = query.order_by(RecordRow.sequence.desc() if newest_first else RecordRow.sequence)
    if after is not None:
        last = read_cursor(listing, after)
        query = query.where(RecordRow.sequence < last if newest_first else RecordRow.sequence > last)
    return query, listing


def _link(session: Session, child: str, parents: Sequence[str]) -> None:
    wanted = dict.fromkeys(parents)
    known = set(session.scalars(select(RecordRow.id).where(RecordRow.id.in_(wanted))))
    for parent in wanted:
        if parent not in known or parent == child:
            raise NotFoundError(f"no record {parent[:80]!r} to descend from")
        session.add(RecordLinkRow(parent_id=parent, child_id=child))
    session.flush()


def _records(session: Session, rows: Sequence[RecordRow]) -> Sequence[Record]:
    """The values of rows, with the links of all of them read by one query."""
    ids = [row.id for row in rows]
    links = session.execute(
        select(RecordLinkRow.parent_id, RecordLinkRow.child_id)
        .where(RecordLinkRow.parent_id.in_(ids) | RecordLinkRow.child_id.in_(ids))
        .order_by(RecordLinkRow.parent_id, RecordLinkRow.child_id)
    ).all()
    return [
        Record(
            id=row.id,
            sequence=row.sequence,
            job_id=row.job_id,
            owner=row.owner,
            operation=row.operation,
            outcome=row.outcome,
            created_at=row.created_at,
            body=json.loads(row.body),
            digest=row.digest,
            parents=tuple(parent for parent, child in links if child == row.id),
            children=tuple(child for parent, child in links if parent == row.id),
        )
        for row in rows
    ]
