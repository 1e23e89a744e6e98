"""The application: the API's routes on their dependencies, a limit on bodies, one line per request."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import structlog
from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from payonce.problem_documents import Problem, documented
from services.ops_console import letters_api, problems, replays_api
from services.ops_console.dependencies import Dependencies

#: An edited body may be as large as a record, and grows in JSON's quoting.
BODY_LIMIT_BYTES = 4 * 1024 * 1024
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
log = structlog.get_logger()


def create_app(dependencies: Dependencies, lifespan: Lifespan | None = None) -> ASGIApp:
    """Return the ASGI application. `lifespan` starts and ends what runs beside the requests."""
    return BoundedBody(create_api(dependencies, lifespan))


def create_api(dependencies: Dependencies, lifespan: Lifespan | None = None) -> FastAPI:
    """Return the FastAPI application alone: the routes and their OpenAPI document."""
    api = FastAPI(
        title="payonce ops console API",
        description="Dead letters: look, edit, replay, discard. Every action stands in the audit chain.",
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,  # a redirect goes out before any check, to the host that the caller named
    )
    api.state.dependencies = dependencies
    problems.install(api)
    for router in (letters_api.router, replays_api.router):
        api.include_router(router)

    @api.get("/healthz", tags=["operation"])
    async def alive() -> dict[str, str]:
        """Say that the process runs."""
        return {"status": "alive"}

    @api.get("/readyz", tags=["operation"], responses=documented(503))
    async def ready() -> Response:
        """Say whether dead letters are being read and can be shown."""
        await dependencies.store.run(lambda tx: tx.positions())
        if not dependencies.is_reading():
            raise Problem(503, "not_reading", "the dead-letter topics are not being read")
        return Response('{"status":"ready"}', media_type="application/json")

    @api.get("/metrics", tags=["operation"], response_class=Response)
    async def metrics() -> Response:
        """Return the metrics in Prometheus' text format."""
        return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return api


class BoundedBody:
    """Lets no body through that is larger than the limit; a length header may lie or be missing, so it counts."""

    def __init__(self, app: ASGIApp, limit_bytes: int = BODY_LIMIT_BYTES) -> None:
        self._app = app
        self._limit = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if len(body) > self._limit:
                detail = f"the body is larger than {self._limit} bytes"
                headers = {"Connection": "close"}
                answer = Problem(413, "body_too_large", detail, headers=headers).response()
                await answer(scope, receive, send)
                return
            if not message.get("more_body", False):
                break
        await self._app(scope, _replay(body, receive), send)


def _replay(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return messages.pop() if messages else await receive()

    return next_message
