"""Reading request bodies: JSON or multipart into one shape, with errors a caller can act on.

Bodies are read by hand and not by FastAPI, for three reasons: the key is checked before a byte of the body is read, the
same endpoint takes JSON and multipart, and every error becomes a problem document with a stable code.
"""

import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from studio.problems import Problem

M = TypeVar("M", bound=BaseModel)

_JSON_FIELDS: Final = frozenset({"controls"})
"""Fields of a form that hold JSON."""
_KINDS: Final = {"extra_forbidden": "field_unknown", "missing": "field_missing"}
_OWN: Final = frozenset({"text_too_long", "text_invalid", "seed_out_of_range", "request_invalid"})
MAX_FILES: Final = 12
MAX_FIELDS: Final = 60


async def read_body(request: Request, shape: type[M], *, max_part_bytes: int) -> M:
    """Read and validate a body.

    Args:
        request: The request; its key has been checked.
        shape: What the body must be.
        max_part_bytes: Largest single part of a multipart body.

    Raises:
        Problem: The body is not readable, or not of that shape.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "application/json":
        members = parse_json(await request.body())
    elif kind in {"multipart/form-data", "application/x-www-form-urlencoded"}:
        members = await _form(request, max_part_bytes)
    else:
        raise Problem(
            "content_type_unsupported",
            "Send application/json or multipart/form-data.",
            "Content-Type",
            kind,
            ["application/json", "multipart/form-data"],
        )
    return validate(members, shape)


def parse_json(body: bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        Problem: `body_unreadable`.
    """
    try:
        members = json.loads(body.decode("utf-8"), parse_constant=_not_json)
    except UnicodeDecodeError as error:
        raise Problem("body_unreadable", f"The body is not UTF-8: {error.reason} at byte {error.start}.") from error
    except (ValueError, RecursionError) as error:
        raise Problem("body_unreadable", f"The body is not JSON: {str(error)[:200]}") from error
    if not isinstance(members, dict):
        raise Problem("body_unreadable", "The body must be a JSON object.", value=type(members).__name__)
    return members


def _not_json(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def validate(members: dict[str, Any], shape: type[M]) -> M:
    """Check a body against its shape; the first error becomes the problem, all are listed.

    Raises:
        Problem: With `errors`: the code, field, value and detail of each.
    """
    try:
        return shape.model_validate(members)
    except ValidationError as error:
        raise problem_of_validation(error.errors(include_url=False)) from error


def problem_of_validation(errors: Sequence[Any]) -> Problem:
    """One problem out of pydantic's errors: the first, with all of them in `errors`."""
    found = [_translate(dict(each)) for each in errors[:20]]
    first = found[0]
    first.extra = {"errors": [_brief(each) for each in found]}
    return first


def _brief(problem: Problem) -> dict[str, Any]:
    document = problem.document()
    return {name: document[name] for name in ("code", "field", "value", "limit", "detail") if name in document}


def _translate(error: dict[str, Any]) -> Problem:
    field = _dotted(error["loc"])
    kind, context = error["type"], error.get("ctx", {})
    if kind in _OWN:
        return Problem(kind, error["msg"], field, context.get("value"), context.get("limit"))
    code = _KINDS.get(kind, "request_invalid")
    limit = next(
        (
            context[name]
            for name in ("limit_value", "le", "ge", "lt", "gt", "expected", "max_length")
            if name in context
        ),
        None,
    )
    value = (
        None if code == "field_missing" or field.split("[")[0] in {"prompt", "image", "mask"} else error.get("input")
    )
    detail = {
        "field_unknown": f"{field} is not a field of this request; leave it out or mend its spelling.",
        "field_missing": f"{field} is required.",
    }.get(code, f"{field}: {error['msg']}")
    return Problem(code, detail, field, value, limit)


def _dotted(location: tuple[str | int, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text[:100]


async def _form(request: Request, max_part_bytes: int) -> dict[str, Any]:
    members: dict[str, Any] = {}
    async with open_form(request, max_files=MAX_FILES, max_fields=MAX_FIELDS, max_part_bytes=max_part_bytes) as form:
        for name, value in form.multi_items():
            if name in members:
                raise Problem("request_invalid", f"{name} is given twice.", name)
            members[name] = await _part(name, value)
    return members


@asynccontextmanager
async def open_form(
    request: Request, *, max_files: int, max_fields: int, max_part_bytes: int
) -> AsyncIterator[FormData]:
    """Parse a form, and close its files afterwards.

    Raises:
        Problem: `body_unreadable`.
    """
    try:
        form = await request.form(max_files=max_files, max_fields=max_fields, max_part_size=max_part_bytes)
    except (MultiPartException, UnicodeDecodeError, HTTPException) as error:
        said = getattr(error, "message", None) or getattr(error, "detail", None) or error
        raise Problem("body_unreadable", f"The form cannot be read: {said}") from error
    try:
        yield form
    finally:
        await form.close()


async def _part(name: str, value: UploadFile | str) -> Any:
    if isinstance(value, UploadFile):
        data = await value.read()
        if name in _JSON_FIELDS:
            return _json_field(name, data.decode("utf-8", "replace"))
        return base64.b64encode(data).decode() if data else ""
    return _json_field(name, value) if name in _JSON_FIELDS else value


def _json_field(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Problem("request_invalid", f"{name} must hold JSON: {str(error)[:200]}", name) from error
