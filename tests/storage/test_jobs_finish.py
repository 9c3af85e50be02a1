from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text

from storage import (
    ConflictError,
    InvalidValueError,
    JobState,
    LeaseLostError,
    NewRecord,
    NotFoundError,
    Origin,
    Outcome,
    StorageError,
    referenced_digests,
    sha256_hex,
)
from storage.models import Base
from tests.storage.conftest import HandClock, Stores, all_at_once, ending, picture


def everything(stores: Stores) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, to show that a call wrote nothing."""
    with stores.database.reading() as session:
        return {
            table.name: [tuple(row) for row in session.execute(select(table).order_by(*table.primary_key))]
            for table in Base.metadata.sorted_tables
        }


def test_the_end_of_a_job_writes_state_record_and_images_together(stores: Stores, clock: HandClock) -> None:
    job = stores.enqueue()
    lease = stores.lease()
    stores.jobs.beat(lease, 30, state=JobState.EDITING, step=4, steps=4)
    clock.advance(5)
    record = stores.finish(job, lease.token, verdict={"decision": "allow", "findings": []})

    ended = stores.jobs.get(job.id, "alice")
    output = sha256_hex(f"output of {job.id}".encode())
    assert ended.state is JobState.DONE
    assert ended.outputs == (output,)
    assert ended.record_id == record.id
    assert ended.finished_at == clock.now == record.created_at
    assert ended.verdict == {"decision": "allow", "findings": []}
    assert stores.records.get(record.id, "alice") == record
    assert record.job_id == job.id
    assert stores.images.get(output, "alice").record_id == record.id
    assert stores.images.producer(output, "alice") == record.id


@pytest.mark.parametrize("outcome", ["refused", "held", "failed", "cancelled"])
def test_every_outcome_leaves_a_record(stores: Stores, outcome: str) -> None:
    job = stores.enqueue()
    record = stores.finish(job, stores.lease().token, outcome)
    assert record.outcome is Outcome(outcome)
    assert stores.jobs.get(job.id, None).state is JobState(outcome)
    assert stores.jobs.get(job.id, None).outputs == ()
    assert stores.jobs.lease("worker-1", 30, 3) is None


def test_a_job_ends_only_once(stores: Stores) -> None:
    job = stores.enqueue()
    lease = stores.lease()
    stores.finish(job, lease.token)
    before = everything(stores)
    for token in (lease.token, None, "another"):
        with pytest.raises(ConflictError, match="done"):
            stores.finish(job, token)
    assert everything(stores) == before


def test_a_worker_whose_lease_was_taken_over_publishes_nothing(stores: Stores, clock: HandClock) -> None:
    job = stores.enqueue()
    stale = stores.lease("worker-1", seconds=30)
    clock.advance(31)
    held = stores.lease("worker-2", seconds=30)
    before = everything(stores)
    with pytest.raises(LeaseLostError):
        stores.finish(job, stale.token)
    assert everything(stores) == before
    stores.finish(job, held.token)
    with pytest.raises(ConflictError):
        stores.finish(job, stale.token)
    assert len(stores.records.list(None).items) == 1


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_an_end_waits_for_the_take_over_that_is_under_way(stores: Stores) -> None:
    """On SQLite the second transaction cannot even begin; on PostgreSQL the row lock has to hold it back."""
    job = stores.enqueue()
    stale = stores.lease("worker-1")
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with ThreadPoolExecutor(1) as pool:
        with stores.database.transaction() as session:
            session.execute(text("UPDATE jobs SET lease_token = 'taken over'"))
            ending = pool.submit(stores.finish, job, stale.token)
            while not ending.done():
                with stores.database.reading() as looking:
                    if looking.scalar(waiting):
                        break
        assert isinstance(ending.exception(), LeaseLostError)
    assert stores.jobs.get(job.id, None).state is JobState.SCREENING
    assert stores.records.list(None).items == ()


def test_a_lease_that_ran_out_still_finishes_while_nobody_took_the_job(stores: Stores, clock: HandClock) -> None:
    job = stores.enqueue()
    lease = stores.lease(seconds=30)
    clock.advance(1000)
    stores.finish(job, lease.token)
    assert stores.jobs.get(job.id, None).state is JobState.DONE


def test_a_queued_job_is_cancelled_without_a_lease_and_a_held_one_is_not(stores: Stores) -> None:
    queued, held = stores.enqueue(), stores.enqueue()
    stores.finish(queued, None, "cancelled")
    assert stores.jobs.get(queued.id, None).state is JobState.CANCELLED
    stores.lease()
    before = everything(stores)
    with pytest.raises(LeaseLostError):
        stores.finish(held, None, "cancelled")
    assert everything(stores) == before


def test_a_job_that_was_put_back_is_not_finished_by_its_old_lease(stores: Stores) -> None:
    job = stores.enqueue()
    lease = stores.lease()
    stores.jobs.release(lease)
    with pytest.raises(LeaseLostError):
        stores.finish(job, lease.token)


def test_of_many_that_finish_at_once_one_does(stores: Stores) -> None:
    job = stores.enqueue()
    token = stores.lease().token

    def finish() -> object:
        try:
            return stores.finish(job, token).id
        except StorageError as error:
            return type(error)

    ends = all_at_once([finish] * 5)
    records = [record.id for record in stores.records.list(None).items]
    assert len(records) == 1
    assert sorted(ends, key=str) == sorted([records[0], *[ConflictError] * 4], key=str)


def bad_endings() -> dict[str, tuple[dict[str, object], type[StorageError]]]:
    def record(**changes: object) -> NewRecord:
        values: dict[str, object] = {"owner": "alice", "operation": "x", "outcome": Outcome.DONE, "body": {}}
        return NewRecord(**(values | changes))  # type: ignore[arg-type]

    return {
        "state is not final": ({"state": JobState.EDITING}, InvalidValueError),
        "record tells another outcome": ({"record": record(outcome=Outcome.FAILED)}, InvalidValueError),
        "record tells another owner": ({"record": record(owner="bob")}, InvalidValueError),
        "body is not JSON": ({"record": record(body={"x": {1, 2}})}, InvalidValueError),
        "seed is not a string": ({"record": record(body={"seed": 2**64 - 1})}, InvalidValueError),
        "parent does not exist": ({"record": record(parents=("rec_none",))}, NotFoundError),
        "job does not exist": ({"job_id": "job_none"}, NotFoundError),
        "facts for another number of outputs": ({"output_facts": ({"seed": "1"}, {"seed": "2"})}, InvalidValueError),
        "facts are not JSON": ({"output_facts": ({"seed": object()},)}, InvalidValueError),
        "withheld is no digest": ({"withheld": ("../x",)}, InvalidValueError),
        "verdict is not JSON": ({"verdict": {"x": object()}}, InvalidValueError),
    }


@pytest.mark.parametrize("case", bad_endings())
def test_an_end_that_cannot_be_written_changes_nothing(stores: Stores, case: str) -> None:
    changes, error = bad_endings()[case]
    job = stores.enqueue()
    token = stores.lease().token
    before = everything(stores)
    with pytest.raises(error):
        stores.jobs.finish(ending(job, token, "done", **changes))
    assert everything(stores) == before
    stores.finish(job, token)  # and the job can still end


def test_an_edit_of_our_own_output_is_linked_both_ways(stores: Stores) -> None:
    first = stores.enqueue()
    parent = stores.finish(first, stores.lease().token)
    output = stores.jobs.get(first.id, None).outputs[0]

    second = stores.enqueue(inputs=(output,))
    producer = stores.images.producer(output, "alice")
    assert producer == parent.id
    child = stores.finish(
        second,
        stores.lease().token,
        record=NewRecord(owner="alice", operation="inpaint", outcome=Outcome.DONE, body={}, parents=(parent.id,)),
    )
    assert child.parents == (parent.id,)
    assert stores.records.get(parent.id, None).children == (child.id,)
    assert stores.records.get(child.id, None).parents == (parent.id,)


def test_the_same_output_twice_is_listed_by_both_jobs(stores: Stores) -> None:
    same = (picture("the same seed gives the same picture"),)
    first, second = stores.enqueue(), stores.enqueue()
    one = stores.finish(first, stores.lease().token, images=same)
    two = stores.finish(second, stores.lease().token, images=same)
    assert stores.jobs.get(first.id, None).outputs == stores.jobs.get(second.id, None).outputs == (same[0].digest,)
    assert one.id != two.id
    assert stores.images.producer(same[0].digest, "alice") == one.id


def test_only_outputs_become_the_job_s_outputs(stores: Stores) -> None:
    job = stores.enqueue()
    stores.finish(job, stores.lease().token, images=(picture("mask", Origin.UPLOAD), picture("result")))
    assert stores.jobs.get(job.id, None).outputs == (picture("result").digest,)
    assert stores.images.get(picture("mask").digest, "alice").origin is Origin.UPLOAD


def test_a_withheld_output_is_kept_but_nobody_may_read_it(stores: Stores) -> None:
    job = stores.enqueue(inputs=())
    withheld = picture("for a reviewer").digest
    stores.finish(job, stores.lease().token, "held", withheld=(withheld,))
    assert stores.jobs.get(job.id, None).outputs == (withheld,)
    assert withheld in referenced_digests(stores.database)
    for owner in ("alice", None):
        with pytest.raises(NotFoundError):
            stores.images.get(withheld, owner)


def test_each_output_keeps_what_is_known_about_it_in_their_order(stores: Stores) -> None:
    job = stores.enqueue()
    facts = ({"seed": "18446744073709551615", "seam": None}, {"seed": "7", "seam": {"score": 1.25}})
    images = (picture("mask", Origin.UPLOAD), picture("first"), picture("second"))
    stores.finish(job, stores.lease().token, images=images, output_facts=facts)
    ended = stores.jobs.get(job.id, None)
    assert ended.outputs == (picture("first").digest, picture("second").digest)
    assert ended.output_facts == facts


def test_two_outputs_with_the_same_bytes_are_both_listed(stores: Stores) -> None:
    job = stores.enqueue()
    stores.finish(job, stores.lease().token, images=(picture("same"), picture("same")))
    assert stores.jobs.get(job.id, None).outputs == (picture("same").digest,) * 2
    assert stores.images.get(picture("same").digest, "alice").origin is Origin.OUTPUT


def test_inputs_of_waiting_jobs_and_all_images_are_kept_from_the_sweeper(stores: Stores) -> None:
    waiting = stores.enqueue(inputs=(sha256_hex(b"waiting"),))
    done = stores.enqueue(inputs=())
    stores.finish(waiting, None, "cancelled")
    stores.finish(done, stores.lease().token)
    assert referenced_digests(stores.database) == {sha256_hex(b"waiting"), *stores.jobs.get(done.id, None).outputs}


def test_counts_agree_after_a_long_day(stores: Stores) -> None:
    for number in range(12):
        job = stores.enqueue()
        stores.finish(job, stores.lease().token, ("done", "refused", "held", "failed", "cancelled")[number % 5])
    tables = Base.metadata.tables
    with stores.database.reading() as session:
        finished = session.scalar(select(func.count()).select_from(tables["jobs"]))
        with_record = session.scalar(select(func.count(tables["records"].c.job_id.distinct())))
    assert finished == with_record == 12
