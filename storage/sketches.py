"""Sketches of requests: numbers by which the requests of one key are compared for as long as a window lasts.

This room does not know what the numbers mean. A job has one sketch, however often it is tried: a worker that dies after
writing it leaves nothing that counts twice.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from storage.database import Database
from storage.digests import sha256_hex
from storage.identity import Clock, utc_now
from storage.models import SecretRow, SketchRow

SECRET = "sketches"  # noqa: S105 -- its name, not the secret
_SECRET_BYTES = 32
_SECRET_QUEUE = 0x736B65746368
_SIGN = 1 << 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """The numbers of one job's request; each unsigned, 64 bits.

    Attributes:
        job_id: The job.
        key_id: The key it was asked for with.
        at: When it was first written, UTC.
        prompt: What its prompt is compared by, None if it has none.
        pictures: What its pictures are compared by, None if it has none.
        likenesses: One for each person it depicts.
    """

    job_id: str
    key_id: str
    at: datetime
    prompt: int | None
    pictures: int | None
    likenesses: tuple[int, ...]


class SketchStore:
    """Keeps the sketches of each key; safe to share by threads and processes."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock
        self._secret: bytes | None = None

    def now(self) -> datetime:
        """The time that sketches are written under."""
        return self._clock()

    def secret(self) -> bytes:
        """The 32 bytes under which this installation makes sketches; drawn once, the same for all its processes."""
        if self._secret is None:
            with self._database.reading() as session:
                row = session.get(SecretRow, SECRET)
            self._secret = row.value if row is not None else self._make_secret()
        return self._secret

    def add(self, new: Sketch, *, keep_seconds: float, most: int) -> tuple[Sketch, tuple[Sketch, ...]]:
        """Write a job's sketch, if it has none yet, and look at those of its key before it.

        What is older than `keep_seconds`, or beyond the newest `most`, is forgotten: a key has never more rows.

        Args:
            new: The sketch.
            keep_seconds: How long sketches are of use.
            most: How many of one key are of use.

        Returns:
            The job's sketch, as it was written the first time; and the key's others of the `keep_seconds` before it,
            oldest first.
        """
        keep = timedelta(seconds=keep_seconds)
        with self._database.transaction() as session:
            # One at a time for each key: two workers must not both count without the other's.
            self._database.serialise(session, _queue(new.key_id))
            row = session.get(SketchRow, new.job_id)
            if row is None:
                row = _row(new)
                session.add(row)
                session.flush()
                _forget(session, new.key_id, row.at - keep, most)
            earlier = (
                select(SketchRow)
                .where(SketchRow.key_id == row.key_id, SketchRow.job_id != row.job_id)
                .where(SketchRow.at > row.at - keep, SketchRow.at <= row.at)
                .order_by(SketchRow.at, SketchRow.job_id)
            )
            return _sketch(row), tuple(_sketch(each) for each in session.scalars(earlier))

    def prune(self, older_than_seconds: float) -> int:
        """Forget the sketches of all keys that are older than that.

        Returns:
            How many there were.
        """
        before = self._clock() - timedelta(seconds=older_than_seconds)
        with self._database.transaction() as session:
            forgotten = delete(SketchRow).where(SketchRow.at < before).returning(SketchRow.job_id)
            return len(session.scalars(forgotten).all())

    def _make_secret(self) -> bytes:
        with self._database.transaction() as session:
            self._database.serialise(session, _SECRET_QUEUE)
            row = session.get(SecretRow, SECRET)
            if row is None:
                row = SecretRow(name=SECRET, value=secrets.token_bytes(_SECRET_BYTES), created_at=self._clock())
                session.add(row)
            return row.value


def _forget(session: Session, key_id: str, before: datetime, most: int) -> None:
    of_key = SketchRow.key_id == key_id
    session.execute(delete(SketchRow).where(of_key, SketchRow.at <= before))
    newest = select(SketchRow.job_id).where(of_key).order_by(SketchRow.at.desc(), SketchRow.job_id.desc())
    surplus = session.scalars(newest.offset(most)).all()
    if surplus:
        session.execute(delete(SketchRow).where(SketchRow.job_id.in_(surplus)))


def _queue(key_id: str) -> int:
    """A number of 63 bits for the queue of one key."""
    return int(sha256_hex(key_id.encode())[:15], 16)


def _row(sketch: Sketch) -> SketchRow:
    return SketchRow(
        job_id=sketch.job_id,
        key_id=sketch.key_id,
        at=sketch.at,
        prompt=_signed(sketch.prompt),
        pictures=_signed(sketch.pictures),
        likenesses=sorted(sketch.likenesses),
    )


def _sketch(row: SketchRow) -> Sketch:
    return Sketch(
        job_id=row.job_id,
        key_id=row.key_id,
        at=row.at,
        prompt=_unsigned(row.prompt),
        pictures=_unsigned(row.pictures),
        likenesses=tuple(row.likenesses),
    )


def _signed(number: int | None) -> int | None:
    """As SQL keeps 64 bits."""
    return None if number is None else (number ^ _SIGN) - _SIGN


def _unsigned(number: int | None) -> int | None:
    return None if number is None else (number + _SIGN) ^ _SIGN
