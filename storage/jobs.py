"""The queue: jobs, the leases under which workers hold them, and how they end.

Promises:
- A job accepted by `enqueue` is on disk; killing every process loses none.
- At most one worker holds a job at a time; a worker that stops beating loses it to the next one.
- `finish` writes state, record, links and images in one transaction, once. A worker whose lease was taken over writes
  nothing. Blobs come first: every image given to `finish` is stored before it is called.
"""

from datetime import timedelta
from uuid import uuid4

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from storage.database import Database
from storage.digests import checked_digest
from storage.errors import ConflictError, InvalidValueError, LeaseLostError, NotFoundError
from storage.identity import JOB_PREFIX, Clock, NewId, random_id, utc_now
from storage.job_values import Finish, Job, Lease, NewJob, job_value
from storage.models import JobRow
from storage.pages import DEFAULT_LIMIT, Page, checked_limit, paged, read_cursor
from storage.records import Record, RecordStore
from storage.vault import TextVault
from storage.words import OPEN_STATES, JobState, Origin

PROMPT = "prompt"
"""The kind under which the vault keeps prompts."""

_LISTING = "jobs"


class JobStore:
    """Accepts, lends and ends jobs; safe to use from many threads and processes."""

    def __init__(
        self,
        database: Database,
        vault: TextVault,
        records: RecordStore,
        clock: Clock = utc_now,
        new_id: NewId = random_id,
    ) -> None:
        self._database = database
        self._vault = vault
        self._records = records
        self._clock = clock
        self._new_id = new_id

    def enqueue(self, new: NewJob) -> Job:
        """Accept a job: the row and its prompt in one transaction.

        Raises:
            InvalidValueError: An input is not a digest, the parameters are not JSON, or the prompt is not Unicode.
        """
        with self._database.transaction() as session:
            prompt_ref = None if new.prompt is None else self._vault.put(session, new.owner, PROMPT, new.prompt)
            row = JobRow(
                id=self._new_id(JOB_PREFIX),
                owner=new.owner,
                key_id=new.key_id,
                operation=new.operation,
                checkpoint=new.checkpoint,
                parameters=dict(new.parameters),
                prompt_ref=prompt_ref,
                inputs=[checked_digest(digest) for digest in new.inputs],
                state=JobState.QUEUED,
                attempts=0,
                cancel_requested=False,
                outputs=[],
                created_at=self._clock(),
            )
            session.add(row)
            session.flush()
            return job_value(row)

    def get(self, job_id: str, owner: str | None) -> Job:
        """One job.

        Args:
            job_id: Its id.
            owner: None reads anybody's, for roles that may and for workers.

        Raises:
            NotFoundError: There is none, or it is another owner's.
        """
        with self._database.reading() as session:
            return job_value(self._row(session, job_id, owner))

    def list(
        self,
        owner: str | None,
        *,
        state: JobState | None = None,
        limit: int = DEFAULT_LIMIT,
        before: str | None = None,
    ) -> Page[Job]:
        """A page of jobs, newest first.

        Args:
            owner: None lists everybody's, for roles that may.
            state: Only jobs in this state.
            limit: At most this many, 1..500.
            before: The `next_cursor` of the page before.

        Raises:
            InvalidValueError: A bad limit or cursor.
        """
        query = select(JobRow).order_by(JobRow.sequence.desc()).limit(checked_limit(limit) + 1)
        if owner is not None:
            query = query.where(JobRow.owner == owner)
        if state is not None:
            query = query.where(JobRow.state == state)
        if before is not None:
            query = query.where(JobRow.sequence < read_cursor(_LISTING, before))
        with self._database.reading() as session:
            rows = session.scalars(query).all()
            return paged(rows, limit, listing=_LISTING, sequence=lambda row: row.sequence, item=job_value)

    def waiting(self, owner: str | None = None) -> int:
        """How many jobs are queued, of everybody or of one owner."""
        query = select(func.count()).select_from(JobRow).where(JobRow.state == JobState.QUEUED)
        if owner is not None:
            query = query.where(JobRow.owner == owner)
        with self._database.reading() as session:
            return session.scalars(query).one()

    def position(self, job: Job) -> int | None:
        """How many queued jobs go before this one: 0 when it is next, None when it is not queued any more."""
        with self._database.reading() as session:
            if self._row(session, job.id, None).state is not JobState.QUEUED:
                return None
            ahead = select(func.count()).where(JobRow.state == JobState.QUEUED, JobRow.sequence < job.sequence)
            return session.scalars(ahead).one()

    def lease(self, worker_id: str, seconds: float, max_attempts: int, *, only: str | None = None) -> Lease | None:
        """Lend the oldest job that nobody holds: a queued one, or one whose worker stopped beating.

        Args:
            worker_id: Who asks.
            seconds: How long the job is theirs without a beat.
            max_attempts: Tries that a job gets. One that has had them is lent as `exhausted`, to be finished as
                failed; its state then still says where the last worker was lost.
            only: This job or none, for a caller that waits for one job of its own.

        Returns:
            The lease, or None when there is nothing to do.
        """
        now = self._clock()
        free = or_(JobRow.lease_until.is_(None), JobRow.lease_until < now)
        query = (
            select(JobRow)
            .where(JobRow.state.in_(OPEN_STATES), free)
            .order_by(JobRow.sequence)
            .limit(1)
            .with_for_update(skip_locked=True, of=JobRow)
        )
        if only is not None:
            query = query.where(JobRow.id == only)
        with self._database.transaction() as session:
            row = session.scalars(query).one_or_none()
            if row is None:
                return None
            token = uuid4().hex
            row.lease_token, row.lease_worker, row.lease_until = token, worker_id, now + timedelta(seconds=seconds)
            exhausted = row.attempts >= max_attempts
            if not exhausted:
                row.attempts += 1
                row.step = row.steps = None
            if not exhausted or row.state is JobState.QUEUED:
                row.state = JobState.SCREENING
            row.started_at = row.started_at or now
            session.flush()
            return Lease(job=job_value(row), token=token, exhausted=exhausted)

    def beat(
        self,
        lease: Lease,
        seconds: float,
        *,
        state: JobState | None = None,
        step: int | None = None,
        steps: int | None = None,
    ) -> bool:
        """Keep the job for `seconds` more and say how far it is.

        Args:
            lease: As `lease` gave it.
            seconds: How long the job stays theirs from now.
            state: The working state it entered, None for no change.
            step: Denoising steps done, None for no change.
            steps: Denoising steps in all, None for no change.

        Returns:
            Whether somebody asked to cancel the job.

        Raises:
            LeaseLostError: Another worker holds the job, or it is over.
            InvalidValueError: The state is not a working one.
        """
        if state is not None and not state.working:
            raise InvalidValueError(f"a worker's job is in a working state, not {state.value!r}")
        with self._database.transaction() as session:
            row = self._held(session, lease)
            row.lease_until = self._clock() + timedelta(seconds=seconds)
            row.state = row.state if state is None else state
            row.step = row.step if step is None else step
            row.steps = row.steps if steps is None else steps
            return row.cancel_requested

    def release(self, lease: Lease, *, count_attempt: bool = False) -> Job:
        """Put a job back at its place in the queue.

        Args:
            lease: As `lease` gave it.
            count_attempt: False for a worker that stops in order; True for a try that failed and may be made again.

        Raises:
            LeaseLostError: Another worker holds the job, or it is over.
        """
        with self._database.transaction() as session:
            row = self._held(session, lease)
            row.lease_token = row.lease_worker = row.lease_until = None
            row.state = JobState.QUEUED
            row.step = row.steps = None
            if not lease.exhausted and not count_attempt:
                row.attempts -= 1
            session.flush()
            return job_value(row)

    def request_cancel(self, job_id: str, owner: str | None) -> Job:
        """Ask that a job stop; its worker learns of it with the next beat.

        Raises:
            NotFoundError: There is none, or it is another owner's.
            ConflictError: The job is over.
        """
        with self._database.transaction() as session:
            row = self._row(session, job_id, owner, lock=True)
            if row.state.final:
                raise ConflictError(f"job {job_id} is {row.state.value} already")
            row.cancel_requested = True
            session.flush()
            return job_value(row)

    def finish(self, finish: Finish) -> Record:
        """End a job: its state, its record, the record's links and its images, all in one transaction.

        Args:
            finish: How it ended. Its images' blobs are stored already; those that are outputs become the job's.

        Returns:
            The record.

        Raises:
            NotFoundError: There is no such job, or a parent record does not exist.
            ConflictError: The job is over already; nothing was written.
            LeaseLostError: The job is held under another lease, or by somebody while no token is given; nothing was
                written.
            InvalidValueError: The state is not final, the record tells another outcome or owner than the job, or the
                facts are not one for each output.
        """
        if not finish.state.final or finish.record.outcome.value != finish.state.value:
            raise InvalidValueError(f"state {finish.state.value!r} with outcome {finish.record.outcome.value!r}")
        with self._database.transaction() as session:
            row = self._row(session, finish.job_id, None, lock=True)
            if row.state.final:
                raise ConflictError(f"job {row.id} is {row.state.value} already")
            if row.lease_token != finish.lease_token:
                raise LeaseLostError(f"job {row.id} is not held under this lease")
            if row.owner != finish.record.owner:
                raise InvalidValueError(f"job {row.id} belongs to another owner than its record")
            row.state = finish.state
            row.error_code, row.error_detail = finish.error_code, finish.error_detail
            row.verdict = None if finish.verdict is None else dict(finish.verdict)
            row.outputs = _outputs(finish)
            row.output_facts = [dict(each) for each in finish.output_facts]
            row.lease_token = row.lease_worker = row.lease_until = None
            row.finished_at = self._clock()
            session.flush()
            return self._records.append(finish.record, finish.images, job_id=row.id, session=session)

    @staticmethod
    def _row(session: Session, job_id: str, owner: str | None, *, lock: bool = False) -> JobRow:
        query = select(JobRow).where(JobRow.id == job_id)
        if lock:
            query = query.with_for_update(of=JobRow)
        row = session.scalars(query).one_or_none()
        if row is None or owner not in {None, row.owner}:
            raise NotFoundError(f"no job {job_id[:80]!r}")
        return row

    def _held(self, session: Session, lease: Lease) -> JobRow:
        row = self._row(session, lease.job.id, None, lock=True)
        if row.lease_token != lease.token:
            raise LeaseLostError(f"job {row.id} is not held under this lease any more")
        return row


def _outputs(finish: Finish) -> list[str]:
    outputs = [image.digest for image in finish.images if image.origin is Origin.OUTPUT]
    outputs += map(checked_digest, finish.withheld)
    if finish.output_facts and len(finish.output_facts) != len(outputs):
        raise InvalidValueError(f"{len(finish.output_facts)} facts for {len(outputs)} outputs")
    return outputs
