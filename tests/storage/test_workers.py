from storage import Database, WorkerStore
from tests.storage.conftest import HandClock


def test_a_worker_is_known_by_its_last_sign_of_life(database: Database, clock: HandClock) -> None:
    workers = WorkerStore(database, clock)
    start = clock.now
    workers.beat("gpu-0", 42, "box", {"device": "cpu", "threads": 1})
    clock.advance(10)
    workers.beat("gpu-0", 43, "box", {"device": "cuda:0"})
    (worker,) = workers.list()
    assert (worker.pid, worker.host, worker.facts) == (43, "box", {"device": "cuda:0"})
    assert (worker.started_at, worker.seen_at) == (start, clock.now)


def test_only_the_living_are_listed_when_asked(database: Database, clock: HandClock) -> None:
    workers = WorkerStore(database, clock)
    workers.beat("dead", 1, "box", {})
    clock.advance(60)
    since = clock.now
    workers.beat("alive", 2, "box", {})
    assert [worker.id for worker in workers.list()] == ["alive", "dead"]
    assert [worker.id for worker in workers.list(seen_since=since)] == ["alive"]


def test_a_worker_that_stops_in_order_is_forgotten(database: Database) -> None:
    workers = WorkerStore(database)
    workers.beat("gpu-0", 1, "box", {})
    for _ in range(2):
        workers.remove("gpu-0")
    assert workers.list() == ()
