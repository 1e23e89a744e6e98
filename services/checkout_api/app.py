"""The application: routes on their dependencies, the webhook route in front of the framework, limits around it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

from services.checkout_api import (
    asyncapi,
    attempts,
    checkout_page,
    events,
    health,
    lists,
    orders,
    problems,
    refunds,
    return_page,
)
from services.checkout_api.bodies import BoundedJson
from services.checkout_api.dependencies import Dependencies
from services.checkout_api.observing import Observed
from services.checkout_api.webhooks import WebhookDoor

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(dependencies: Dependencies, lifespan: Lifespan | None = None) -> ASGIApp:
    """Return the ASGI application. `lifespan` starts and ends what runs beside the requests."""
    return WebhookDoor(Observed(BoundedJson(create_api(dependencies, lifespan)), dependencies.clock), dependencies)


def create_api(dependencies: Dependencies, lifespan: Lifespan | None = None) -> FastAPI:
    """Return the FastAPI application alone: the routes and their OpenAPI document."""
    api = FastAPI(
        title="payonce checkout API",
        version=_version(),
        description="Payment orders, registered with the payment service provider exactly once.",
        lifespan=lifespan,
        redoc_url=None,
    )
    api.state.dependencies = dependencies
    problems.install(api)
    for part in (orders, lists, attempts, refunds, events, checkout_page, return_page, health):
        api.include_router(part.router)
    api.include_router(asyncapi.router)
    _complete_openapi(api)
    return api


def _complete_openapi(api: FastAPI) -> None:
    """Add the problem document's schema, which the routes name, and drop the framework's own error schemas."""
    generate = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            schemas = generate()["components"]["schemas"]
            template = "#/components/schemas/{model}"
            problem = problems.ProblemDocument.model_json_schema(ref_template=template)
            schemas.update({**problem.pop("$defs"), "ProblemDocument": problem})
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
        assert api.openapi_schema is not None
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]


def _version() -> str:
    try:
        return version("payonce")
    except PackageNotFoundError:  # run from a checkout
        return "0"
