"""What the API answers: jobs, images and records as JSON."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from policy import Verdict
from storage import Image, Job, JobState, Origin, Outcome, Record
from studio.jobs.public import how_to_appeal, public_body, public_verdict

_REFUSALS = frozenset({JobState.REFUSED, JobState.HELD})


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class ProgressView(_View):
    """How far the edit is."""

    step: int = Field(description="Denoising steps done.")
    steps: int = Field(description="Steps this run makes.")
    fraction: float = Field(description="0..1")


class ReasonView(_View):
    """Why the policy did not allow something."""

    rule: str = Field(description="Id of the acceptable-use rule.")
    category: str
    subject: str = Field(
        description="What it was found in: prompt, negative_prompt, image, mask, controls[0].image, others[0], output; "
        "output[1] of several; `as read`: the words without the syntax of their weights."
    )
    reason: str


class NoticeView(_View):
    """What goes with a result that is allowed, as that a professional must review it."""

    rule: str = Field(description="Id of the acceptable-use rule.")
    category: str
    reason: str


class VerdictView(_View):
    """What the policy said: public reasons only."""

    decision: str
    policy_version: str
    policy_digest: str
    reasons: list[ReasonView]
    notices: list[NoticeView]


class ErrorView(_View):
    """Why a job failed."""

    code: str
    detail: str


class OutputView(_View):
    """A finished picture."""

    digest: str
    url: str
    seed: str | None = Field(
        description="Seed it was painted on, as decimal text: asked for alone and without a seam limit, it gives this "
        "picture again. null: nothing was drawn by chance, as for a control image."
    )
    seam_score: float | None = Field(
        description="How visible its border is; about 1: as smooth as the picture beside it. null: it has no border."
    )
    width: int | None
    height: int | None


class JobView(_View):
    """A job as its owner sees it."""

    id: str
    state: JobState
    operation: str
    checkpoint: str
    seed: str | None = Field(description="Decimal text, since it may not fit a JSON number.")
    parameters: dict[str, Any]
    progress: ProgressView | None
    queue_position: int | None = Field(description="0: next; null: not waiting.")
    cancel_requested: bool
    attempts: int
    outputs: list[OutputView]
    verdict: VerdictView | None
    notices: list[NoticeView] = Field(description="What to mind when using the result; empty for nothing.")
    appeal: str | None = Field(description="What to do if a refusal is a mistake; null where nothing was refused.")
    error: ErrorView | None
    record: str | None = Field(description="Id of the provenance record, once the job has ended.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    links: dict[str, str]


class JobPage(_View):
    """Jobs, newest first."""

    jobs: list[JobView]
    next: str | None = Field(description="Give it as `cursor` for the next page; null: this was the last.")


class ImageView(_View):
    """An image that its owner may use by digest."""

    digest: str
    pixel_sha256: str
    media_type: str
    width: int
    height: int
    size_bytes: int
    origin: Origin
    record: str
    url: str


class RecordView(_View):
    """A provenance record."""

    id: str
    job: str | None
    owner: str
    operation: str
    outcome: Outcome
    created_at: datetime
    digest: str = Field(description="SHA-256 of the whole body in RFC 8785 canonical form, as all but editors read it.")
    parents: list[str] = Field(description="Records whose outputs were edited here.")
    children: list[str] = Field(description="Records of edits of this one's outputs.")
    body: dict[str, Any] = Field(
        description="What happened. For editors `policy` has the public reasons; reviewers, auditors and operators "
        "read every finding, and what candidate rules would have said."
    )


class RecordPage(_View):
    """Records, newest first."""

    records: list[RecordView]
    next: str | None = Field(description="Give it as `cursor` for the next page; null: this was the last.")


def job_view(job: Job, position: int | None, *, appeal_contact: str | None = None) -> JobView:
    """Show a job.

    Args:
        job: The job.
        position: Jobs before it in the queue, None if it does not wait.
        appeal_contact: Whom those write to who think that a refusal is a mistake.
    """
    progress = None
    verdict = verdict_view(job.verdict) if job.verdict else None
    if job.steps and job.step is not None:
        progress = ProgressView(step=job.step, steps=job.steps, fraction=round(job.step / job.steps, 4))
    shown = job.outputs if job.state is JobState.DONE else ()  # a held picture is the job's, but nobody's to read yet
    known = dict(enumerate(job.output_facts))  # none of jobs that ended before facts were kept
    links = {"self": f"/v1/jobs/{job.id}"}
    if job.record_id:
        links["record"] = f"/v1/records/{job.record_id}"
    return JobView(
        id=job.id,
        state=job.state,
        operation=job.operation,
        checkpoint=job.checkpoint,
        seed=job.parameters.get("seed"),
        parameters=dict(job.parameters),
        progress=progress,
        queue_position=position,
        cancel_requested=job.cancel_requested,
        attempts=job.attempts,
        outputs=[_output_view(digest, known.get(index, {})) for index, digest in enumerate(shown)],
        verdict=verdict,
        notices=verdict.notices if verdict else [],
        appeal=how_to_appeal(appeal_contact, job.record_id) if job.state in _REFUSALS else None,
        error=ErrorView(code=job.error_code, detail=job.error_detail or "") if job.error_code else None,
        record=job.record_id,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        links=links,
    )


def _output_view(digest: str, facts: Mapping[str, Any]) -> OutputView:
    seam = facts.get("seam")
    return OutputView(
        digest=digest,
        url=f"/v1/images/{digest}",
        seed=facts.get("seed"),
        seam_score=seam and seam["score"],
        width=facts.get("width"),
        height=facts.get("height"),
    )


def verdict_view(verdict: Verdict | Mapping[str, Any]) -> VerdictView:
    """Show a verdict's public side: its decision, the reasons of what did not allow, and its notices."""
    return VerdictView.model_validate(public_verdict(verdict))


def image_view(image: Image) -> ImageView:
    """Show an image."""
    return ImageView(
        digest=image.digest,
        pixel_sha256=image.pixel_sha256,
        media_type=image.media_type,
        width=image.width,
        height=image.height,
        size_bytes=image.size_bytes,
        origin=image.origin,
        record=image.record_id,
        url=f"/v1/images/{image.digest}",
    )


def record_view(record: Record, *, whole: bool) -> RecordView:
    """Show a record.

    Args:
        record: The record.
        whole: Whether its reader may see what screeners found inside.
    """
    return RecordView(
        id=record.id,
        job=record.job_id,
        owner=record.owner,
        operation=record.operation,
        outcome=record.outcome,
        created_at=record.created_at,
        digest=record.digest,
        parents=list(record.parents),
        children=list(record.children),
        body=dict(record.body) if whole else public_body(record.body),
    )
