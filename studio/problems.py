"""What the API says when it says no: problem details (RFC 9457) with stable codes.

This is the only file that knows HTTP status codes. A problem names the field, its value and the limit, so that a caller
can mend the request without reading our source. Values are shortened. Of a prompt no more is repeated than the few
characters round a mistake in it, and that to its author alone: no record or log holds them.
"""

import dataclasses
from typing import Any, Final

from typing_extensions import override

from editing import EditingError
from storage import (
    BlobCorruptError,
    BlobMissingError,
    BlobsUnavailableError,
    ConflictError,
    DatabaseUnavailableError,
    InvalidValueError,
    NotFoundError,
    SchemaOutdatedError,
    StorageError,
    StorageFullError,
)

MEDIA_TYPE: Final = "application/problem+json"
VALUE_LIMIT: Final = 120
"""Longest value that a problem repeats, in characters."""
DETAIL_LIMIT: Final = 600
"""Longest sentence, in characters."""
LARGEST_EXACT: Final = 2**53
"""From here on, JSON readers round whole numbers."""

_STATUS: Final[dict[str, tuple[int, str]]] = {
    # the request as a whole
    "body_unreadable": (400, "The body is not what its content type says"),
    "request_invalid": (422, "A field has a wrong type or is out of range"),
    "field_unknown": (422, "A field is not known"),
    "field_missing": (422, "A field is missing"),
    "body_too_large": (413, "The body is too large"),
    "content_type_unsupported": (415, "The content type is not supported"),
    "header_invalid": (400, "A header is malformed"),
    "value_invalid": (422, "A value cannot be used"),
    "out_of_range": (422, "A value is out of range"),
    # who is asking
    "key_missing": (401, "No API key was given"),
    "key_invalid": (401, "The API key is not valid"),
    "licence_not_accepted": (403, "The checkpoint's licence has not been accepted"),
    "role_forbidden": (403, "The key's role does not allow this"),
    # what is asked for
    "not_found": (404, "There is no such thing, or it is not yours"),
    "method_not_allowed": (405, "This address does not take that method"),
    "job_final": (409, "The job has already ended"),
    "text_too_long": (422, "The text is too long"),
    "text_invalid": (422, "The text has characters that are not text"),
    "text_invisible": (422, "The text holds nothing that anybody could see"),
    "safety_tolerance_out_of_range": (422, "There is no such safety tolerance"),
    "safety_tolerance_too_high": (422, "A request may only be stricter than its key"),
    "image_not_found": (422, "There is no such image, or it is not yours"),
    "lora_not_found": (422, "There is no such LoRA, or it is not yours"),
    "lora_name_taken": (409, "The name stands for another LoRA"),
    "lora_known": (409, "The LoRA is there under another name"),
    "embedding_not_found": (422, "There is no such embedding, or it is not yours"),
    "embedding_name_taken": (409, "The name stands for another embedding"),
    "embedding_known": (409, "The embedding is there under another name"),
    "base64_invalid": (422, "The image is neither base64 nor a digest"),
    "work_too_large": (422, "The request would take too long"),
    "image_refused": (422, "The picture was refused by the acceptable-use policy"),
    "purpose_refused": (422, "The purpose was refused by the acceptable-use policy"),
    "name_refused": (422, "The name was refused by the acceptable-use policy"),
    # the service itself
    "rate_limited": (429, "Too many requests with this key"),
    "queue_full": (503, "Too many jobs are waiting"),
    "storage_full": (507, "The disk is full"),
    "database_unavailable": (503, "The database cannot be reached"),
    "policy_not_ready": (503, "The acceptable-use rules are not ready"),
    "not_ready": (503, "The service cannot accept a job now"),
    "blob_missing": (500, "A stored picture is missing"),
    "blob_corrupt": (500, "A stored picture has changed on disk"),
    "internal": (500, "Something went wrong on our side"),
}

_EDITING_STATUS: Final = {
    "picture_too_large": 413,
    "pictures_too_large": 413,
    "lora_too_large": 413,
    "embedding_too_large": 413,
}
"""Codes of `editing` that are not plain 422."""


