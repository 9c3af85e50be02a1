"""The HTTP application. No torch here: it starts in about a second and runs on a small box."""

from typing import Any

from anyio import CapacityLimiter
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from editing.tokens import Tokenizers
from studio import __version__
from studio.api import (
    adapters,
    controls,
    docs,
    edits,
    errors,
    examples,
    health,
    images,
    jobs,
    models,
    policy,
    records,
    tokens,
)
from studio.api.rate_limits import RateLimit
from studio.bootstrap import Services, build_services
from studio.settings import load_settings

DECODING_THREADS = 4
"""Pictures decoded at the same time: a large one takes hundreds of megabytes while it is checked."""

DESCRIPTION = """
Edit and extend pictures with FLUX. Every prompt, every picture that comes in and every picture that goes out is
screened against the acceptable-use policy, and every outcome, a refusal too, leaves a provenance record.

Give your API key as `Authorization: Bearer studio_...`. Errors are problem documents (RFC 9457) with a stable `code`.
"""


def create_app(services: Services) -> FastAPI:
    """Build the application around its parts."""
    app = FastAPI(title="Studio", version=__version__, description=DESCRIPTION, docs_url=None, redoc_url=None)
    app.state.services = services
    app.state.decoding = CapacityLimiter(DECODING_THREADS)
    app.state.tokenizers = Tokenizers()
    settings = services.settings
    app.state.screening = CapacityLimiter(policy.THREADS)
    app.state.screen_rate = RateLimit("screen", settings.screen_per_minute)
    for each in (edits, controls, jobs, images, records, models, adapters, tokens, policy, health):
        app.include_router(each.router)
    errors.add_handlers(app)
    limits = adapters.body_limits(settings) | {policy.SCREEN: policy.BODY_BYTES}
    app.add_middleware(errors.BodyLimit, limit=settings.max_body_bytes, paths=limits)
    docs.add_docs(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # the way FastAPI documents for extending it
    return app


def application() -> FastAPI:
    """The application by the environment's settings: `uvicorn --factory studio.app:application`."""
    return create_app(build_services(load_settings()))


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schema.setdefault("components", {}).setdefault("schemas", {}).update(examples.component_schemas())
        app.openapi_schema = schema
    return app.openapi_schema
