"""Who is asking, and what their key's role lets them do."""

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from storage import ApiKey, Role
from studio.bootstrap import Services
from studio.jobs.accept import CREATORS, require_role
from studio.problems import Problem

SEE_ALL: Final = frozenset({Role.REVIEWER, Role.AUDITOR, Role.OPERATOR})
"""Roles that may read what belongs to others."""

_bearer = HTTPBearer(auto_error=False, description="An API key: `Authorization: Bearer studio_...`")
_header = APIKeyHeader(name="X-Api-Key", auto_error=False, description="The same key in a header of its own.")


def services_of(request: Request) -> Services:
    """The parts this application was built with."""
    services: Services = request.app.state.services
    return services


async def caller(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    header: Annotated[str | None, Depends(_header)],
) -> ApiKey:
    """The key of whoever asks.

    Raises:
        Problem: `key_missing` or `key_invalid`.
    """
    token = bearer.credentials if bearer else header
    if not token:
        raise Problem(
            "key_missing",
            "Give an API key: Authorization: Bearer studio_... The first one is in STUDIO_HOME/bootstrap.key",
        )
    key = await run_in_threadpool(services_of(request).store.keys.find, token)
    if key is None:
        raise Problem("key_invalid", "The API key is unknown or was revoked; ask an operator for a new one.")
    return key


async def visitor(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    header: Annotated[str | None, Depends(_header)],
) -> ApiKey | None:
    """The key of whoever asks, None for somebody without one.

    Raises:
        Problem: `key_invalid`: who gives a key means to be told what holds for it.
    """
    return await caller(request, bearer, header) if bearer or header else None


def role(allowed: frozenset[Role]) -> Callable[[ApiKey], ApiKey]:
    """A dependency that lets only some roles through."""

    def check(key: Annotated[ApiKey, Depends(caller)]) -> ApiKey:
        require_role(key, allowed)
        return key

    return check


def scope(key: ApiKey) -> str | None:
    """Whose things this key may read: its owner's, or None for everybody's."""
    return None if key.role in SEE_ALL else key.owner


Caller = Annotated[ApiKey, Depends(caller)]
Visitor = Annotated[ApiKey | None, Depends(visitor)]
Creator = Annotated[ApiKey, Depends(role(CREATORS))]
