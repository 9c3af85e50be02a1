"""POST /v1/generate, /v1/img2img, /v1/inpaint, /v1/outpaint, /v1/erase, /v1/instruct: ask for an edit."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from storage import ApiKey
from studio.api import examples
from studio.api.bodies import read_body
from studio.api.security import Creator, services_of
from studio.api.views import JobView, job_view
from studio.bootstrap import Services
from studio.jobs.accept import accept
from studio.jobs.requests import (
    EraseRequest,
    GenerateRequest,
    Img2ImgRequest,
    InpaintRequest,
    InstructRequest,
    OutpaintRequest,
)
from studio.jobs.requests import Request as EditRequest
from studio.problems import Problem

router = APIRouter(prefix="/v1", tags=["edits"])

POLL_SECONDS = 0.1
"""How often a waiting request looks whether its job has ended."""
ACCEPTED = 202
_SECONDS = re.compile(r"\d{1,6}")


def documented(shape: type[EditRequest]) -> dict[str, Any]:
    """The router's arguments of one edit: its body for OpenAPI, its status codes."""
    return {
        "status_code": ACCEPTED,
        "response_model": JobView,
        "openapi_extra": examples.body_of(shape),
        "responses": {200: {"model": JobView, "description": "The job ended while we waited (`Prefer: wait=N`)."}},
    }


@router.post("/generate", summary="Make a picture from text", **documented(GenerateRequest))
async def generate(request: Request, response: Response, key: Creator) -> JobView:
    """Queue a job that makes a picture from text, as its guides say, if you give any."""
    return await take_in(request, response, key, GenerateRequest)


@router.post("/img2img", summary="Make a picture anew from another", **documented(Img2ImgRequest))
async def img2img(request: Request, response: Response, key: Creator) -> JobView:
    """Queue a job that paints a whole picture anew from one that is there; `strength` says how far it may leave it."""
    return await take_in(request, response, key, Img2ImgRequest)


@router.post("/inpaint", summary="Repaint part of a picture", **documented(InpaintRequest))
async def inpaint(request: Request, response: Response, key: Creator) -> JobView:
    """Queue a job that repaints what the mask covers. Where the mask is 0, no pixel value changes.

    `intent` chooses how the edit meets what stays; each field that says so itself overrides it. Every output carries a
    `seam_score`; with `seam_limit` an edit over it is painted again on another seed, and the best try is kept.
    """
    return await take_in(request, response, key, InpaintRequest)


@router.post("/outpaint", summary="Extend a picture", **documented(OutpaintRequest))
async def outpaint(request: Request, response: Response, key: Creator) -> JobView:
    """Queue a job that extends a picture, by margins or to an absolute canvas. Every old pixel stays."""
    return await take_in(request, response, key, OutpaintRequest)


@router.post("/erase", summary="Remove something", **documented(EraseRequest))
async def erase(request: Request, response: Response, key: Creator) -> JobView:
    """Queue a job that removes what the mask covers and continues its surroundings."""
    return await take_in(request, response, key, EraseRequest)


@router.post("/instruct", summary="Change a picture as words say", **documented(InstructRequest))
async def instruct(request: Request, response: Response, key: Creator) -> JobView:
    """Queue a job that changes a picture as an instruction says ("make the car red"); no mask is needed.

    It takes a checkpoint that was made for it, at the size asked for: see `instruct` in `GET /v1/models`.
    """
    return await take_in(request, response, key, InstructRequest)


async def take_in(
    request: Request,
    response: Response,
    key: ApiKey,
    shape: type[EditRequest],
    said: Mapping[str, Any] | None = None,
) -> JobView:
    """Read a request, queue its job, and wait for it if `Prefer: wait=N` asks to.

    Args:
        request: The request; its key has been checked.
        response: Gets `Location`, and 200 if the job ended while we waited.
        key: Who asks.
        shape: What the body must be.
        said: Fields that the address says already.

    Returns:
        The job.
    """
    services = services_of(request)
    wait = wait_of(request.headers.get("prefer", ""), services)
    body = await read_body(request, shape, max_part_bytes=services.settings.max_upload_bytes, said=said)
    job = await to_thread.run_sync(accept, body, key, services.intake, limiter=request.app.state.decoding)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    if wait:
        response.headers["Preference-Applied"] = f"wait={wait:g}"
        job = await wait_for(services, job.id, wait)
        if job.state.final:
            response.status_code = 200
    position = await run_in_threadpool(services.store.jobs.position, job)
    return job_view(job, position, appeal_contact=services.settings.appeal_contact)


def wait_of(header: str, services: Services) -> float:
    """Seconds to wait, from a `Prefer` header (RFC 7240), at most what the settings allow.

    Raises:
        Problem: `header_invalid`.
    """
    for preference in re.split(r"[,;]", header):
        name, _, value = preference.partition("=")
        if name.strip().lower() != "wait":
            continue  # RFC 7240: what we do not know is ignored
        if not _SECONDS.fullmatch(value.strip()):
            raise Problem("header_invalid", "Prefer: wait=N takes whole seconds.", "Prefer", header, "wait=N")
        return min(float(value), services.settings.max_wait_seconds)
    return 0


async def wait_for(services: Services, job_id: str, seconds: float) -> Any:
    """Wait until a job has ended or the time is up; returns it as it is then."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        job = await run_in_threadpool(services.store.jobs.get, job_id, None)
        remaining = deadline - loop.time()
        if job.state.final or remaining <= 0:
            return job
        await asyncio.sleep(min(POLL_SECONDS, remaining))
