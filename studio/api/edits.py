"""POST /v1/generate, /v1/img2img, /v1/inpaint, /v1/outpaint, /v1/erase: ask for an edit."""

import asyncio
import re
from typing import Any, TypeVar

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
from studio.jobs.requests import EraseRequest, GenerateRequest, Img2ImgRequest, InpaintRequest, OutpaintRequest
from studio.jobs.requests import Request as EditRequest
from studio.problems import Problem

router = APIRouter(prefix="/v1", tags=["edits"])

R = TypeVar("R", GenerateRequest, Img2ImgRequest, InpaintRequest, OutpaintRequest, EraseRequest)

POLL_SECONDS = 0.1
"""How often a waiting request looks whether its job has ended."""
ACCEPTED = 202
_SECONDS = re.compile(r"\d{1,6}")


def _documented(shape: type[EditRequest]) -> dict[str, Any]:
    """The router's arguments of one edit: its body for OpenAPI, its status codes."""
    return {
        "status_code": ACCEPTED,
        "response_model": JobView,
        "openapi_extra": examples.body_of(shape),
        "responses": {200: {"model": JobView, "description": "The job ended while we waited (`Prefer: wait=N`)."}},
    }


@router.post("/generate", summary="Make a picture from text", **_documented(GenerateRequest))
async def generate(request: Request, response: Response, key: Creator) -> JobView:
    """Queue a job that makes a picture from text, steered by control images if you give any."""
    return await _take_in(request, response, key, GenerateRequest)


@router.post("/img2img", summary="Make a picture anew from another", **_documented(Img2ImgRequest))
async def img2img(request: Request, response: Response, key: Creator) -> JobView:
    """Queue a job that paints a whole picture anew from one that is there; `strength` says how far it may leave it."""
    return await _take_in(request, response, key, Img2ImgRequest)


@router.post("/inpaint", summary="Repaint part of a picture", **_documented(InpaintRequest))
async def inpaint(request: Request, response: Response, key: Creator) -> JobView:
    """Queue a job that repaints what the mask covers. Where the mask is 0, no pixel value changes.

    `intent` chooses how the edit meets what stays; each field that says so itself overrides it. Every output carries a
    `seam_score`; with `seam_limit` an edit over it is painted again on another seed, and the best try is kept.
    """
    return await _take_in(request, response, key, InpaintRequest)


@router.post("/outpaint", summary="Extend a picture", **_documented(OutpaintRequest))
async def outpaint(request: Request, response: Response, key: Creator) -> JobView:
    """Queue a job that extends a picture, by margins or to an absolute canvas. Every old pixel stays."""
    return await _take_in(request, response, key, OutpaintRequest)


@router.post("/erase", summary="Remove something", **_documented(EraseRequest))
async def erase(request: Request, response: Response, key: Creator) -> JobView:
    """Queue a job that removes what the mask covers and continues its surroundings."""
    return await _take_in(request, response, key, EraseRequest)


async def _take_in(request: Request, response: Response, key: ApiKey, shape: type[R]) -> JobView:
    services = services_of(request)
    wait = wait_of(request.headers.get("prefer", ""), services)
    body = await read_body(request, shape, max_part_bytes=services.settings.max_upload_bytes)
    job = await to_thread.run_sync(accept, body, key, services.intake, limiter=request.app.state.decoding)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    if wait:
        response.headers["Preference-Applied"] = f"wait={wait:g}"
        job = await wait_for(services, job.id, wait)
        if job.state.final:
            response.status_code = 200
    position = await run_in_threadpool(services.store.jobs.position, job)
    return job_view(job, position)


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
