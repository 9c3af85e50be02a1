"""POST /v1/images and GET /v1/images/{digest}: pictures in and out. Nothing can be read back unscreened."""

import hashlib
from dataclasses import replace

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from editing.decoding import decode_picture
from editing.encoding import OutputFormat, encode_picture
from policy import Decision
from storage import ApiKey, NotFoundError, Origin
from studio.api.bodies import open_form
from studio.api.security import Caller, Creator, scope, services_of
from studio.api.views import ImageView, image_view, verdict_view
from studio.bootstrap import Services
from studio.jobs.public import how_to_appeal
from studio.jobs.records import Input, upload_record
from studio.jobs.subjects import of_picture, of_purpose
from studio.problems import Problem

router = APIRouter(prefix="/v1/images", tags=["images"])

_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": {"type": "string", "format": "binary"}},
                }
            },
            "image/*": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.post("", status_code=201, summary="Upload an image", openapi_extra=_UPLOAD)
async def upload(request: Request, response: Response, key: Creator) -> ImageView:
    """Upload a picture to use it by its digest. It is screened first; a refused one is not kept."""
    services = services_of(request)
    data = await _file_of(request)
    view = await to_thread.run_sync(_admit, services, key, data, limiter=request.app.state.decoding)
    response.headers["Location"] = view.url
    return view


@router.get("/{digest}", summary="Download an image", response_class=Response)
async def download(request: Request, digest: str, key: Caller) -> Response:
    """Read an image of yours: the output of a job as it was made; an upload as the raster that was screened.

    An upload comes back as a PNG of its pixels, profile and transparency. What else its file held, further frames,
    metadata, bytes after its end, was not screened and is not given out.
    """
    services = services_of(request)
    image = await run_in_threadpool(services.store.images.get, digest, scope(key))
    uploaded = image.origin is Origin.UPLOAD
    etag = f'"{image.digest}{"-raster" if uploaded else ""}"'
    headers = {
        "ETag": etag,
        "Cache-Control": "private, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
        "X-Pixel-Sha256": image.pixel_sha256,
    }
    wanted = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    if etag in wanted or "*" in wanted:
        return Response(status_code=304, headers=headers)
    limiter = request.app.state.decoding
    data = await to_thread.run_sync(_raster_file if uploaded else _file, services, image.digest, limiter=limiter)
    return Response(data, media_type="image/png" if uploaded else image.media_type, headers=headers)


def _file(services: Services, digest: str) -> bytes:
    return services.store.blobs.get(digest)


def _raster_file(services: Services, digest: str) -> bytes:
    raster = decode_picture(services.store.blobs.get(digest), services.limits, field="image")
    return encode_picture(raster, OutputFormat.PNG)


async def _file_of(request: Request) -> bytes:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "multipart/form-data":
        return await request.body()
    async with open_form(request, max_files=1, max_fields=1, max_part_bytes=1_000) as form:
        file = form.get("image") or form.get("file")
        if not isinstance(file, UploadFile):
            raise Problem("field_missing", "Give the picture as a file part called image.", "image")
        return await file.read()


def _admit(services: Services, key: ApiKey, data: bytes) -> ImageView:
    """Decode, screen, store, record; in that order, so that nothing unscreened is stored."""
    store = services.store
    raster = decode_picture(data, services.limits, field="image")
    digest = hashlib.sha256(data).hexdigest()
    picture = replace(Input.of("image", digest, data, raster), parent=store.images.producer(digest, key.owner))
    subjects = [*of_picture("image", raster, digest), of_purpose(key.purpose)]
    verdict = services.policy.screen(subjects, tolerance=key.safety_tolerance)
    record = upload_record(
        owner=key.owner,
        requester={"key": key.id, **store.requester(key.id)},
        picture=picture,
        verdict=verdict,
        tolerance=key.safety_tolerance,
        now=store.clock(),
    )
    if verdict.decision is not Decision.ALLOW:
        kept = store.records.append(record)
        raise Problem(
            "image_refused",
            "The picture was refused by the acceptable-use policy.",
            "image",
            extra={
                "verdict": verdict_view(verdict).model_dump(),
                "record": kept.id,
                "appeal": how_to_appeal(services.settings.appeal_contact, kept.id),
            },
        )
    store.blobs.put(data)  # also where it is known: this mends a blob that was lost or damaged
    try:  # the same file again is the same image; one record is enough
        return image_view(store.images.get(digest, key.owner))
    except NotFoundError:
        store.records.append(record, images=(picture.file.row(Origin.UPLOAD),))
        return image_view(store.images.get(digest, key.owner))
