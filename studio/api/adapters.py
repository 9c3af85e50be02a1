"""/v1/loras and /v1/embeddings: upload adapters, list them, remove them. A file is judged before it is kept."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import UploadFile

from editing.embeddings import MAX_BYTES
from storage import Adapter, AdapterKind, ApiKey
from studio.api.bodies import open_form
from studio.api.security import Caller, Creator, scope, services_of
from studio.bootstrap import Services
from studio.jobs.adapters import Upload, admit, find_upload
from studio.jobs.subjects import of_purpose
from studio.problems import Problem
from studio.settings import Settings

FORM_BYTES: Final = 10_000
"""What a form takes beside its file."""

_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "name"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "A safetensors file."},
                        "name": {"type": "string", "description": "What requests call it."},
                    },
                }
            }
        },
    }
}


class AdapterView(BaseModel):
    """An uploaded LoRA or embedding."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: AdapterKind
    name: str = Field(description="What requests call it.")
    owner: str
    digest: str = Field(description="SHA-256 of the file; `sha256:` and this names it too.")
    size_bytes: int
    facts: Mapping[str, Any] = Field(
        description="By its header: of a LoRA its naming, architectures, ranks, layers, parts and parameters; of an "
        "embedding how many vectors of which width it has for each encoder."
    )
    created_at: datetime
    url: str | None = Field(description="null: another owner's. Names are each owner's own, and say theirs alone.")


class AdapterPage(BaseModel):
    """Adapters, newest first."""

    adapters: list[AdapterView]
    next: str | None = Field(description="Give it as `cursor` for the next page; null: this was the last.")


def adapter_view(adapter: Adapter, reader: str) -> AdapterView:
    """Show an adapter to an owner."""
    return AdapterView(
        id=adapter.id,
        kind=adapter.kind,
        name=adapter.name,
        owner=adapter.owner,
        digest=adapter.digest,
        size_bytes=adapter.size_bytes,
        facts=adapter.facts,
        created_at=adapter.created_at,
        url=f"/v1/{adapter.kind.value}s/{adapter.name}" if adapter.owner == reader else None,
    )


def body_limits(settings: Settings) -> dict[str, int]:
    """Largest request by path: a LoRA may be larger than any picture."""
    return {"/v1/loras": settings.max_adapter_bytes + FORM_BYTES, "/v1/embeddings": MAX_BYTES + FORM_BYTES}


router = APIRouter(prefix="/v1", tags=["adapters"])


@router.post("/loras", status_code=201, summary="Upload a LoRA", openapi_extra=_UPLOAD)
async def upload_lora(request: Request, response: Response, key: Creator) -> AdapterView:
    """Upload a LoRA to name it in requests: safetensors only. The same file under the same name is the same LoRA."""
    return await _upload(AdapterKind.LORA, request, response, key)


@router.post("/embeddings", status_code=201, summary="Upload an embedding", openapi_extra=_UPLOAD)
async def upload_embedding(request: Request, response: Response, key: Creator) -> AdapterView:
    """Upload a learnt word (textual inversion), to say it in prompts as `<token>`: safetensors only."""
    return await _upload(AdapterKind.EMBEDDING, request, response, key)


Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("/loras", summary="List LoRAs")
def list_loras(request: Request, key: Caller, limit: Limit = 50, cursor: str | None = None) -> AdapterPage:
    """List uploaded LoRAs, newest first: your owner's, or everybody's for reviewers, auditors and operators."""
    return _list(AdapterKind.LORA, request, key, limit, cursor)


@router.get("/embeddings", summary="List embeddings")
def list_embeddings(request: Request, key: Caller, limit: Limit = 50, cursor: str | None = None) -> AdapterPage:
    """List uploaded embeddings, newest first: your owner's, or everybody's for reviewers, auditors and operators."""
    return _list(AdapterKind.EMBEDDING, request, key, limit, cursor)


@router.get("/loras/{name}", summary="Read a LoRA's facts")
def read_lora(request: Request, name: str, key: Caller) -> AdapterView:
    """Say what one of your LoRAs is; `name` may be `sha256:` and its digest."""
    return adapter_view(_find(AdapterKind.LORA, request, name, key), key.owner)


@router.get("/embeddings/{name}", summary="Read an embedding's facts")
def read_embedding(request: Request, name: str, key: Caller) -> AdapterView:
    """Say what one of your embeddings is; `name` may be `sha256:` and its digest."""
    return adapter_view(_find(AdapterKind.EMBEDDING, request, name, key), key.owner)


@router.delete("/loras/{name}", status_code=204, summary="Remove a LoRA")
def remove_lora(request: Request, name: str, key: Creator) -> None:
    """Remove one of your LoRAs. Jobs that were accepted with it keep it until they end."""
    _remove(AdapterKind.LORA, request, name, key)


@router.delete("/embeddings/{name}", status_code=204, summary="Remove an embedding")
def remove_embedding(request: Request, name: str, key: Creator) -> None:
    """Remove one of your embeddings. Jobs that were accepted with it keep it until they end."""
    _remove(AdapterKind.EMBEDDING, request, name, key)


async def _upload(kind: AdapterKind, request: Request, response: Response, key: ApiKey) -> AdapterView:
    services = services_of(request)
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise Problem(
            "content_type_unsupported",
            "Send multipart/form-data with a file part called file and a text part called name.",
            "Content-Type",
            request.headers.get("content-type"),
            ["multipart/form-data"],
        )
    async with open_form(request, max_files=1, max_fields=1, max_part_bytes=1_000) as form:
        file, name = form.get("file"), form.get("name")
        if not isinstance(file, UploadFile):
            raise Problem("field_missing", "Give the safetensors file as a file part called file.", "file")
        if not isinstance(name, str):
            raise Problem("field_missing", "Give the name as a text part called name.", "name")
        upload = Upload(kind=kind, name=name, file=file.file, size=file.size or 0)
        view = await to_thread.run_sync(_keep, services, key, upload, limiter=request.app.state.decoding)
    response.headers["Location"] = f"/v1/{kind.value}s/{view.name}"
    return view


def _keep(services: Services, key: ApiKey, upload: Upload) -> AdapterView:
    store, policy = services.store, services.policy
    kept = admit(
        upload,
        owner=key.owner,
        key_id=key.id,
        blobs=store.blobs,
        store=store.adapters,
        limit=services.settings.max_adapter_bytes,
        screen=lambda names: policy.screen([*names, of_purpose(key.purpose)], tolerance=key.safety_tolerance),
    )
    return adapter_view(kept, key.owner)


def _list(kind: AdapterKind, request: Request, key: ApiKey, limit: int, cursor: str | None) -> AdapterPage:
    page = services_of(request).store.adapters.list(kind, scope(key), limit=limit, before=cursor)
    return AdapterPage(adapters=[adapter_view(each, key.owner) for each in page.items], next=page.next_cursor)


def _find(kind: AdapterKind, request: Request, name: str, key: ApiKey) -> Adapter:
    return find_upload(kind, name, key.owner, services_of(request).store.adapters, status=404)


def _remove(kind: AdapterKind, request: Request, name: str, key: ApiKey) -> None:
    adapter = _find(kind, request, name, key)
    services_of(request).store.adapters.remove(kind, adapter.name, adapter.owner)
