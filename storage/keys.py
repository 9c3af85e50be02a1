"""API keys: shown once, stored as a digest, revocable; each with the tolerance that its operator set."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.database import Database
from storage.digests import sha256_hex
from storage.errors import InvalidValueError, NotFoundError
from storage.identity import KEY_PREFIX, Clock, NewId, random_id, utc_now
from storage.models import ApiKeyRow
from storage.words import Role

TOKEN_PREFIX = "studio_"  # noqa: S105 -- the public start of every token, by which secret scanners know one
_TOKEN_BYTES = 32
_FIRST_KEY_QUEUE = 0x6669727374

SAFETY_TOLERANCE: Final = (0, 6)
"""Strictest and laxest."""
DEFAULT_SAFETY_TOLERANCE: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key without its token.

    Attributes:
        id: Starts with `key_`.
        owner: Opaque handle of the account; what the key makes belongs to it.
        role: What its bearer may do.
        purpose: What the key is for, as its owner declared.
        created_at: UTC.
        revoked_at: UTC, None while it works.
        safety_tolerance: How much the policy lets pass for it, 0 (strictest) .. 6.
    """

    id: str
    owner: str
    role: Role
    purpose: str
    created_at: datetime
    revoked_at: datetime | None
    safety_tolerance: int = DEFAULT_SAFETY_TOLERANCE


class KeyStore:
    """Makes, finds and revokes API keys.

    A token is 256 random bits, so a plain SHA-256 protects it: there is nothing to guess that a slow password hash
    would slow down. Looking it up compares digests, which an attacker cannot steer, so the time it takes tells nothing.
    """

    def __init__(self, database: Database, clock: Clock = utc_now, new_id: NewId = random_id) -> None:
        self._database = database
        self._clock = clock
        self._new_id = new_id

    def create(
        self, owner: str, role: Role, purpose: str, *, safety_tolerance: int = DEFAULT_SAFETY_TOLERANCE
    ) -> tuple[ApiKey, str]:
        """Make a key.

        Args:
            owner: Opaque handle of the account.
            role: What its bearer may do.
            purpose: What it is for; must say something.
            safety_tolerance: How much the policy lets pass for it, 0..6.

        Returns:
            The key and its token. The token exists nowhere else afterwards.

        Raises:
            InvalidValueError: Owner or purpose is blank or not Unicode, or there is no such tolerance.
        """
        with self._database.transaction() as session:
            return self._create(session, owner, role, purpose, safety_tolerance)

    def create_first(
        self, owner: str, role: Role, purpose: str, *, keep: Callable[[str], None] = lambda _: None
    ) -> tuple[ApiKey, str] | None:
        """Make a key only if there never was one, and None otherwise; of several processes that try, one succeeds.

        Args:
            owner: As for `create`.
            role: As for `create`.
            purpose: As for `create`.
            keep: Called with the token before the key is committed, to write it down; what it raises undoes the key.
        """
        with self._database.transaction() as session:
            self._database.serialise(session, _FIRST_KEY_QUEUE)
            if session.scalars(select(ApiKeyRow.id).limit(1)).first() is not None:
                return None
            made = self._create(session, owner, role, purpose, DEFAULT_SAFETY_TOLERANCE)
            keep(made[1])
            return made

    def find(self, token: str) -> ApiKey | None:
        """The key of a token, None when there is none or it was revoked."""
        digest = sha256_hex(token.encode("utf-8", "surrogatepass"))
        with self._database.reading() as session:
            row = session.scalars(select(ApiKeyRow).where(ApiKeyRow.token_sha256 == digest)).one_or_none()
            return None if row is None or row.revoked_at is not None else _key(row)

    def get(self, key_id: str) -> ApiKey:
        """One key, revoked or not.

        Raises:
            NotFoundError: There is no such key.
        """
        with self._database.reading() as session:
            row = session.get(ApiKeyRow, key_id)
            if row is None:
                raise NotFoundError(f"no key {key_id[:80]!r}")
            return _key(row)

    def list(self) -> tuple[ApiKey, ...]:
        """Every key, revoked ones too, oldest first."""
        with self._database.reading() as session:
            return tuple(
                _key(row) for row in session.scalars(select(ApiKeyRow).order_by(ApiKeyRow.created_at, ApiKeyRow.id))
            )

    def revoke(self, key_id: str) -> ApiKey:
        """Make a key useless from now on; a revoked one keeps its first time.

        Raises:
            NotFoundError: There is no such key.
        """
        with self._database.transaction() as session:
            row = session.get(ApiKeyRow, key_id, with_for_update=True)
            if row is None:
                raise NotFoundError(f"no key {key_id[:80]!r}")
            row.revoked_at = row.revoked_at or self._clock()
            session.flush()
            return _key(row)

    def set_safety_tolerance(self, key_id: str, safety_tolerance: int) -> ApiKey:
        """Set how much the policy lets pass for a key from now on.

        Args:
            key_id: Which key.
            safety_tolerance: 0 (strictest) .. 6.

        Raises:
            InvalidValueError: There is no such tolerance.
            NotFoundError: There is no such key.
        """
        _check_tolerance(safety_tolerance)
        with self._database.transaction() as session:
            row = session.get(ApiKeyRow, key_id, with_for_update=True)
            if row is None:
                raise NotFoundError(f"no key {key_id[:80]!r}")
            row.safety_tolerance = safety_tolerance
            session.flush()
            return _key(row)

    def _create(
        self, session: Session, owner: str, role: Role, purpose: str, safety_tolerance: int
    ) -> tuple[ApiKey, str]:
        if not owner.strip() or not purpose.strip():
            raise InvalidValueError(f"a key needs an owner and a purpose, got {owner!r} and {purpose!r}")
        for name, text in (("owner", owner), ("purpose", purpose)):
            if "\0" in text or any("\ud800" <= each <= "\udfff" for each in text):
                raise InvalidValueError(f"a key's {name} must be Unicode without NUL and lone surrogates")
        _check_tolerance(safety_tolerance)
        token = TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
        row = ApiKeyRow(
            id=self._new_id(KEY_PREFIX),
            owner=owner,
            role=role,
            purpose=purpose,
            token_sha256=sha256_hex(token.encode()),
            created_at=self._clock(),
            revoked_at=None,
            safety_tolerance=safety_tolerance,
        )
        session.add(row)
        session.flush()
        return _key(row), token


def _key(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        id=row.id,
        owner=row.owner,
        role=row.role,
        purpose=row.purpose,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        safety_tolerance=row.safety_tolerance,
    )


def _check_tolerance(safety_tolerance: int) -> None:
    least, most = SAFETY_TOLERANCE
    if isinstance(safety_tolerance, bool) or not least <= safety_tolerance <= most:
        raise InvalidValueError(f"safety_tolerance must lie in {least}..{most}, got {safety_tolerance}")
