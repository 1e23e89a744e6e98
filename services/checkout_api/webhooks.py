"""/webhooks/stripe, as a plain ASGI function in front of the application: verify, find the key, publish the bytes, 200.

The framework would cost more than the log here. A webhook that is not Stripe's leaves no trace but a counter; a 200 is
given only after the delivery report, so what Stripe has been thanked for is in the log. No line per accepted webhook:
the record itself is the line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from payonce import telemetry
from payonce.codec import webhook_record
from payonce.domain.psp_webhooks import record_key
from payonce.ports import PublishFailed, RecordTooLarge
from payonce.problem_documents import Problem
from services.checkout_api.bodies import read_body
from services.checkout_api.dependencies import Dependencies
from services.checkout_api.ports import SignatureCheck
from services.checkout_api.problems import unavailable
from services.checkout_api.publishing import publish_within

PATH = "/webhooks/stripe"
LIMIT_BYTES = 512 * 1024
_RECEIVED = b'{"received":true}'
_ACCEPTED_START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(_RECEIVED)).encode())],
}
_ACCEPTED_BODY: Message = {"type": "http.response.body", "body": _RECEIVED}
log = structlog.get_logger()


class WebhookDoor:
    """Answers the webhook route; everything else, lifespan included, goes to the wrapped application."""

    def __init__(self, app: ASGIApp, dependencies: Dependencies) -> None:
        self._app = app
        self._parts = dependencies
        # Looked up once: finding a metric by its labels costs as much as counting.
        self._accepted = telemetry.webhooks_total.labels("accepted")
        self._seconds = telemetry.http_request_seconds.labels(PATH)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        verify = self._parts.verify_signature
        # Without a secret the route does not exist, and the application says so.
        if scope["type"] != "http" or scope["path"] != PATH or verify is None:
            await self._app(scope, receive, send)
            return
        began = self._parts.clock.monotonic()
        await self._answer(scope, receive, send, verify)
        self._seconds.observe(self._parts.clock.monotonic() - began)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, verify: SignatureCheck) -> None:
        try:
            await self._accept(scope, receive, verify)
        except ClientDisconnect:
            telemetry.webhooks_total.labels("disconnected").inc()
        except Problem as problem:
            telemetry.webhooks_total.labels(problem.kind).inc()
            log.warning("webhook_refused", reason=problem.kind, status=problem.status)
            await problem.response()(scope, receive, send)
        else:
            self._accepted.inc()
            await send(_ACCEPTED_START)
            await send(_ACCEPTED_BODY)

    async def _accept(self, scope: Scope, receive: Receive, verify: SignatureCheck) -> None:
        if scope["method"] != "POST":
            raise Problem(405, "method_not_allowed", "webhooks are posted", headers={"Allow": "POST"})
        body = await read_body(receive, LIMIT_BYTES)
        if not verify(body, _signature(scope)):
            raise Problem(400, "bad_signature", "no live secret signed exactly this body within the last minutes")
        event = _event(body)
        record = webhook_record(body, event, key=record_key(event), received_at=self._parts.clock.now())
        try:
            await publish_within(self._parts.producer, record, self._parts.publish_seconds)
        except PublishFailed as error:
            raise unavailable("the log") from error
        except RecordTooLarge as error:  # its id or type is long, and stands in the headers as well
            raise Problem(413, "body_too_large", "the event is larger than the log takes") from error


def _event(body: bytes) -> Mapping[str, Any]:
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "broken_json", "the body is signed but is not JSON") from error
    match event:
        case {"object": "event", "id": str() as name, "type": str(), "data": {"object": {}}} if name:
            return dict(event)
    raise Problem(400, "not_an_event", "the body is signed but is no snapshot event; payonce takes no thin events")


def _signature(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"stripe-signature":
            return str(value.decode("latin-1"))
    return ""
