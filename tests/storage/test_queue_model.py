"""The queue against a model of it: whatever workers do in whatever order, each job ends once, with one record."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from storage import ConflictError, Database, JobState, Lease, LeaseLostError
from tests.storage.conftest import HandClock, Stores

MAX_ATTEMPTS = 2
LEASE_S = 30.0


class Queue(RuleBasedStateMachine):
    """SQLite only: the contract suite holds PostgreSQL to the same rules, and this needs many databases."""

    template: Path
    leases = Bundle("leases")

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="studio-queue-"))
        shutil.copy(self.template, self.folder / "studio.db")
        self.clock = HandClock()
        self.stores = Stores(Database(f"sqlite:///{self.folder / 'studio.db'}"), self.clock)
        self.order: list[str] = []
        self.held: dict[str, tuple[str, float]] = {}  # job -> its current token, and when that runs out
        self.ended: dict[str, str] = {}
        self.attempts: dict[str, int] = {}
        self.time = 0.0

    def teardown(self) -> None:
        if hasattr(self, "stores"):
            self.stores.database.close()
            shutil.rmtree(self.folder)

    def holds(self, lease: Lease) -> bool:
        return self.held.get(lease.job.id, ("", 0.0))[0] == lease.token

    @rule()
    def enqueue(self) -> None:
        job = self.stores.enqueue()
        self.order.append(job.id)
        self.attempts[job.id] = 0

    @rule(seconds=st.sampled_from([1.0, 20.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.time += seconds

    @rule(target=leases)
    def lease(self) -> object:
        free = [job for job in self.order if job not in self.ended and self.held.get(job, ("", -1.0))[1] < self.time]
        lease = self.stores.jobs.lease("worker", LEASE_S, MAX_ATTEMPTS)
        if lease is None:
            assert free == []
            return multiple()
        assert lease.job.id == free[0]
        assert lease.exhausted == (self.attempts[lease.job.id] >= MAX_ATTEMPTS)
        if not lease.exhausted:
            self.attempts[lease.job.id] += 1
        self.held[lease.job.id] = (lease.token, self.time + LEASE_S)
        return lease

    @rule(lease=leases)
    def beat(self, lease: Lease) -> None:
        if self.holds(lease):
            assert self.stores.jobs.beat(lease, LEASE_S, state=JobState.EDITING) is False
            self.held[lease.job.id] = (lease.token, self.time + LEASE_S)
        else:
            with pytest.raises(LeaseLostError):
                self.stores.jobs.beat(lease, LEASE_S, state=JobState.EDITING)

    @rule(lease=leases, count_attempt=st.booleans())
    def release(self, lease: Lease, *, count_attempt: bool) -> None:
        if self.holds(lease):
            self.stores.jobs.release(lease, count_attempt=count_attempt)
            del self.held[lease.job.id]
            if not lease.exhausted and not count_attempt:
                self.attempts[lease.job.id] -= 1
        else:
            with pytest.raises(LeaseLostError):
                self.stores.jobs.release(lease, count_attempt=count_attempt)

    @rule(lease=leases, outcome=st.sampled_from(["done", "refused", "failed"]))
    def finish(self, lease: Lease, outcome: str) -> None:
        if self.holds(lease):
            self.stores.finish(lease.job, lease.token, outcome)
            del self.held[lease.job.id]
            self.ended[lease.job.id] = outcome
        else:
            with pytest.raises(ConflictError if lease.job.id in self.ended else LeaseLostError):
                self.stores.finish(lease.job, lease.token, outcome)

    @invariant()
    def what_ended_has_one_record_and_nothing_else_has(self) -> None:
        if not hasattr(self, "stores"):
            return
        records = self.stores.records.list(None, limit=500).items
        assert {record.job_id: record.outcome.value for record in records} == self.ended
        assert len(records) == len(self.ended)
        jobs = self.stores.jobs.list(None, limit=500).items
        assert {job.id: job.attempts for job in jobs} == self.attempts
        assert {job.id for job in jobs if job.state is JobState.QUEUED} == set(self.order) - set(self.ended) - set(
            self.held
        )


def test_the_queue_behaves_like_its_model(sqlite_template: Path) -> None:
    Queue.template = sqlite_template
    machine = Queue.TestCase
    machine.settings = settings(
        max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    machine().runTest()
