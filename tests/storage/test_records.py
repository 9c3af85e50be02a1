import json
import sqlite3
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from storage import (
    ConflictError,
    InvalidValueError,
    NewRecord,
    NotFoundError,
    Origin,
    Outcome,
    canonical_json,
    sha256_hex,
)
from storage.models import RecordRow
from tests.storage.conftest import HandClock, Stores, picture


def test_a_record_comes_back_as_it_was_written(stores: Stores, clock: HandClock) -> None:
    body = {
        "seed": "18446744073709551615",
        "z": [1, 2.5, None, True],
        "a": {"nul": "\x00", "text": "\u732b \U0001f600"},
    }
    record = stores.append(body=body)
    assert stores.records.get(record.id, "alice") == record
    assert record.body == body
    assert record.created_at == clock.now
    assert record.job_id is None
    assert record.id.startswith("rec_")


def test_the_digest_is_that_of_the_stored_text(stores: Stores) -> None:
    record = stores.append(body={"b": 1, "a": "x"})
    with stores.database.reading() as session:
        stored = session.scalars(select(RecordRow.body)).one()
    assert stored == '{"a":"x","b":1}'
    assert record.digest == sha256_hex(stored.encode()) == sha256_hex(canonical_json({"a": "x", "b": 1}))


def test_an_id_given_beforehand_is_kept_and_cannot_be_taken_twice(stores: Stores) -> None:
    assert stores.append(id="rec_mine").id == "rec_mine"
    with pytest.raises(ConflictError, match="rec_mine"):
        stores.append(id="rec_mine")


def test_an_upload_is_admitted_with_its_record(stores: Stores) -> None:
    upload = picture("a photograph", Origin.UPLOAD)
    record = stores.records.append(
        NewRecord(owner="alice", operation="upload", outcome=Outcome.DONE, body={}), images=(upload,)
    )
    image = stores.images.get(upload.digest, "alice")
    assert (image.record_id, image.origin) == (record.id, Origin.UPLOAD)
    assert stores.images.producer(upload.digest, "alice") is None


def test_a_record_whose_image_is_refused_is_not_written(stores: Stores) -> None:
    bad = picture("x", Origin.UPLOAD)
    object.__setattr__(bad, "digest", "not a digest")
    with pytest.raises(InvalidValueError):
        stores.records.append(NewRecord(owner="a", operation="upload", outcome=Outcome.DONE, body={}), images=(bad,))
    assert stores.records.list(None).items == ()


def test_a_record_rolls_back_with_the_transaction_it_joined(stores: Stores) -> None:
    new = NewRecord(owner="a", operation="upload", outcome=Outcome.DONE, body={})

    def fail() -> None:
        with stores.database.transaction() as session:
            stores.records.append(new, session=session)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert stores.records.list(None).items == ()


def test_another_owner_and_a_wrong_id_look_the_same(stores: Stores) -> None:
    record = stores.append(owner="alice")
    with pytest.raises(NotFoundError) as hidden:
        stores.records.get(record.id, "bob")
    with pytest.raises(NotFoundError) as missing:
        stores.records.get("rec_none", "bob")
    assert str(hidden.value).replace(record.id, "X") == str(missing.value).replace("rec_none", "X")
    assert stores.records.get(record.id, None) == record


# Immutability: the database itself refuses, whatever program asks.

CHANGES = {
    "update": "UPDATE records SET owner = 'mallory'",
    "update of one": "UPDATE records SET body = '{}' WHERE sequence = 1",
    "delete": "DELETE FROM records",
    "link update": "UPDATE record_links SET parent_id = child_id",
    "link delete": "DELETE FROM record_links",
}
ON_ONE = {
    "sqlite": {
        "replace by id": "INSERT OR REPLACE INTO records "
        "SELECT sequence + 10, id, job_id, 'mallory', operation, outcome, created_at, body, digest FROM records",
        "replace by sequence": "REPLACE INTO records "
        "SELECT sequence, id || 'x', NULL, 'mallory', operation, outcome, created_at, body, digest FROM records",
        "replace by job": "REPLACE INTO records SELECT sequence + 10, id || 'x', job_id, 'mallory', operation, "
        "outcome, created_at, body, digest FROM records WHERE job_id IS NOT NULL",
        "upsert": "INSERT INTO records SELECT * FROM records WHERE true ON CONFLICT DO UPDATE SET owner = 'mallory'",
        "link replace": "INSERT OR REPLACE INTO record_links SELECT * FROM record_links",
    },
    "postgresql": {
        "truncate": "TRUNCATE records CASCADE",
        "truncate of links": "TRUNCATE record_links",
        "upsert": "INSERT INTO records SELECT * FROM records ON CONFLICT (id) DO UPDATE SET owner = 'mallory'",
    },
}


def rows(stores: Stores) -> list[tuple[object, ...]]:
    with stores.database.reading() as session:
        return [
            tuple(row)
            for table in ("records", "record_links")
            for row in session.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2"))
        ]


