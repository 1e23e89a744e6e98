"""The application: routes on their dependencies, the webhook route in front of the framework, limits around it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from starlette.types import ASGIApp

from payonce import problem_documents
from services.checkout_api import (
    asyncapi,
    attempts,
    checkout_page,
    events,
    health,
    lists,
    orders,
    refunds,
    return_page,
    subscriptions,
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
        redirect_slashes=False,  # a redirect goes out before any check, to the host that the caller named
    )
    api.state.dependencies = dependencies
    problem_documents.install(api, after_a_bug="the same request is safe to send again")
    for part in (orders, lists, attempts, refunds, subscriptions, events, checkout_page, return_page, health):
        api.include_router(part.router)
    api.include_router(asyncapi.router)
    return api


def _version() -> str:
    try:
        return version("payonce")
    except PackageNotFoundError:  # run from a checkout
        return "0"
