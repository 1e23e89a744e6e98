"""The end of an order's subscription. Thin: the decision is `ending_subscriptions`'s.

It needs PostgreSQL, to know whose order it is and what its subscription is called.
"""

from __future__ import annotations

from fastapi import APIRouter, Response

from payonce.problem_documents import documented
from services.checkout_api.access import Writer
from services.checkout_api.answers import RETRY_AFTER
from services.checkout_api.commanding import publish_command
from services.checkout_api.dependencies import Parts
from services.checkout_api.documents import WholePaymentOrder, whole_document
from services.checkout_api.ending_subscriptions import is_ending, subscription_end
from services.checkout_api.owned import once, own_order, unknown_order
from services.checkout_api.parameters import OrderId, Prefer, Trace
from services.checkout_api.preferences import applied, preferred_wait
from services.checkout_api.requests import SubscriptionCancelRequest

router = APIRouter(prefix="/v1/payment-orders/{order_id}/subscription", tags=["subscriptions"])


@router.post(
    "/cancel",
    status_code=202,
    response_model=WholePaymentOrder,
    responses={
        202: {"description": "In the log; the order is `ended` once the subscription is"},
        200: {
            "model": WholePaymentOrder,
            "description": "It has ended; with `Prefer: wait=N`, also: it will, as asked",
        },
        **documented(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503),
    },
)
async def cancel_subscription(
    order_id: OrderId,
    body: SubscriptionCancelRequest,
    *,
    client: Writer,
    parts: Parts,
    prefer: Prefer = None,
    trace: Trace = None,
) -> Response:
    """End the order's subscription, now or when what is paid for is over. Repeating the request is harmless."""
    whole = await own_order(client, order_id, parts)
    command = subscription_end(whole, body, issued_at=int(parts.clock.now()), api_version=parts.stripe_api_version)
    wait, is_done = preferred_wait(prefer), command is None
    if command is not None:
        await publish_command(parts, command, trace)
        if wait is not None:
            whole = await once(parts, whole, lambda found: is_ending(found, command), wait)
            is_done = is_ending(whole, command)
    document = whole_document(whole, parts.links, now=parts.clock.now())
    if document is None:
        raise unknown_order()
    status, headers = (200, applied(wait)) if is_done else (202, applied(wait) | RETRY_AFTER)
    return Response(document.model_dump_json(), status, headers, "application/json")
