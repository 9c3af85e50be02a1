import sqlite3
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import event, select, text

from storage import (
    ConflictError,
    Database,
    DatabaseUnavailableError,
    InvalidValueError,
    StorageError,
    StorageFullError,
)
from storage.models import WorkerRow
from tests.storage.conftest import all_at_once

MOMENT = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)


def worker(name: str, seen: datetime = MOMENT, facts: object = None) -> WorkerRow:
    return WorkerRow(id=name, pid=1, host="here", facts=facts or {}, started_at=MOMENT, seen_at=seen)


def names(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(select(WorkerRow.id).order_by(WorkerRow.id)))


def test_a_transaction_that_raises_writes_nothing(database: Database) -> None:
    def fail() -> None:
        with database.transaction() as session:
            session.add(worker("lost"))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert names(database) == []


def test_a_reader_sees_one_moment_and_does_not_wait_for_the_writer(database: Database) -> None:
    with database.reading() as session:
        before = session.scalars(select(WorkerRow.id)).all()
        with database.transaction() as writing:
            writing.add(worker("new"))
        assert session.scalars(select(WorkerRow.id)).all() == before == []
    assert names(database) == ["new"]


def test_transactions_do_not_nest(database: Database) -> None:
    with database.transaction(), pytest.raises(RuntimeError, match="nest"), database.transaction():
        pass
    with database.transaction() as session:  # and the failure left nothing locked
        session.add(worker("w"))
    assert names(database) == ["w"]


def test_writers_in_many_threads_queue_up(database: Database) -> None:
    with database.transaction() as session:
        session.add(worker("shared"))

    def add_five() -> None:
        for _ in range(5):
            with database.transaction() as session:
                row = session.get_one(WorkerRow, "shared", with_for_update=True)
                row.pid += 1

    all_at_once([add_five] * 6)
    with database.reading() as session:
        assert session.get_one(WorkerRow, "shared").pid == 31


def test_times_come_back_in_utc_to_the_microsecond(database: Database) -> None:
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=-7)))
    with database.transaction() as session:
        session.add(worker("w", seen=elsewhere))
    with database.reading() as session:
        seen = session.get_one(WorkerRow, "w").seen_at
    assert seen == MOMENT
    assert seen.tzinfo is UTC


def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(InvalidValueError, match="zone"), database.transaction() as session:
        session.add(worker("w", seen=MOMENT.replace(tzinfo=None)))


@pytest.mark.parametrize("facts", [{"when": MOMENT}, {"number": float("nan")}])
def test_what_is_not_json_is_refused(database: Database, facts: object) -> None:
    with pytest.raises(InvalidValueError, match="JSON"), database.transaction() as session:
        session.add(worker("w", facts=facts))


def test_json_keeps_awkward_values_on_every_database(database: Database) -> None:
    facts = {"nul": "a\x00b", "lone": "\ud800", "big": 2**70, "float": 1.0, "z": 1, "a": [True, None, "\U0001f600"]}
    with database.transaction() as session:
        session.add(worker("w", facts=facts))
    with database.reading() as session:
        back = session.get_one(WorkerRow, "w").facts
    assert back == facts
    assert list(back) == list(facts)
    assert isinstance(back["float"], float)


def test_a_taken_name_is_a_conflict(database: Database) -> None:
    with database.transaction() as session:
        session.add(worker("w"))
    with pytest.raises(ConflictError), database.transaction() as session:
        session.add(worker("w"))


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "sqlite:///:memory:", "postgresql://x/y", "no url"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(InvalidValueError):
        Database(url)


def test_a_bad_url_is_not_repeated_with_its_password() -> None:
    with pytest.raises(InvalidValueError) as refused:
        Database("mysql://studio:secret@x/y")
    assert "secret" not in str(refused.value)


# What only one of the two can show


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'one.db'}")
    database.upgrade()
    yield database
    database.close()


def test_no_failure_repeats_what_was_to_be_stored(database: Database) -> None:
    words = "words of somebody"
    with pytest.raises(StorageError) as caught, database.transaction() as session:
        session.execute(text("INSERT INTO nowhere VALUES (:words)"), {"words": words})
    assert words not in "".join(traceback.format_exception(caught.value))


def test_sqlite_is_set_to_survive_a_power_cut(sqlite_file: Database) -> None:
    with sqlite_file.reading() as session:
        modes = {
            name: session.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "secure_delete")
        }
    assert modes == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 30000,
        "secure_delete": 1,
    }


def test_nobody_but_the_owner_may_read_a_sqlite_file(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'private.db'}")
    database.upgrade()
    with database.transaction() as session:
        session.add(worker("w"))
    found = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    database.close()
    assert found == {"private.db": 0o600, "private.db-wal": 0o600, "private.db-shm": 0o600}


def test_a_full_sqlite_file_is_named_and_the_old_rows_stay(sqlite_file: Database) -> None:
    with sqlite_file.transaction() as session:
        session.add(worker("before"))

    def limit(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")

    event.listen(sqlite_file._engine, "connect", limit)
    sqlite_file.close()
    with pytest.raises(StorageFullError), sqlite_file.transaction() as session:
        session.add(worker("too big", facts={"big": "x" * 200_000}))
    assert names(sqlite_file) == ["before"]


def test_a_sqlite_folder_that_is_not_there_is_an_unavailable_database(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'nowhere' / 'studio.db'}")
    with pytest.raises(DatabaseUnavailableError):
        database.upgrade()


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "studio.db").write_bytes(b"not a database " * 1000)
    with pytest.raises(DatabaseUnavailableError):
        Database(f"sqlite:///{tmp_path / 'studio.db'}").current()


def test_a_postgresql_that_is_away_is_an_unavailable_database(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError):
        Database(f"postgresql+psycopg://postgres:@/studio?host={tmp_path}").current()


def test_a_sqlite_file_that_stays_locked_is_unavailable(tmp_path: Path) -> None:
    holder = Database(f"sqlite:///{tmp_path / 'one.db'}")
    holder.upgrade()
    hurried = Database(f"sqlite:///{tmp_path / 'one.db'}", lock_wait_s=0)
    with holder.transaction(), pytest.raises(DatabaseUnavailableError, match="locked"), hurried.transaction():
        pass
    with hurried.transaction() as session:
        session.add(worker("afterwards"))
    assert names(holder) == ["afterwards"]
    hurried.close()
    holder.close()


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_full_disk_under_postgresql_is_named(database: Database) -> None:
    full = "DO $$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = 'disk_full'; END $$"
    with pytest.raises(StorageFullError, match="no space left"), database.transaction() as session:
        session.execute(text(full))


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_text_that_postgresql_cannot_hold_is_a_bad_value(database: Database) -> None:
    with pytest.raises(InvalidValueError, match="NUL"), database.transaction() as session:
        session.add(worker("nul \x00"))


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_lost_postgresql_connection_is_named_and_the_next_one_works(database: Database, url: str) -> None:
    other = Database(url)

    def lose() -> None:
        with database.transaction() as session:
            pid = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
            with other.transaction() as killer:
                killer.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            session.add(worker("lost"))

    with pytest.raises(DatabaseUnavailableError):
        lose()
    other.close()
    assert names(database) == []


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_reading_transaction_cannot_write_on_postgresql(database: Database) -> None:
    with pytest.raises(DatabaseUnavailableError, match="read-only"), database.reading() as session:
        session.add(worker("w"))
