from collections import Counter

import pytest
from sqlalchemy import select

from storage import ConflictError, InvalidValueError, JobState, LeaseLostError, NotFoundError, sha256_hex
from storage.models import JobRow, TextRow
from tests.storage.conftest import HandClock, Stores, all_at_once


def test_a_job_comes_back_as_it_was_accepted(stores: Stores, clock: HandClock) -> None:
    job = stores.enqueue()
    assert stores.jobs.get(job.id, "alice") == job
    assert job.id.startswith("job_")
    assert job.state is JobState.QUEUED
    assert job.parameters == {"seed": "18446744073709551615", "steps": 4}
    assert job.inputs == (sha256_hex(b"picture"), sha256_hex(b"mask"))
    assert job.created_at == clock.now
    assert (job.attempts, job.outputs, job.record_id, job.started_at) == (0, (), None, None)


def test_the_prompt_is_in_the_vault_and_nowhere_else(stores: Stores) -> None:
    job = stores.enqueue(prompt="Erika Mustermann on a horse")
    assert job.prompt_ref is not None
    with stores.database.reading() as session:
        assert stores.vault.get(session, job.prompt_ref) == "Erika Mustermann on a horse"
        row = session.scalars(select(JobRow)).one()
        assert "Erika" not in str({name: value for name, value in vars(row).items() if name[0] != "_"})


def test_a_job_without_a_prompt_has_no_text(stores: Stores) -> None:
    assert stores.enqueue(prompt=None).prompt_ref is None


@pytest.mark.parametrize(
    "changes", [{"inputs": ("../../etc/passwd",)}, {"parameters": {"x": object()}}, {"prompt": "lone \ud800"}]
)
def test_a_job_that_cannot_be_stored_leaves_neither_row_nor_text(stores: Stores, changes: dict[str, object]) -> None:
    with pytest.raises(InvalidValueError):
        stores.enqueue(**changes)  # type: ignore[arg-type]
    with stores.database.reading() as session:
        assert session.scalars(select(TextRow.ref)).all() == []
        assert session.scalars(select(JobRow.id)).all() == []


def test_another_owner_and_a_wrong_id_look_the_same(stores: Stores) -> None:
    job = stores.enqueue(owner="alice")
    with pytest.raises(NotFoundError) as hidden:
        stores.jobs.get(job.id, "bob")
    with pytest.raises(NotFoundError) as missing:
        stores.jobs.get("job_none", "bob")
    assert str(hidden.value).replace(job.id, "X") == str(missing.value).replace("job_none", "X")
    assert stores.jobs.get(job.id, None) == job
    with pytest.raises(NotFoundError):
        stores.jobs.request_cancel(job.id, "bob")
    assert not stores.jobs.get(job.id, None).cancel_requested


def test_jobs_are_lent_in_the_order_they_came(stores: Stores, clock: HandClock) -> None:
    jobs = [stores.enqueue() for _ in range(3)]
    leases = [stores.lease() for _ in jobs]
    assert [lease.job.id for lease in leases] == [job.id for job in jobs]
    assert {lease.job.state for lease in leases} == {JobState.SCREENING}
    assert {lease.job.attempts for lease in leases} == {1}
    assert {lease.job.started_at for lease in leases} == {clock.now}
    assert stores.jobs.lease("worker-1", 30, 3) is None


def test_positions_count_only_what_is_queued_before(stores: Stores) -> None:
    first, second, third = (stores.enqueue() for _ in range(3))
    assert [stores.jobs.position(job) for job in (first, second, third)] == [0, 1, 2]
    assert (stores.jobs.waiting(), stores.jobs.waiting("alice"), stores.jobs.waiting("bob")) == (3, 3, 0)
    stores.lease()
    assert [stores.jobs.position(job) for job in (first, second, third)] == [None, 0, 1]
    assert stores.jobs.waiting() == 2


def test_a_lease_holds_until_it_runs_out_and_a_beat_renews_it(stores: Stores, clock: HandClock) -> None:
    stores.enqueue()
    lease = stores.lease(seconds=30)
    clock.advance(29)
    assert stores.jobs.beat(lease, 30) is False
    clock.advance(29)
    assert stores.jobs.lease("worker-2", 30, 3) is None
    clock.advance(2)
    second = stores.lease("worker-2")
    assert second.job.id == lease.job.id
    assert second.job.attempts == 2
    assert not second.exhausted


def test_a_beat_says_how_far_the_job_is(stores: Stores) -> None:
    job = stores.enqueue()
    lease = stores.lease()
    stores.jobs.beat(lease, 30, state=JobState.EDITING, step=3, steps=8)
    stores.jobs.beat(lease, 30)
    now = stores.jobs.get(job.id, None)
    assert (now.state, now.step, now.steps) == (JobState.EDITING, 3, 8)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.DONE, JobState.HELD])
def test_a_beat_cannot_end_or_requeue_a_job(stores: Stores, state: JobState) -> None:
    stores.enqueue()
    lease = stores.lease()
    with pytest.raises(InvalidValueError, match=state.value):
        stores.jobs.beat(lease, 30, state=state)


