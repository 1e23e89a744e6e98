"""/checkout: sends the customer to the PSP's page once its token is in PostgreSQL, never before.

It never shows the page of another body. When there is nothing to pay here (any more), or the card fields are on the
shop's own page, the shop is told the status.
"""

from __future__ import annotations

from fastapi import APIRouter, Response

from payonce.domain.order_row import OrderRow
from services.checkout_api.dependencies import Parts
from services.checkout_api.links import Links
from services.checkout_api.parameters import OrderId, Since, Token
from services.checkout_api.returns import returned_status
from services.checkout_api.visits import RESPONSES, BackToShop, Decision, ShowPage, Visit, belongs, receive

#: How long one request is held: under every proxy's patience.
_HOLD_SECONDS = 5.0
router = APIRouter(tags=["customer"])


def at_checkout(order: OrderRow | None, token: str, links: Links, now: float) -> Decision:
    """Decide what a checkout link shows. Pure."""
    belonging = belongs(order, token, links)
    if belonging != "yes":
        return belonging
    assert order is not None
    assert order.body_hash is not None
    if page := order.open_page(order.body_hash, now):
        return ShowPage(page)
    if order.status == "created" or order.redirect_url is None:
        return "wait"
    # The fields of a CARD order are on the shop's own page: who comes here has not paid, and is not waiting for word.
    has_own_page = order.open_secret(order.body_hash, now) is not None
    return BackToShop(order, order.status if has_own_page else returned_status(order))


@router.get("/checkout/{order_id}", response_class=Response, responses=RESPONSES)
async def checkout(
    order_id: OrderId,
    parts: Parts,
    t: Token = "",
    since: Since = "",
) -> Response:
    """Send the customer to the PSP's page, or hold on until there is one."""
    visit = Visit(
        order_id=order_id,
        token=t,
        path=f"/checkout/{order_id}?t={t}",
        since=since,
        message="We are preparing your payment page.",
        hold_seconds=_HOLD_SECONDS,
    )

    def decide(order: OrderRow | None) -> Decision:
        return at_checkout(order, t, parts.links, parts.clock.now())

    return await receive(visit, parts, decide, lambda decision: decision != "wait")
