"""/return: where the PSP sends the customer; sends them on to the shop with the signed status, which is never proof."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from payonce.domain.order_row import UNDECIDED_STATUSES, OrderRow
from services.checkout_api.dependencies import Parts
from services.checkout_api.links import Links
from services.checkout_api.parameters import OrderId, Since, Token
from services.checkout_api.returns import returned_status
from services.checkout_api.visits import RESPONSES, BackToShop, Decision, Visit, belongs, receive

#: The webhook is usually as fast as the browser; a customer is not held longer for it.
_HOLD_SECONDS = 3.0
router = APIRouter(tags=["customer"])


def at_return(order: OrderRow | None, token: str, links: Links, *, cancelled: bool) -> Decision:
    """Decide what the shop is told. Pure.

    After leaving without paying it is the order's own status, not `pending`: nobody is waiting for a payment.
    """
    belonging = belongs(order, token, links)
    if belonging != "yes":
        return belonging
    assert order is not None
    if order.redirect_url is None:
        return "wait"
    return BackToShop(order, order.status if cancelled else returned_status(order))


@router.get("/return/{order_id}", response_class=Response, responses=RESPONSES)
async def come_back(
    order_id: OrderId,
    parts: Parts,
    t: Token = "",
    via: Annotated[str, Query(description="`cancel`: the customer left the PSP's page without paying")] = "",
    since: Since = "",
) -> Response:
    """Send the customer back to the shop with the signed status."""
    cancelled = via == "cancel"
    visit = Visit(
        order_id=order_id,
        token=t,
        path=f"/return/{order_id}?t={t}" + ("&via=cancel" if cancelled else ""),
        since=since,
        message="We are waiting for word of your payment.",
        hold_seconds=_HOLD_SECONDS,
    )

    def decide(order: OrderRow | None) -> Decision:
        return at_return(order, t, parts.links, cancelled=cancelled)

    def is_enough(decision: Decision) -> bool:
        if isinstance(decision, BackToShop):
            return cancelled or decision.order.status not in UNDECIDED_STATUSES
        return decision != "wait"

    return await receive(visit, parts, decide, is_enough)
