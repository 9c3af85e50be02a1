"""Which workers are alive, by the signs of life they give."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select

from storage.database import Database
from storage.identity import Clock, utc_now
from storage.models import WorkerRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker process.

    Attributes:
        id: Its name.
        pid: Process number on its host.
        host: The machine's name.
        facts: JSON that it says of itself: device, checkpoints, threads.
        started_at: First sign of life, UTC.
        seen_at: Last sign of life, UTC.
    """

    id: str
    pid: int
    host: str
    facts: Mapping[str, Any]
    started_at: datetime
    seen_at: datetime


class WorkerStore:
    """Keeps one row for each worker."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def beat(self, worker_id: str, pid: int, host: str, facts: Mapping[str, Any]) -> None:
        """Say that a worker is alive now."""
        now = self._clock()
        with self._database.transaction() as session:
            row = session.get(WorkerRow, worker_id)
            if row is None:
                row = WorkerRow(id=worker_id, started_at=now)
                session.add(row)
            row.pid, row.host, row.facts, row.seen_at = pid, host, dict(facts), now

    def list(self, seen_since: datetime | None = None) -> tuple[Worker, ...]:
        """Workers that gave a sign of life at `seen_since` or later, or all of them; by name."""
        query = select(WorkerRow).order_by(WorkerRow.id)
        if seen_since is not None:
            query = query.where(WorkerRow.seen_at >= seen_since)
        with self._database.reading() as session:
            return tuple(
                Worker(
                    id=row.id,
                    pid=row.pid,
                    host=row.host,
                    facts=row.facts,
                    started_at=row.started_at,
                    seen_at=row.seen_at,
                )
                for row in session.scalars(query)
            )

    def remove(self, worker_id: str) -> None:
        """Forget a worker that stopped in order; one that is not there is fine."""
        with self._database.transaction() as session:
            session.execute(delete(WorkerRow).where(WorkerRow.id == worker_id))
