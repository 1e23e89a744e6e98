"""Server-sent events of one order. How they are made is `following`'s; here is who may have them, and how many."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Response
from fastapi.responses import StreamingResponse

from payonce import telemetry
from payonce.problem_documents import Problem, documented
from services.checkout_api.access import Reader
from services.checkout_api.clients import Client
from services.checkout_api.dependencies import Parts
from services.checkout_api.following import Follower, is_at_rest, last_seen
from services.checkout_api.owned import own_order
from services.checkout_api.parameters import OrderId

router = APIRouter(prefix="/v1/payment-orders", tags=["payment orders"])
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_TEXT = {"content": {"text/event-stream": {"schema": {"type": "string"}}}}


async def _stream(client: Reader, parts: Parts) -> AsyncIterator[Client]:
    """Hold one of the places for streams until the answer has ended, however it ends."""
    with parts.streams.stream(client.id) as opened:
        if not opened:
            raise Problem(503, "too_many_streams", "too many streams are open; poll", headers={"Retry-After": "10"})
        with telemetry.event_streams.track_inprogress():
            yield client


@router.get(
    "/{order_id}/events",
    response_class=Response,
    responses={
        200: {"description": "`event: payment_order`, `id` its version, `data` the order as JSON", **_TEXT},
        204: {"description": "Nothing newer than Last-Event-ID, and nothing to come: do not connect again"},
        **documented(401, 403, 404, 429, 503),
    },
)
async def follow_payment_order(
    order_id: OrderId,
    client: Annotated[Client, Depends(_stream)],
    parts: Parts,
    last_event_id: Annotated[str | None, Header(description="The last version seen; set by browsers")] = None,
) -> Response:
    """Follow one order: its present state unless you have seen it, then each change, until it has come to rest."""
    row = (await own_order(client, order_id, parts)).row
    seen = last_seen(last_event_id)
    if row.version <= seen and is_at_rest(row, parts.clock.now()):
        return Response(status_code=204)
    follower = Follower(order_id, seen, parts.followed, parts.links, parts.clock)
    return StreamingResponse(follower.stream(), headers=_HEADERS, media_type="text/event-stream")
