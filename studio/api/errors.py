"""Turning every error into a problem document, and bounding what a request may send."""

import logging
import uuid
from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from editing import EditingError
from storage import StorageError
from studio.api.bodies import problem_of_validation
from studio.problems import MEDIA_TYPE, Problem, from_editing, from_storage

log = logging.getLogger(__name__)

_HTTP: Final = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}


def answer(problem: Problem, request: Request | None = None) -> JSONResponse:
    """A problem as an HTTP response."""
    headers = {"WWW-Authenticate": "Bearer"} if problem.code in {"key_missing", "key_invalid"} else {}
    if problem.code in {"queue_full", "database_unavailable"}:
        headers["Retry-After"] = "5"
    headers |= problem.headers
    document = problem.document()
    if request is not None:
        document["instance"] = request.url.path
    return JSONResponse(document, problem.status, headers=headers, media_type=MEDIA_TYPE)


def add_handlers(app: FastAPI) -> None:
    """Register a handler for everything that an endpoint may raise."""

    @app.exception_handler(Problem)
    def own(request: Request, problem: Problem) -> JSONResponse:
        return answer(problem, request)

    @app.exception_handler(EditingError)
    def editing(request: Request, error: EditingError) -> JSONResponse:
        return answer(from_editing(error), request)

    @app.exception_handler(StorageError)
    def storage(request: Request, error: StorageError) -> JSONResponse:
        problem = from_storage(error)
        if problem.status >= 500:  # noqa: PLR2004 - server errors
            log.error("%s %s: %s", request.method, request.url.path, error)
        return answer(problem, request)

    @app.exception_handler(RequestValidationError)
    def validation(request: Request, error: RequestValidationError) -> JSONResponse:
        return answer(problem_of_validation(error.errors()), request)

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> JSONResponse:
        code = _HTTP.get(error.status_code, "request_invalid")
        response = answer(Problem(code, str(error.detail), status_code=error.status_code), request)
        response.headers.update(error.headers or {})  # Allow, for instance
        return response

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        number = uuid.uuid4().hex[:12]
        log.error("%s: %s %s", number, request.method, request.url.path, exc_info=error)
        return answer(
            Problem("internal", f"Something went wrong on our side; the log says more under {number}."), request
        )


class BodyLimit:
    """ASGI middleware that refuses bodies over a limit, whether or not they declare their length.

    Args:
        app: What it stands before.
        limit: Largest body, in bytes.
        paths: Limits of paths that have their own.
    """

    def __init__(self, app: ASGIApp, limit: int, paths: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._limit = limit
        self._paths = dict(paths or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._paths.get(scope["path"], self._limit)
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            await answer(_too_large(int(declared), limit))(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise _too_large(received, limit)
            return message

        await self._app(scope, counted, send)


def _too_large(size: int, limit: int) -> Problem:
    return Problem("body_too_large", f"A request may have up to {limit} bytes.", value=size, limit=limit)
