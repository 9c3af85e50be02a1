"""Reading request bodies: JSON or multipart into one shape, with errors a caller can act on.

Bodies are read by hand and not by FastAPI, for three reasons: the key is checked before a byte of the body is read, the
same endpoint takes JSON and multipart, and every error becomes a problem document with a stable code.
"""

import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from anyio import to_thread
from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from typing_extensions import override

from studio.problems import Problem

M = TypeVar("M", bound=BaseModel)

_PICTURES: Final = frozenset({"image", "mask"})
"""Fields of a form that hold a picture file."""
_KINDS: Final = {"extra_forbidden": "field_unknown", "missing": "field_missing"}
LISTS: Final = {
    "controls": "control_too_many",
    "loras": "lora_too_many",
    "references": "reference_too_many",
    "embeddings": "embedding_too_many",
    "others": "pictures_too_many",
}
"""Fields that are lists, JSON in a form, and what one that is too long is called."""
_SECRET: Final = frozenset({"prompt", "negative_prompt", "second_prompts", "names", "image", "mask", "others"})
"""Fields whose value no problem repeats: personal text, and pictures."""
_OWN: Final = frozenset({"text_too_long", "text_invalid", "text_invisible", "seed_out_of_range", "request_invalid"})
MAX_FILES: Final = 12
MAX_FIELDS: Final = 60


async def read_body(
    request: Request, shape: type[M], *, max_part_bytes: int, said: Mapping[str, Any] | None = None
) -> M:
    """Read and validate a body; parsing runs in a thread, so that a large body stalls nobody else.

    Args:
        request: The request; its key has been checked.
        shape: What the body must be.
        max_part_bytes: Largest single text part of a form.
        said: Fields that the address says already; the body must not say them again.

    Raises:
        Problem: The body is not readable, or not of that shape.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    limiter = request.app.state.decoding
    if kind == "application/json":
        body = await request.body()
        return await to_thread.run_sync(lambda: validate(_with(said, parse_json(body)), shape), limiter=limiter)
    if kind == "multipart/form-data":
        parts = await _parts(request, max_part_bytes)
        return await to_thread.run_sync(lambda: validate(_with(said, _members(parts)), shape), limiter=limiter)
    raise Problem(
        "content_type_unsupported",
        "Send application/json or multipart/form-data.",
        "Content-Type",
        kind,
        ["application/json", "multipart/form-data"],
    )


def _with(said: Mapping[str, Any] | None, members: dict[str, Any]) -> dict[str, Any]:
    for name in said or {}:
        if name in members:
            raise Problem("field_unknown", f"The address says {name} already; leave it out of the body.", name)
    return members | dict(said or {})


def parse_json(body: bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        Problem: `body_unreadable`.
    """
    try:
        members = json.loads(body.decode("utf-8"), parse_constant=_not_json, object_pairs_hook=_each_once)
    except UnicodeDecodeError as error:
        raise Problem("body_unreadable", f"The body is not UTF-8: {error.reason} at byte {error.start}.") from error
    except (ValueError, RecursionError) as error:
        raise Problem("body_unreadable", f"The body is not JSON: {str(error)[:200]}") from error
    if not isinstance(members, dict):
        raise Problem("body_unreadable", "The body must be a JSON object.", value=type(members).__name__)
    return members


def _not_json(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON leaves open which of two members of one name counts; here neither does."""
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise Problem("request_invalid", f"{name[:80]} is given twice.", name[:80])
        members[name] = value
    return members


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
    code = LISTS.get(field, "request_invalid") if kind == "too_long" else _KINDS.get(kind, "request_invalid")
    limit = next(
        (
            context[name]
            for name in ("limit_value", "le", "ge", "lt", "gt", "expected", "max_length")
            if name in context
        ),
        None,
    )
    value = None if code == "field_missing" or _secret(error["loc"]) else error.get("input")
    if kind == "too_long":
        value = context.get("actual_length")
    detail = {
        "field_unknown": f"{field} is not a field of this request; leave it out or mend its spelling.",
        "field_missing": f"{field} is required.",
    }.get(code, f"{field}: {error['msg']}")
    return Problem(code, detail, field, value, limit)


def _secret(location: tuple[str | int, ...]) -> bool:
    return not _SECRET.isdisjoint(map(str, location))


def _dotted(location: tuple[str | int, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text[:100]


async def _parts(request: Request, max_part_bytes: int) -> list[tuple[str, str | bytes]]:
    """The parts of a form: text fields as text, files as bytes."""
    async with open_form(request, max_files=MAX_FILES, max_fields=MAX_FIELDS, max_part_bytes=max_part_bytes) as form:
        return [
            (name, await value.read() if isinstance(value, UploadFile) else value) for name, value in form.multi_items()
        ]


@asynccontextmanager
async def open_form(
    request: Request, *, max_files: int, max_fields: int, max_part_bytes: int
) -> AsyncIterator[FormData]:
    """Parse a form, and close its files afterwards.

    Raises:
        Problem: `body_unreadable`; also for text that is not UTF-8.
    """
    parser = _StrictParser(
        request.headers, request.stream(), max_files=max_files, max_fields=max_fields, max_part_size=max_part_bytes
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:
        said = getattr(error, "message", None) or f"its content type lacks {error}"
        raise Problem("body_unreadable", f"The form cannot be read: {said}") from error
    try:
        yield form
    finally:
        await form.close()


class _StrictParser(MultiPartParser):
    """Starlette's parser, without its fallback to Latin-1: what is not UTF-8 is refused, not guessed."""

    @override
    def on_part_end(self) -> None:
        part = self._current_part
        if part.file is None:
            try:
                part.data.decode("utf-8")
            except UnicodeDecodeError as error:
                raise MultiPartException(f"{part.field_name} is not UTF-8 at byte {error.start}") from error
        super().on_part_end()


def _members(parts: Sequence[tuple[str, str | bytes]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in parts:
        if name in members:
            raise Problem("request_invalid", f"{name} is given twice.", name)
        members[name] = _member(name, value)
    return members


def _member(name: str, value: str | bytes) -> Any:
    """A picture is bytes and becomes base64, as in JSON; whatever else comes as a file is text."""
    if isinstance(value, bytes) and name in _PICTURES:
        return base64.b64encode(value).decode() if value else ""
    try:
        text = value.decode("utf-8") if isinstance(value, bytes) else value
    except UnicodeDecodeError as error:
        raise Problem("body_unreadable", f"{name} is not UTF-8 at byte {error.start}.", name) from error
    return _json_field(name, text) if name in LISTS else text


def _json_field(name: str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_not_json, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise Problem("request_invalid", f"{name} must hold JSON: {str(error)[:200]}", name) from error
