"""Sketches: once for each job, of one key, no longer than a window, on both databases."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from storage import Database, Sketch, SketchStore
from tests.storage.conftest import HandClock, all_at_once

ROOT = Path(__file__).parents[2]
HIGHEST = 2**64 - 1


@pytest.fixture
def store(database: Database, clock: HandClock) -> SketchStore:
    return SketchStore(database, clock)


def sketch(store: SketchStore, job: str, key: str = "key_1", **changes: object) -> Sketch:
    values: dict[str, object] = {"prompt": 7, "pictures": None, "likenesses": ()}
    return Sketch(job_id=job, key_id=key, at=store.now(), **(values | changes))  # type: ignore[arg-type]


def add(store: SketchStore, job: str, key: str = "key_1", *, keep: float = 100, most: int = 50) -> list[str]:
    """Add a sketch; the jobs whose sketches came before."""
    _, earlier = store.add(sketch(store, job, key), keep_seconds=keep, most=most)
    return [each.job_id for each in earlier]


def rows(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.execute(text("SELECT job_id FROM sketches ORDER BY at, job_id")).scalars())


def test_a_sketch_is_read_as_it_was_written(store: SketchStore) -> None:
    for job, number in (("a", 0), ("b", HIGHEST), ("c", 2**63), ("d", 2**63 - 1)):
        new = sketch(store, job, prompt=number, pictures=number, likenesses=(0, number))
        own, _ = store.add(new, keep_seconds=100, most=50)
        assert own.likenesses == tuple(sorted(new.likenesses))
    _, (first, second, third, fourth) = store.add(sketch(store, "e", prompt=None), keep_seconds=100, most=50)
    assert [each.prompt for each in (first, second, third, fourth)] == [0, HIGHEST, 2**63, 2**63 - 1]
    assert (second.pictures, second.likenesses) == (HIGHEST, (0, HIGHEST))
    assert second.at == store.now()


def test_only_the_keys_own_sketches_of_the_window_come_back(store: SketchStore, clock: HandClock) -> None:
    add(store, "too old")
    clock.advance(40)
    add(store, "in time")
    add(store, "another key's", "key_2")
    clock.advance(60)
    assert add(store, "now") == ["in time"]


def test_a_job_that_is_tried_again_counts_once_and_at_its_first_time(
    store: SketchStore, clock: HandClock, database: Database
) -> None:
    add(store, "before")
    clock.advance(1)
    first = store.now()
    assert add(store, "job") == ["before"]
    clock.advance(1)
    assert add(store, "after") == ["before", "job"]
    clock.advance(1)
    own, earlier = store.add(sketch(store, "job", prompt=9), keep_seconds=100, most=50)
    assert (own.at, own.prompt, [each.job_id for each in earlier]) == (first, 7, ["before"])
    assert rows(database) == ["before", "job", "after"]


def test_a_worker_that_dies_after_writing_leaves_nothing_that_counts_twice(
    store: SketchStore, url: str, database: Database
) -> None:
    program = (
        "import os, sys; from storage import Database, Sketch, SketchStore, utc_now;"
        "store = SketchStore(Database(sys.argv[1]));"
        "store.add(Sketch(job_id='job', key_id='key_1', at=utc_now(), prompt=7, pictures=None, likenesses=()),"
        " keep_seconds=100, most=50); os.kill(os.getpid(), 9)"
    )
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", program, url], cwd=ROOT, check=False).returncode == -9
    assert rows(database) == ["job"]


def test_a_key_never_has_more_rows_than_are_of_use(store: SketchStore, clock: HandClock, database: Database) -> None:
    for number in range(12):
        add(store, f"job {number:02}", most=5)
        clock.advance(1)
    assert rows(database) == [f"job {number:02}" for number in range(7, 12)]
    clock.advance(200)
    add(store, "another key's", "key_2")
    assert len(rows(database)) == 6, "another key's are not ours to forget"
    assert add(store, "late") == []
    assert rows(database) == ["another key's", "late"]


def test_the_sweep_forgets_what_is_older_than_any_window(
    store: SketchStore, clock: HandClock, database: Database
) -> None:
    add(store, "old")
    add(store, "old too", "key_2")
    clock.advance(101)
    add(store, "young", "key_3")
    assert store.prune(100) == 2
    assert store.prune(100) == 0
    assert rows(database) == ["young"]


def test_of_workers_that_count_at_once_each_sees_those_before_it(store: SketchStore) -> None:
    seen = all_at_once([lambda job=f"job {number}": len(add(store, job)) for number in range(8)])
    assert sorted(seen) == list(range(8))


def test_the_secret_is_drawn_once_for_all_processes(url: str) -> None:
    databases = [Database(url) for _ in range(7)]
    *stores, late = [SketchStore(each) for each in databases]
    (secret,) = set(all_at_once([each.secret for each in stores]))
    assert len(secret) == 32
    assert late.secret() == secret
    for each in databases:
        each.close()


def test_looking_back_goes_by_key_and_time(database: Database) -> None:
    if not database.is_sqlite:
        pytest.skip("an empty PostgreSQL table is read whole, whatever its indexes")
    with database.reading() as session:
        query = "EXPLAIN QUERY PLAN SELECT * FROM sketches WHERE key_id = 'k' AND at > '2026' AND at <= '2027'"
        plan = str(session.execute(text(query)).all())
    assert "ix_sketches_key_id_at (key_id=? AND at>? AND at<?)" in plan
