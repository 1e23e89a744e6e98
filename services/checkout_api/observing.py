"""One line and one measurement per request: method, route, status, time. Never a query string, header or body."""

from __future__ import annotations

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from payonce import telemetry
from payonce.ports import Clock

#: Asked for every few seconds by machines; a line each would bury the others.
_QUIET = {"/healthz", "/readyz", "/metrics"}
log = structlog.get_logger()


class Observed:
    """Counts, times and logs what the application answers."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        began = self._clock.monotonic()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            self._note(scope, status, self._clock.monotonic() - began)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        # The route's pattern, not the path: labels stay few, and an address may hold what nobody should read.
        route = getattr(scope.get("route"), "path", "unmatched")
        telemetry.http_requests_total.labels(scope["method"], route, str(status)).inc()
        telemetry.http_request_seconds.labels(route).observe(seconds)
        if route in _QUIET:
            return
        order_id = scope.get("path_params", {}).get("order_id")
        log.info(
            "http_request",
            method=scope["method"],
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
            **({"order_id": order_id[:64]} if order_id else {}),
        )
