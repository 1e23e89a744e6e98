"""The ASGI application: the API, the hosted pages, the card fields, the control API and the health check."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from sandbox.stripe_simulator.api import Api
from sandbox.stripe_simulator.background import end_on_bug
from sandbox.stripe_simulator.control import Control
from sandbox.stripe_simulator.elements_page import ElementsPage
from sandbox.stripe_simulator.hosted_page import HostedPage
from sandbox.stripe_simulator.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from sandbox.stripe_simulator.clock import Clock
    from sandbox.stripe_simulator.config import Config


def create_app(config: Config, clock: Clock | None = None) -> Starlette:
    """One simulated Stripe account. Webhooks leave, and time passes by itself, only while its lifespan runs."""
    simulator = Simulator(config, clock)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await simulator.webhooks.start()
        ticking = asyncio.create_task(simulator.run())
        ticking.add_done_callback(end_on_bug)
        try:
            yield
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
            await simulator.webhooks.stop()

    routes = [
        Mount("/v1", app=Api(simulator)),
        *HostedPage(simulator).routes(),
        *ElementsPage(simulator).routes(),
        *Control(simulator).routes(),
        Route("/healthz", _health, methods=["GET"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


async def _health(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")
