"""POST /v1/images and GET /v1/images/{digest}: pictures in and out. Nothing can be read back unscreened."""

import hashlib
from dataclasses import replace

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from starlette.datastructures import UploadFile

from editing.decoding import decode_picture
from policy import Decision
from storage import ApiKey, NotFoundError, Origin
from studio.api.bodies import open_form
from studio.api.security import Caller, Creator, scope, services_of
from studio.api.views import ImageView, image_view, verdict_view
from studio.bootstrap import Services
from studio.jobs.records import Input, upload_record
from studio.jobs.subjects import of_picture
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
def download(request: Request, digest: str, key: Caller) -> Response:
    """Read an image of yours: an upload, or the output of a job."""
    services = services_of(request)
    image = services.store.images.get(digest, scope(key))
    etag = f'"{image.digest}"'
    headers = {
        "ETag": etag,
        "Cache-Control": "private, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
        "X-Pixel-Sha256": image.pixel_sha256,
    }
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(services.store.blobs.get(image.digest), media_type=image.media_type, headers=headers)


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
    verdict = services.policy.screen([of_picture("image", raster, digest)])
    record = upload_record(
        owner=key.owner,
        requester={"key": key.id, "role": key.role.value, "purpose": key.purpose},
        picture=picture,
        verdict=verdict,
        now=store.clock(),
    )
    if verdict.decision is not Decision.ALLOW:
        kept = store.records.append(record)
        raise Problem(
            "image_refused",
            "The picture was refused by the acceptable-use policy.",
            "image",
            extra={"verdict": verdict_view(verdict).model_dump(), "record": kept.id},
        )
    try:  # the same file again is the same image; one record is enough
        return image_view(store.images.get(digest, key.owner))
    except NotFoundError:
        store.blobs.put(data)
        store.records.append(record, images=(picture.file.row(Origin.UPLOAD),))
        return image_view(store.images.get(digest, key.owner))
