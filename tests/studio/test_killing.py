"""Kill -9 at random moments: nothing queued is lost, nothing is published twice, no record lacks its blob."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from storage import JobState
from tests.studio import killing
from tests.studio.conftest import Studio, box_mask, encoded, noise, png

JOBS_A_ROUND = 3


@pytest.mark.parametrize(
    "rounds", [20, pytest.param(200, marks=pytest.mark.soak)], ids=lambda rounds: f"{rounds}-rounds"
)
def test_killed_workers_lose_nothing_and_publish_nothing_twice(
    rounds: int, make_studio: Callable[..., Studio], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    studio = make_studio(home=home)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.studio.killing"])
    moments = np.random.default_rng(20261122)
    asked: list[str] = []
    for number in range(rounds):
        asked += [_ask(studio, 10 * number + each) for each in range(JOBS_A_ROUND)]
        before = _attempts(studio)
        worker = context.Process(target=killing.run, args=(home,), daemon=True)
        worker.start()
        _wait_until_more_attempts_than(before, studio)
        time.sleep(moments.uniform(0.0, 0.4))
        worker.kill()
        worker.join()
    last = context.Process(target=killing.run, args=(home,), daemon=True)
    last.start()
    _wait_until_all_ended(studio, last)
    last.kill()
    last.join()
    _assert_whole(studio, asked, rounds)


def _ask(studio: Studio, seed: int) -> str:
    members = {"image": encoded(png(noise())), "mask": encoded(png(box_mask())), "prompt": "a red circle"}
    variants = 1 + seed % 2
    return str(studio.ask("inpaint", seed=seed, n=variants, steps=16 // variants, **members)["id"])


def _attempts(studio: Studio) -> int:
    return sum(each.attempts for each in studio.jobs())


def _wait_until_more_attempts_than(before: int, studio: Studio) -> None:
    for _ in range(600):
        if _attempts(studio) > before:
            return
        time.sleep(0.02)
    raise AssertionError("the worker never took a job")


def _wait_until_all_ended(studio: Studio, worker: multiprocessing.process.BaseProcess) -> None:
    for _ in range(1200):
        if all(state.final for state in studio.states()):
            return
        assert worker.is_alive()
        time.sleep(0.1)
    raise AssertionError(f"jobs never ended: {Counter(studio.states())}")


def _assert_whole(studio: Studio, asked: list[str], rounds: int) -> None:
    jobs = {each.id: each for each in studio.jobs()}
    records = studio.records()
    assert set(jobs) == set(asked), "a job was lost"
    assert {each.state for each in jobs.values()} == {JobState.DONE}
    published = Counter(each.job_id for each in records)
    assert published == Counter(asked), "a job was published twice, or without a record"
    for record in records:
        outputs = record.body["outputs"]
        assert len(outputs) == record.body["parameters"]["n"], "some of the variants were published without the others"
        for output in outputs:
            assert studio.store.blobs.get(output["file_sha256"]), "a record without its blob"
            assert studio.store.images.get(output["file_sha256"], None).pixel_sha256 == output["pixel_sha256"]
    hit = sum(each.attempts - 1 for each in jobs.values())
    assert hit >= rounds // 2, f"only {hit} of {rounds} kills hit a job: that tests nothing"


def test_a_job_whose_workers_all_die_fails_as_worker_lost_with_a_record(make_studio: Callable[..., Studio]) -> None:
    studio = make_studio(max_attempts=2, lease_seconds=0.05)
    job = studio.ask("generate", prompt="a red circle")
    for _ in range(2):  # a worker that takes the job and is never heard of again
        assert studio.store.jobs.lease("doomed", 0.05, 2) is not None
        time.sleep(0.1)
    studio.work_off()
    view = studio.read(job)
    assert (view["state"], view["error"]["code"], view["attempts"]) == ("failed", "worker_lost", 2)
    record = studio.http.get(f"/v1/records/{view['record']}").json()
    assert (record["outcome"], record["body"]["error"]["code"]) == ("failed", "worker_lost")
    assert studio.engine.runs == 0


def test_a_worker_that_lost_its_lease_publishes_nothing(studio: Studio) -> None:
    import threading

    from studio.jobs.worker import carry_out

    job = studio.ask("generate", prompt="a red circle", seed=1)
    slow = studio.store.jobs.lease("slow", 0.01, 3)
    assert slow is not None
    time.sleep(0.05)
    studio.work_off()  # another worker takes over and finishes
    assert studio.read(job)["state"] == "done"
    assert carry_out(slow, studio.desk, threading.Event()) == 0
    assert studio.counts()["records"] == 1


def test_a_worker_told_to_stop_puts_its_job_back_without_counting_the_attempt(studio: Studio) -> None:
    import threading

    from studio.jobs.worker import carry_out

    job = studio.ask("generate", prompt="a red circle", seed=1)
    lease = studio.store.jobs.lease("leaving", 15, 3)
    assert lease is not None
    stop = threading.Event()
    stop.set()
    assert carry_out(lease, studio.desk, stop) == 0
    view = studio.read(job)
    assert (view["state"], view["attempts"], view["queue_position"]) == ("queued", 0, 0)
