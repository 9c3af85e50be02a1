"""GET /health/live and /health/ready.

Ready means that a job can be accepted durably. Workers are reported, not required.
"""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request, Response

from storage import StorageError
from studio.api.security import services_of
from studio.bootstrap import Services
from studio.guards import notices_of

router = APIRouter(prefix="/health", tags=["health"])

NOT_READY = 503


@router.get("/live", summary="Is the process alive?")
def live() -> dict[str, str]:
    """Answer at once, whatever else is wrong."""
    return {"status": "live"}


@router.get("/ready", summary="Can a job be accepted durably?", responses={NOT_READY: {"description": "Not now."}})
def ready(request: Request, response: Response) -> dict[str, Any]:
    """Check database schema, blob folder and rules, and report the workers seen lately."""
    services = services_of(request)
    policy = services.policy
    checks = {
        "database": _database(services),
        "blobs": _blobs(services),
        "policy": policy.ready().problems,
    }
    fine = all(not problem for problem in checks.values())
    if not fine:
        response.status_code = NOT_READY
    return {
        "status": "ready" if fine else "not ready",
        "checks": {name: "ok" if not problem else "; ".join(problem) for name, problem in checks.items()},
        "policy": {
            "version": policy.version,
            "digest": policy.digest,
            "problem": _rule_problem(services),
            "notices": notices_of(policy),
        },
        "workers": _workers(services),
    }


def _rule_problem(services: Services) -> str | None:
    """What is wrong with changed rule files: by file and line, since what they hold is not for everybody."""
    problem = services.policies.problem
    if problem is None:
        return None
    place = problem.partition(": ")[0][:200]
    then = "what was in force before stays in force" if services.policy.rule_set.rules else "everything is blocked"
    return f"the rule files are broken ({place}; see the log); {then}"


def _database(services: Services) -> tuple[str, ...]:
    try:
        if not services.store.database.at_head():
            return ("the schema is not at head: run studio db upgrade",)
    except StorageError as error:
        return (f"the database cannot be reached: {type(error).__name__}",)
    return ()


def _blobs(services: Services) -> tuple[str, ...]:
    try:
        services.store.blobs.check_writable()
    except (StorageError, OSError) as error:
        return (f"the blob folder is not writable: {type(error).__name__}",)
    return ()


def _workers(services: Services) -> list[dict[str, Any]]:
    try:
        since = services.store.clock() - timedelta(seconds=services.settings.lease_seconds * 2)
        found = services.store.workers.list(seen_since=since)
    except StorageError:
        return []
    return [{"id": each.id, "host": each.host, "seen_at": each.seen_at, **dict(each.facts)} for each in found]
