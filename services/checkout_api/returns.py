"""What the shop is told through the customer's browser: the status, signed. Never proof of payment by itself. Pure."""

from __future__ import annotations

from payonce.domain.order_row import UNDECIDED_STATUSES, OrderRow
from services.checkout_api.clients import Client
from services.checkout_api.links import return_signature, with_parameters

#: The customer is back before the PSP's word is: the order's own status would say that nothing has happened.
PENDING = "pending"


def returned_status(order: OrderRow) -> str:
    """Return what a customer who has finished is told: `pending` until the PSP has spoken."""
    return PENDING if order.status in UNDECIDED_STATUSES else order.status


def return_url(order: OrderRow, client: Client, status: str, now: float) -> str | None:
    """Return the client's redirect URL with the signed status; None while the client's own fields are not known."""
    if order.redirect_url is None or order.reference is None or order.amount is None or order.currency is None:
        return None
    parameters = {
        "payment_order_id": order.order_id,
        "reference": order.reference,
        "status": status,
        "amount": str(order.amount),
        "currency": order.currency,
        "time": str(int(now)),
    }
    signature = return_signature(client.return_secret, parameters)
    return with_parameters(order.redirect_url, [*parameters.items(), ("signature", signature)])
