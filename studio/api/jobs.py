"""GET and DELETE /v1/jobs: follow jobs, cancel them."""

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool

from storage import ApiKey, ConflictError, Job, JobState, LeaseLostError
from studio.api.edits import wait_for, wait_of
from studio.api.security import Caller, Creator, scope, services_of
from studio.api.views import JobPage, JobView, job_view
from studio.bootstrap import Services
from studio.jobs.run import cancel as cancelled_before_start

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.get("", summary="List jobs")
def list_jobs(
    request: Request,
    key: Caller,
    state: JobState | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> JobPage:
    """List jobs, newest first: your owner's, or everybody's for reviewers, auditors and operators."""
    services = services_of(request)
    jobs, contact = services.store.jobs, services.settings.appeal_contact
    page = jobs.list(scope(key), state=state, limit=limit, before=cursor)
    return JobPage(
        jobs=[
            job_view(each, jobs.position(each) if each.state is JobState.QUEUED else None, appeal_contact=contact)
            for each in page.items
        ],
        next=page.next_cursor,
    )


@router.get("/{job_id}", summary="Follow a job")
async def read_job(request: Request, job_id: str, key: Caller) -> JobView:
    """Read a job's state, progress, queue position, outputs and verdict. `Prefer: wait=N` waits for its end."""
    services = services_of(request)
    wait = wait_of(request.headers.get("prefer", ""), services)
    job = await run_in_threadpool(services.store.jobs.get, job_id, scope(key))
    if wait and not job.state.final:
        job = await wait_for(services, job_id, wait)
    position = await run_in_threadpool(services.store.jobs.position, job)
    return job_view(job, position, appeal_contact=services.settings.appeal_contact)


@router.delete("/{job_id}", summary="Cancel a job")
def cancel_job(request: Request, job_id: str, key: Creator) -> JobView:
    """Cancel a job. A waiting one ends at once, a running one within a denoising step; 409 if it has ended."""
    services = services_of(request)
    return job_view(_cancel(services, job_id, key), None)


def _cancel(services: Services, job_id: str, key: ApiKey) -> Job:
    store = services.store
    job = store.jobs.request_cancel(job_id, scope(key))
    if job.state is JobState.QUEUED:
        with suppress(ConflictError, LeaseLostError):  # a worker took it this instant; it knows of the wish
            store.jobs.finish(cancelled_before_start(job, store.clock, store.requester(job.key_id)))
    return store.jobs.get(job_id, None)
