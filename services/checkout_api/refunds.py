"""Refunds of an order: asked for under the client's own reference, and shown as they stand.

Asking needs PostgreSQL, to know whose order it is and what is left of its money.
"""

from __future__ import annotations

from fastapi import APIRouter, Response

from payonce.problem_documents import documented
from services.checkout_api.access import Reader, Writer
from services.checkout_api.answers import RETRY_AFTER
from services.checkout_api.commanding import publish_command
from services.checkout_api.dependencies import Parts
from services.checkout_api.documents import Refund, RefundList, refund_document, refund_documents
from services.checkout_api.owned import own_order
from services.checkout_api.parameters import OrderId, Trace
from services.checkout_api.refunding import known_refund, new_refund, refund_command
from services.checkout_api.requests import RefundRequest

router = APIRouter(prefix="/v1/payment-orders/{order_id}/refunds", tags=["refunds"])


@router.post(
    "",
    status_code=202,
    response_model=Refund,
    responses={
        202: {"description": "In the log; the order's refunds tell how it goes"},
        200: {"model": Refund, "description": "Known already, with its status"},
        **documented(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503),
    },
)
async def create_refund(
    order_id: OrderId, body: RefundRequest, client: Writer, parts: Parts, trace: Trace = None
) -> Response:
    """Send money back, once for each refund reference. Repeating the same body is harmless."""
    whole = await own_order(client, order_id, parts)
    command = refund_command(whole, body, issued_at=int(parts.clock.now()), api_version=parts.stripe_api_version)
    if known := known_refund(whole, command):
        return _respond(200, refund_document(order_id, known))
    refund = new_refund(whole, command)
    await publish_command(parts, command, trace)
    return _respond(202, refund_document(order_id, refund))


@router.get("", response_model=RefundList, responses=documented(401, 403, 404, 429, 503))
async def list_refunds(order_id: OrderId, client: Reader, parts: Parts) -> RefundList:
    """Return every refund of the order: first those that you asked for, in that order, then those made at the PSP."""
    return RefundList(data=refund_documents(await own_order(client, order_id, parts)))


def _respond(status: int, refund: Refund) -> Response:
    headers = dict(RETRY_AFTER) if status == 202 else {}  # noqa: PLR2004
    return Response(refund.model_dump_json(), status, headers, "application/json")
