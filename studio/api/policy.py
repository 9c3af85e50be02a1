"""GET /v1/policy: the rules in plain words. POST /v1/policy/screen: test words before asking for a picture.

The rules are open to everybody, as /docs is: whoever is bound by them may read them before they have a key, and they
hold nothing that a key would protect. With a key, decisions are told at its tolerance.

Words that are tested are neither stored nor logged, and counted by no volume rule; how often a key may ask is limited,
so that nobody maps out the rules by trying.
"""

import hashlib
import json
from typing import Any, Final

from anyio import to_thread
from fastapi import APIRouter, Request, Response

from policy import DEFAULT_TOLERANCE
from studio.api.bodies import read_body
from studio.api.security import Caller, Visitor, services_of
from studio.bootstrap import Services
from studio.jobs.accept import tolerance_of
from studio.jobs.policy_document import page_of, policy_document
from studio.jobs.trials import TrialRequest, TrialView, try_words
from studio.problems import Problem

router = APIRouter(prefix="/v1/policy", tags=["policy"])

SCREEN: Final = "/v1/policy/screen"
BODY_BYTES: Final = 2_000_000
"""Largest body of a test: all texts at their longest, each character an escape of a pair of surrogates, fit in."""
THREADS: Final = 2
"""Tests judged at the same time: more would only wait for each other, and make everybody else wait."""
MARKDOWN: Final = "text/markdown"
JSON: Final = "application/json"
NOT_MODIFIED: Final = 304

_BODY = {"content": {JSON: {"schema": TrialRequest.model_json_schema()}}, "required": True}
_PAGE: dict[int | str, dict[str, Any]] = {
    200: {"content": {MARKDOWN: {}}, "description": "The rules; as a page if you accept text/markdown."},
    NOT_MODIFIED: {"description": "They are those of your `If-None-Match`."},
}


@router.get("", summary="Read the rules in plain words", responses=_PAGE, response_model=dict[str, Any])
def read_policy(request: Request, key: Visitor) -> Response:
    """Tell the acceptable-use policy: categories, rules with their reasons and decisions, limits, the dial, appeal.

    `Accept: text/markdown` gives a page to read. Decisions are those at your key's tolerance; without a key, at the
    default. The ETag changes with the rules.
    """
    services = services_of(request)
    tolerance = DEFAULT_TOLERANCE if key is None else key.safety_tolerance
    document = policy_document(services.policy, tolerance, services.settings.appeal_contact)
    page = prefers_page(request.headers.get("accept", ""))
    text = page_of(document) if page else json.dumps(document, ensure_ascii=False)
    body = text.encode()
    tag = f'"{hashlib.sha256(body).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Vary": "Accept, Authorization, X-Api-Key"}
    if _known(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=NOT_MODIFIED, headers=headers)
    return Response(body, headers=headers, media_type=f"{MARKDOWN}; charset=utf-8" if page else JSON)


@router.post("/screen", summary="Test words against the rules", openapi_extra={"requestBody": _BODY})
async def screen(request: Request, response: Response, key: Caller) -> TrialView:
    """Say what the policy would decide about words, at your key's tolerance or a stricter one.

    Nothing of them is kept. Rules and the learned head answer; the guard model, pictures and how much a key asks for
    are judged with the job, which can still be held or refused. The answer has always the same members.
    """
    response.headers.update(request.app.state.screen_rate.take(key.id))
    services = services_of(request)
    asked = await read_body(request, TrialRequest, max_part_bytes=BODY_BYTES)
    tolerance = tolerance_of(asked.safety_tolerance, key)
    return await to_thread.run_sync(_try, services, asked, key.purpose, tolerance, limiter=request.app.state.screening)


def _try(services: Services, asked: TrialRequest, purpose: str, tolerance: int) -> TrialView:
    policy = services.policy
    if not policy.ready().ready:
        raise Problem("policy_not_ready", "The rules cannot judge anything now; an operator must look at the log.")
    return try_words(asked, purpose, policy, tolerance, services.settings.appeal_contact)


def prefers_page(accept: str) -> bool:
    """Say whether a page is wanted rather than JSON.

    Args:
        accept: The request's `Accept` header, empty if there is none.
    """
    return _quality(accept, MARKDOWN) > _quality(accept, JSON)


def _quality(accept: str, kind: str) -> tuple[float, int]:
    """How much a media type is wanted, and how exactly that is said; RFC 9110, section 12.5.1."""
    weight, exactest = 0.0, 0
    for part in accept[:1_000].split(","):
        name, *parameters = (each.strip().lower() for each in part.split(";"))
        exactness = {kind: 2, f"{kind.partition('/')[0]}/*": 1}.get(name, 0)
        if exactness > exactest:
            weight, exactest = _weight(parameters), exactness
    return (weight, exactest) if weight else (0.0, 0)


def _weight(parameters: list[str]) -> float:
    said = next((each.removeprefix("q=") for each in parameters if each.startswith("q=")), "1")
    try:
        weight = float(said)
    except ValueError:
        return 0.0
    return weight if 0.0 <= weight <= 1.0 else 0.0


def _known(if_none_match: str, tag: str) -> bool:
    return if_none_match.strip() == "*" or tag in {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
