"""GET /v1/records: what an auditor reads."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request

from policy import Decision
from storage import Outcome
from studio.api.security import SEE_ALL, Caller, scope, services_of
from studio.api.views import RecordPage, RecordView, record_view
from studio.problems import Problem

router = APIRouter(prefix="/v1/records", tags=["records"])

_OUTCOMES = {Decision.BLOCK: Outcome.REFUSED, Decision.REVIEW: Outcome.HELD, Decision.ALLOW: Outcome.DONE}


@router.get("", summary="List records")
def list_records(
    request: Request,
    key: Caller,
    since: Annotated[datetime | None, Query(description="From this time on, RFC 3339.")] = None,
    until: Annotated[datetime | None, Query(description="Before this time, RFC 3339.")] = None,
    operation: Annotated[
        str | None, Query(description="generate, img2img, inpaint, outpaint, erase, upload ...")
    ] = None,
    decision: Annotated[Decision | None, Query(description="block: refused; review: held; allow: done.")] = None,
    outcome: Annotated[Outcome | None, Query(description="done, refused, held, failed or cancelled.")] = None,
    owner: Annotated[str | None, Query(description="Reviewers, auditors and operators may name any.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> RecordPage:
    """List records, newest first: your owner's, or everybody's for reviewers, auditors and operators."""
    allowed = scope(key)
    if owner is not None and allowed is not None and owner != allowed:
        raise Problem("not_found", "There is no such owner, or its records are not yours to read.", "owner", owner)
    if decision is not None:
        wanted = _OUTCOMES[decision]
        if outcome not in {None, wanted}:
            raise Problem(
                "request_invalid", f"decision={decision} and outcome={outcome} exclude each other.", "outcome"
            )
        outcome = wanted
    page = services_of(request).store.records.list(
        owner or allowed,
        since=since and in_utc("since", since),
        until=until and in_utc("until", until),
        operation=operation,
        outcome=outcome,
        limit=limit,
        after=cursor,
    )
    return RecordPage(
        records=[record_view(each, whole=key.role in SEE_ALL) for each in page.items], next=page.next_cursor
    )


@router.get("/{record_id}", summary="Read a record")
def read_record(request: Request, record_id: str, key: Caller) -> RecordView:
    """Read one record with its links to the records it was made from and those made from it."""
    return record_view(services_of(request).store.records.get(record_id, scope(key)), whole=key.role in SEE_ALL)


def in_utc(name: str, moment: datetime) -> datetime:
    """A query's time in UTC.

    Raises:
        Problem: It has no time zone, or lies outside the calendar once it is converted.
    """
    if moment.tzinfo is None:
        raise Problem("request_invalid", f"{name} needs a time zone, for instance a Z at its end.", name, str(moment))
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise Problem("request_invalid", f"{name} lies outside the calendar.", name, str(moment)) from error