@dataclasses.dataclass(eq=False)
class Problem(Exception):  # noqa: N818 - RFC 9457's word for it
    """An answer that says no.

    Attributes:
        code: Stable identifier that programs may compare.
        detail: One sentence for people: what is wrong and what to do.
        field: The field of the request that is at fault, in dotted form.
        value: Its value, if it may be repeated.
        limit: The limit that it broke.
        extra: Further members of the document.
        headers: HTTP headers to go with it.
    """

    code: str
    detail: str
    field: str | None = None
    value: Any = None
    limit: Any = None
    extra: dict[str, Any] = dataclasses.field(default_factory=dict)
    status_code: int | None = None
    headers: dict[str, str] = dataclasses.field(default_factory=dict)

    @override
    def __str__(self) -> str:
        return self.detail

    @property
    def status(self) -> int:
        """HTTP status code."""
        return self.status_code or _STATUS.get(self.code, (422, ""))[0]

    def document(self) -> dict[str, Any]:
        """The problem details object."""
        title = _STATUS.get(self.code, (0, "The request cannot be carried out"))[1]
        document: dict[str, Any] = {
            "type": f"urn:studio:problem:{self.code}",
            "title": title,
            "status": self.status,
            "code": self.code,
            "detail": shorten_text(self.detail),
        }
        for name in ("field", "value", "limit"):
            given = getattr(self, name)
            if given is not None:
                document[name] = shorten(given)
        return document | self.extra


def shorten_text(text: str) -> str:
    """Keep a sentence to a length that people read."""
    valid = text.encode("utf-8", "replace").decode()
    return valid if len(valid) <= DETAIL_LIMIT else f"{valid[:DETAIL_LIMIT]}..."


def shorten(value: Any) -> Any:
    """Make a value fit to be repeated: plain JSON in valid Unicode, at most `VALUE_LIMIT` characters of text."""
    if isinstance(value, bool | int | float) and (not isinstance(value, int) or abs(value) < LARGEST_EXACT):
        return value if value == value and abs(value) != float("inf") else str(value)  # noqa: PLR0124 - not a number
    if isinstance(value, int):
        text = str(value) if value.bit_length() < VALUE_LIMIT else f"a number of {value.bit_length()} bits"
    else:
        text = str(value).encode("utf-8", "replace").decode()
    plain = isinstance(value, list | tuple) and all(isinstance(each, str | int | float) for each in value)
    if plain and len(text) <= VALUE_LIMIT:
        return [shorten(each) for each in value]
    return text if len(text) <= VALUE_LIMIT else f"{text[:VALUE_LIMIT]}... ({len(text)} characters)"


def from_editing(error: EditingError) -> Problem:
    """Translate what `editing` refused."""
    return Problem(
        error.code, str(error), error.field, error.value, error.limit, status_code=_EDITING_STATUS.get(error.code, 422)
    )


_STORAGE: Final[tuple[tuple[type[StorageError], str, str | None], ...]] = (
    (InvalidValueError, "value_invalid", None),
    (NotFoundError, "not_found", None),
    (ConflictError, "job_final", None),
    (BlobMissingError, "blob_missing", None),
    (BlobCorruptError, "blob_corrupt", None),
    (
        StorageFullError,
        "storage_full",
        "The disk is full; nothing was kept of this request. Free some space and try again.",
    ),
    (
        SchemaOutdatedError,
        "not_ready",
        "The database is of another version; an operator must run studio db upgrade.",
    ),
    (
        BlobsUnavailableError,
        "not_ready",
        "The blob folder cannot be written; an operator must look at STUDIO_HOME.",
    ),
    (
        DatabaseUnavailableError,
        "database_unavailable",
        "The database cannot be reached; nothing was kept. Try again later.",
    ),
)
"""What each storage error is called outside, and what is said; None says the error's own sentence."""


def from_storage(error: StorageError) -> Problem:
    """Translate what `storage` could not do."""
    for kind, code, detail in _STORAGE:
        if isinstance(error, kind):
            return Problem(code, detail or str(error))
    return Problem("internal", "Storage failed; the operator's log says more.")