def test_a_worker_that_lost_its_lease_can_neither_beat_nor_release(stores: Stores, clock: HandClock) -> None:
    job = stores.enqueue()
    lost = stores.lease("worker-1", seconds=30)
    clock.advance(31)
    held = stores.lease("worker-2", seconds=30)
    before = stores.jobs.get(job.id, None)
    with pytest.raises(LeaseLostError):
        stores.jobs.beat(lost, 30, state=JobState.PUBLISHING)
    with pytest.raises(LeaseLostError):
        stores.jobs.release(lost)
    assert stores.jobs.get(job.id, None) == before
    assert stores.jobs.beat(held, 30) is False


def test_a_late_beat_keeps_a_job_that_nobody_took(stores: Stores, clock: HandClock) -> None:
    stores.enqueue()
    lease = stores.lease(seconds=30)
    clock.advance(100)
    assert stores.jobs.beat(lease, 30) is False
    assert stores.jobs.lease("worker-2", 30, 3) is None


def test_a_job_whose_attempts_are_used_up_is_lent_as_exhausted(stores: Stores, clock: HandClock) -> None:
    job = stores.enqueue()
    for attempt in (1, 2):
        lease = stores.lease(max_attempts=2)
        assert (lease.job.attempts, lease.exhausted) == (attempt, False)
        stores.jobs.beat(lease, 30, state=JobState.EDITING)
        clock.advance(31)
    last = stores.lease(max_attempts=2)
    assert last.exhausted
    assert (last.job.attempts, last.job.state) == (2, JobState.EDITING)
    stores.finish(job, last.token, "failed", error_code="worker_lost", error_detail="The worker was lost twice.")
    ended = stores.jobs.get(job.id, None)
    assert (ended.state, ended.error_code) == (JobState.FAILED, "worker_lost")


def test_an_orderly_worker_puts_its_job_back_at_its_place(stores: Stores) -> None:
    first, second = stores.enqueue(), stores.enqueue()
    lease = stores.lease()
    stores.jobs.beat(lease, 30, state=JobState.EDITING, step=1, steps=4)
    back = stores.jobs.release(lease)
    assert (back.state, back.attempts, back.step, back.steps) == (JobState.QUEUED, 0, None, None)
    assert [stores.jobs.position(job) for job in (first, second)] == [0, 1]
    assert stores.lease().job.id == first.id
    with pytest.raises(LeaseLostError):
        stores.jobs.beat(lease, 30)


def test_a_try_that_failed_counts_when_its_job_is_put_back(stores: Stores) -> None:
    stores.enqueue()
    for _ in range(2):
        stores.jobs.release(stores.lease(max_attempts=2), count_attempt=True)
    assert stores.lease(max_attempts=2).exhausted


def test_a_caller_that_waits_for_one_job_gets_that_one_or_none(stores: Stores) -> None:
    first, second = stores.enqueue(), stores.enqueue()
    lease = stores.jobs.lease("here", 30, 3, only=second.id)
    assert lease is not None
    assert lease.job.id == second.id
    assert stores.jobs.lease("here", 30, 3, only=second.id) is None
    assert stores.jobs.lease("here", 30, 3, only="job_none") is None
    assert stores.lease().job.id == first.id


def test_the_worker_of_a_cancelled_job_hears_of_it(stores: Stores) -> None:
    job = stores.enqueue()
    lease = stores.lease()
    assert stores.jobs.beat(lease, 30) is False
    assert stores.jobs.request_cancel(job.id, "alice").cancel_requested
    assert stores.jobs.beat(lease, 30) is True
    stores.finish(job, lease.token, "cancelled")
    with pytest.raises(ConflictError, match="cancelled"):
        stores.jobs.request_cancel(job.id, "alice")


def test_many_workers_lease_every_job_exactly_once(stores: Stores) -> None:
    jobs = [stores.enqueue() for _ in range(20)]

    def work() -> list[str]:
        taken = []
        while (lease := stores.jobs.lease("worker", 30, 3)) is not None:
            taken.append(lease.job.id)
        return taken

    taken = [job_id for ids in all_at_once([work] * 6) for job_id in ids]
    assert Counter(taken) == Counter(job.id for job in jobs)


def test_pages_of_jobs_neither_repeat_nor_miss_while_jobs_arrive(stores: Stores) -> None:
    jobs = [stores.enqueue() for _ in range(5)]
    seen: list[str] = []
    cursor = None
    while True:
        page = stores.jobs.list("alice", limit=2, before=cursor)
        seen += [job.id for job in page.items]
        stores.enqueue()  # arrives between two pages, newer than all of them
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [job.id for job in reversed(jobs)]


def test_lists_show_one_owner_and_one_state(stores: Stores) -> None:
    mine, theirs = stores.enqueue(owner="alice"), stores.enqueue(owner="bob")
    stores.lease()
    assert [job.id for job in stores.jobs.list("bob").items] == [theirs.id]
    assert [job.id for job in stores.jobs.list(None).items] == [theirs.id, mine.id]
    assert [job.id for job in stores.jobs.list(None, state=JobState.SCREENING).items] == [mine.id]
    assert stores.jobs.list("alice", state=JobState.DONE).items == ()


@pytest.mark.parametrize("arguments", [{"limit": 0}, {"limit": 501}, {"before": "nonsense"}, {"before": "\u00e4"}])
def test_a_bad_page_is_refused(stores: Stores, arguments: dict[str, object]) -> None:
    with pytest.raises(InvalidValueError):
        stores.jobs.list("alice", **arguments)  # type: ignore[arg-type]
