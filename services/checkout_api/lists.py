"""Lists: a client's orders, newest first, and what touched one of them, oldest first. Cursors are ids.

A page begins after the order (or event) that the cursor names, so what comes in meanwhile moves nothing.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from payonce.domain.terms import order_id_of
from payonce.domain.whole_order import OrderFilter
from payonce.problem_documents import documented
from services.checkout_api.access import Reader
from services.checkout_api.dependencies import Parts
from services.checkout_api.documents import PaymentOrderList, Timeline, timeline_event, whole_document
from services.checkout_api.owned import own_order, read, unknown_cursor
from services.checkout_api.parameters import OrderId
from services.checkout_api.statuses import Status

router = APIRouter(prefix="/v1/payment-orders", tags=["payment orders"])
_MOST = 100
#: The year 9999 still fits PostgreSQL's timestamps.
_LAST_SECOND = 253_402_300_799
_ORDERS, _EVENTS = "payment order of yours", "event of this order"
Limit = Annotated[int, Field(ge=1, le=_MOST, description="How many at most")]
Seconds = Annotated[int | None, Field(ge=0, le=_LAST_SECOND)]
After = Annotated[str | None, Field(min_length=1, max_length=255, description="Go on after the one with this id")]


class OrdersQuery(BaseModel):
    """Filters of the list of orders, and where its page begins. A misspelt one must not be dropped silently."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reference: str | None = Field(None, min_length=1, max_length=64, description="Your reference, exactly")
    status: Status | None = Field(None, description="Only orders in this status")
    created_from: Seconds = Field(None, description="Unix seconds; only orders made then or later")
    created_until: Seconds = Field(None, description="Unix seconds; only orders made before")
    limit: Limit = 20
    starting_after: After = None


class TimelineQuery(BaseModel):
    """Where a page of the timeline begins."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Limit = 50
    starting_after: After = None


@router.get("", response_model=PaymentOrderList, responses=documented(401, 403, 422, 429, 503))
async def list_payment_orders(client: Reader, parts: Parts, asked: Annotated[OrdersQuery, Query()]) -> PaymentOrderList:
    """Return your payment orders that fit every filter, newest first."""
    wanted = OrderFilter(
        order_id=None if asked.reference is None else order_id_of(client.id, asked.reference),
        status=asked.status,
        created_from=asked.created_from,
        created_until=asked.created_until,
    )
    after = _cursor(asked.starting_after, _ORDERS)
    found = await read(parts, lambda archive: archive.page(client.id, wanted, after=after, limit=asked.limit + 1))
    if found is None:
        raise unknown_cursor(_ORDERS)
    now = parts.clock.now()
    documents = [whole_document(whole, parts.links, now=now) for whole in found[: asked.limit]]
    return PaymentOrderList(data=[each for each in documents if each is not None], has_more=len(found) > asked.limit)


@router.get("/{order_id}/timeline", response_model=Timeline, responses=documented(401, 403, 404, 422, 429, 503))
async def get_timeline(
    order_id: OrderId, client: Reader, parts: Parts, asked: Annotated[TimelineQuery, Query()]
) -> Timeline:
    """Return every event that touched the order, with its effect, and why it had none."""
    await own_order(client, order_id, parts)
    after = _cursor(asked.starting_after, _EVENTS)
    lines = await read(parts, lambda archive: archive.timeline(order_id, after=after, limit=asked.limit + 1))
    if lines is None:
        raise unknown_cursor(_EVENTS)
    return Timeline(data=[timeline_event(line) for line in lines[: asked.limit]], has_more=len(lines) > asked.limit)


def _cursor(after: str | None, what: str) -> str | None:
    """Refuse what PostgreSQL cannot even be asked about: a text with NUL."""
    if after is not None and not after.isprintable():
        raise unknown_cursor(what)
    return after