def refuse(stores: Stores, statements: Mapping[str, str]) -> None:
    job = stores.enqueue()
    parent = stores.finish(job, stores.lease().token)
    stores.append(parents=(parent.id,))
    before = rows(stores)
    assert len(before) == 3
    for name, statement in statements.items():
        with pytest.raises(ConflictError, match=r"never changed"), stores.database.transaction() as session:
            session.execute(text(statement))
        assert rows(stores) == before, name


@pytest.mark.parametrize("name", CHANGES)
def test_the_database_refuses_to_change_a_record(stores: Stores, name: str) -> None:
    refuse(stores, {name: CHANGES[name]})


def test_the_database_refuses_the_roundabout_ways_too(stores: Stores, backend: str) -> None:
    refuse(stores, ON_ONE[backend])


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("statement", ON_ONE["sqlite"].values(), ids=ON_ONE["sqlite"])
def test_another_program_with_sqlite_s_own_settings_is_refused_too(
    stores: Stores, tmp_path: Path, statement: str
) -> None:
    job = stores.enqueue()
    parent = stores.finish(job, stores.lease().token)
    stores.append(parents=(parent.id,))
    before = rows(stores)
    other = sqlite3.connect(tmp_path / "studio.db")
    with pytest.raises(sqlite3.IntegrityError, match="never changed"):
        other.execute(statement)
    other.close()
    assert rows(stores) == before


def test_a_record_changed_behind_the_guards_is_named(stores: Stores) -> None:
    records = [stores.append(body={"number": number}) for number in range(4)]
    assert list(stores.records.damaged()) == []
    with stores.database.transaction() as session:
        if stores.database.is_sqlite:
            session.execute(text("DROP TRIGGER records_no_update"))
        else:
            session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(text("UPDATE records SET body = replace(body, '2', '7') WHERE id = :id"), {"id": records[2].id})
    assert list(stores.records.damaged()) == [records[2].id]


# Lists


def test_filters_of_a_list(stores: Stores, clock: HandClock) -> None:
    start = clock.now
    first = stores.append(owner="alice", outcome=Outcome.DONE)
    clock.advance(60)
    second = stores.append(owner="bob", outcome=Outcome.REFUSED)
    clock.advance(60)
    third = stores.append(owner="alice", outcome=Outcome.REFUSED, operation="inpaint")

    def found(owner: str | None = None, **filters: object) -> list[str]:
        return [record.id for record in stores.records.list(owner, **filters).items]  # type: ignore[arg-type]

    minute = timedelta(seconds=60)
    assert found() == [third.id, second.id, first.id]
    assert found(newest_first=False) == [first.id, second.id, third.id]
    assert found("alice") == [third.id, first.id]
    assert found(since=start + minute) == [third.id, second.id]
    assert found(until=start + minute) == [first.id]
    assert found(since=start + minute, until=start + 2 * minute) == [second.id]
    assert found(operation="inpaint") == [third.id]
    assert found(outcome=Outcome.REFUSED) == [third.id, second.id]
    assert found("bob", outcome=Outcome.DONE) == []


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_neither_repeat_nor_miss_while_records_arrive(stores: Stores, limit: int, *, newest_first: bool) -> None:
    wanted = [stores.append().id for _ in range(7)]
    seen: list[str] = []
    cursor = None
    for _ in range(20):
        page = stores.records.list("alice", limit=limit, after=cursor, newest_first=newest_first)
        assert len(page.items) <= limit
        seen += [record.id for record in page.items]
        if len(seen) < 12:
            late = stores.append().id
            if not newest_first:
                wanted.append(late)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen[:7] == (list(reversed(wanted[:7])) if newest_first else wanted[:7])
    assert len(seen) == len(set(seen))
    assert newest_first is False or len(seen) == 7


def test_a_cursor_of_another_list_or_direction_is_refused(stores: Stores) -> None:
    for _ in range(2):
        stores.append()
        stores.enqueue()
    records = stores.records.list(None, limit=1).next_cursor
    jobs = stores.jobs.list(None, limit=1).next_cursor
    for cursor, newest_first in ((jobs, True), (records, False), ("", True), ("bm9uZQ", True)):
        with pytest.raises(InvalidValueError, match="cursor"):
            stores.records.list(None, after=cursor, newest_first=newest_first)


def test_a_body_with_no_canonical_form_is_refused(stores: Stores) -> None:
    for body in ({"x": float("inf")}, {"x": 2**60}, {"x": b"bytes"}, {1: "x"}, {"x": "\ud800"}):
        with pytest.raises(InvalidValueError):
            stores.append(body=body)
    assert stores.records.list(None).items == ()


def test_a_body_is_read_back_as_plain_json(stores: Stores) -> None:
    record = stores.append(body={"tuple": (1, 2), "nested": {"empty": {}}})
    assert json.loads(json.dumps(dict(record.body))) == {"tuple": [1, 2], "nested": {"empty": {}}}
