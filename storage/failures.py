"""The databases' own errors, under this package's names."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from storage.errors import (
    ConflictError,
    DatabaseUnavailableError,
    InvalidValueError,
    SchemaOutdatedError,
    StorageError,
    StorageFullError,
)

_PG_DISK_FULL = "53100"
_PG_UNDEFINED = frozenset({"42P01", "42703"})  # table, column
_NO_TABLE = ("no such table", "no such column", "has no column named")


@contextmanager
def named_failures() -> Iterator[None]:
    """Turn what the database raises inside the block into a StorageError.

    Raises:
        ConflictError: A constraint or a trigger forbids the change.
        StorageFullError: No room left.
        InvalidValueError: A value that the database or a column type cannot hold.
        SchemaOutdatedError: A table or a column does not exist.
        DatabaseUnavailableError: Everything else that a database says when it cannot go on.
    """
    try:
        yield
    except PoolTimeoutError as error:
        raise DatabaseUnavailableError(f"no database connection became free: {error}") from error
    except DBAPIError as error:
        raise _named(error) from error
    except StatementError as error:  # wraps what a column type raises about a value
        if isinstance(error.orig, StorageError):
            raise error.orig from error
        raise


def _named(error: DBAPIError) -> StorageError:
    said = str(error.orig).strip() or type(error.orig).__name__
    if isinstance(error, IntegrityError):
        return ConflictError(f"the database refuses the change: {said}")
    if isinstance(error, DataError):
        return InvalidValueError(f"the database cannot hold a value: {said}")
    if _is_full(error):
        return StorageFullError(f"no room left in the database: {said}")
    if _is_schema(error, said):
        return SchemaOutdatedError(f"the tables are not those of this version: {said}")
    return DatabaseUnavailableError(f"the database cannot go on: {said}")


def _is_full(error: DBAPIError) -> bool:
    if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return True
    return getattr(error.orig, "sqlstate", None) == _PG_DISK_FULL


def _is_schema(error: DBAPIError, said: str) -> bool:
    if isinstance(error.orig, sqlite3.Error):
        return any(words in said for words in _NO_TABLE)
    return getattr(error.orig, "sqlstate", None) in _PG_UNDEFINED
