"""Who accepted which checkpoint's licence: asked before restricted weights load."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from storage.database import Database
from storage.identity import Clock, utc_now
from storage.models import LicenceAcceptanceRow

_QUEUE = 0x6C6963656E6365


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """One acceptance of one licence.

    Attributes:
        checkpoint: The checkpoint's name.
        licence: The licence's name.
        accepted_by: Handle of the account that accepted.
        accepted_at: UTC.
    """

    checkpoint: str
    licence: str
    accepted_by: str
    accepted_at: datetime


class LicenceStore:
    """Keeps acceptances; the first one of a licence stands."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def accept(self, checkpoint: str, licence: str, accepted_by: str) -> Acceptance:
        """Write an acceptance down and return the one that stands; accepting again changes nothing."""
        with self._database.transaction() as session:
            self._database.serialise(session, _QUEUE)
            row = session.get(LicenceAcceptanceRow, (checkpoint, licence))
            if row is None:
                row = LicenceAcceptanceRow(
                    checkpoint=checkpoint, licence=licence, accepted_by=accepted_by, accepted_at=self._clock()
                )
                session.add(row)
                session.flush()
            return _acceptance(row)

    def accepted(self, checkpoint: str) -> Acceptance | None:
        """The latest acceptance for a checkpoint, None when nobody accepted."""
        query = (
            select(LicenceAcceptanceRow)
            .where(LicenceAcceptanceRow.checkpoint == checkpoint)
            .order_by(LicenceAcceptanceRow.accepted_at.desc(), LicenceAcceptanceRow.licence)
            .limit(1)
        )
        with self._database.reading() as session:
            row = session.scalars(query).one_or_none()
            return None if row is None else _acceptance(row)

    def list(self) -> tuple[Acceptance, ...]:
        """Every acceptance, oldest first."""
        query = select(LicenceAcceptanceRow).order_by(LicenceAcceptanceRow.accepted_at, LicenceAcceptanceRow.checkpoint)
        with self._database.reading() as session:
            return tuple(_acceptance(row) for row in session.scalars(query))


def _acceptance(row: LicenceAcceptanceRow) -> Acceptance:
    return Acceptance(
        checkpoint=row.checkpoint, licence=row.licence, accepted_by=row.accepted_by, accepted_at=row.accepted_at
    )
