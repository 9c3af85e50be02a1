"""The values that the queue takes and gives: new jobs, jobs, leases, endings."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage.images import NewImage
from storage.models import JobRow
from storage.records import NewRecord
from storage.words import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What somebody asks for.

    Attributes:
        owner: Who asks.
        key_id: With which API key.
        operation: Such as `inpaint`.
        checkpoint: The checkpoint's name.
        parameters: JSON without personal text; seeds as decimal strings.
        prompt: Goes to the vault; None when the operation has none.
        inputs: Digests of the pictures, whose blobs are stored already.
    """

    owner: str
    key_id: str
    operation: str
    checkpoint: str
    parameters: Mapping[str, Any]
    prompt: str | None
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it was when it was read.

    Attributes:
        id: Starts with `job_`.
        sequence: Its number among all jobs; the queue runs in this order.
        owner: Who asked.
        key_id: With which API key.
        operation: Such as `inpaint`.
        checkpoint: The checkpoint's name.
        parameters: JSON without personal text.
        prompt_ref: The prompt's reference in the vault, None when there is none.
        inputs: Digests of the pictures.
        state: Where it is.
        step: Denoising steps done in this attempt, None before the first.
        steps: Denoising steps in all, None before the first.
        attempts: How often a worker took it.
        cancel_requested: Whether somebody asked to stop it.
        error_code: Stable code of a failure, None otherwise.
        error_detail: The sentence for people that goes with it.
        verdict: The policy's verdict as JSON, once there is one.
        outputs: Digests of the pictures made.
        output_facts: What is known about each output, JSON, in their order; empty where nothing was kept.
        record_id: The record it ended with.
        created_at: When it was accepted, UTC.
        started_at: When a worker first took it.
        finished_at: When it ended.
    """

    id: str
    sequence: int
    owner: str
    key_id: str
    operation: str
    checkpoint: str
    parameters: Mapping[str, Any]
    prompt_ref: str | None
    inputs: tuple[str, ...]
    state: JobState
    step: int | None
    steps: int | None
    attempts: int
    cancel_requested: bool
    error_code: str | None
    error_detail: str | None
    verdict: Mapping[str, Any] | None
    outputs: tuple[str, ...]
    output_facts: tuple[Mapping[str, Any], ...]
    record_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A job lent to one worker.

    Attributes:
        job: As it was when it was lent.
        token: Proves the lease to `beat`, `release` and `finish`.
        exhausted: Its attempts were used up before: do not run it, finish it as failed.
    """

    job: Job
    token: str
    exhausted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """How a job ends.

    Attributes:
        job_id: Which job.
        lease_token: The worker's; None only for a job that is queued, such as one cancelled before its start.
        state: A final state, the same word as the record's outcome.
        record: The statement that goes with it.
        images: Pictures with their blobs stored already; the outputs among them become the job's.
        withheld: Digests of outputs that nobody may read yet, such as held ones: the job's too, so that their blobs
            stay, but without image rows.
        output_facts: What is known about each output, JSON: one for each of `images` that is an output, then one for
            each of `withheld`; or none at all.
        verdict: The policy's verdict as JSON, None when there is none.
        error_code: Stable code of a failure.
        error_detail: The sentence for people that goes with it.
    """

    job_id: str
    lease_token: str | None
    state: JobState
    record: NewRecord
    images: tuple[NewImage, ...] = ()
    withheld: tuple[str, ...] = ()
    output_facts: tuple[Mapping[str, Any], ...] = ()
    verdict: Mapping[str, Any] | None = None
    error_code: str | None = None
    error_detail: str | None = None


def job_value(row: JobRow) -> Job:
    """The frozen value of a row, inside its transaction."""
    return Job(
        id=row.id,
        sequence=row.sequence,
        owner=row.owner,
        key_id=row.key_id,
        operation=row.operation,
        checkpoint=row.checkpoint,
        parameters=row.parameters,
        prompt_ref=row.prompt_ref,
        inputs=tuple(row.inputs),
        state=row.state,
        step=row.step,
        steps=row.steps,
        attempts=row.attempts,
        cancel_requested=row.cancel_requested,
        error_code=row.error_code,
        error_detail=row.error_detail,
        verdict=row.verdict,
        outputs=tuple(row.outputs),
        output_facts=tuple(row.output_facts or ()),
        record_id=row.record_id,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
