"""How Invoices, their lines and their payments look, in the shapes since basil."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.stripe_simulator.state import Json

_NULL = dict.fromkeys(
    (
        "account_tax_ids",
        "amount_paid_off_stripe",
        "application",
        "custom_fields",
        "customer_account",
        "customer_address",
        "customer_phone",
        "customer_shipping",
        "default_payment_method",
        "default_source",
        "description",
        "due_date",
        "effective_at",
        "ending_balance",
        "footer",
        "from_invoice",
        "hosted_invoice_url",
        "invoice_pdf",
        "last_finalization_error",
        "latest_revision",
        "next_payment_attempt",
        "number",
        "on_behalf_of",
        "receipt_number",
        "rendering",
        "shipping_cost",
        "shipping_details",
        "statement_descriptor",
        "status_details",
        "test_clock",
        "threshold_reason",
        "webhooks_delivered_at",
    )
)
# The same in every invoice, never changed, and so shared.
_CONSTANT: dict[str, Any] = {  # Any: JSON
    "amount_overpaid": 0,
    "amount_paid": 0,
    "amount_shipping": 0,
    "automatic_tax": dict.fromkeys(("disabled_reason", "liability", "provider", "status")) | {"enabled": False},
    "collection_method": "charge_automatically",
    "customer_tax_exempt": "none",
    "customer_tax_ids": [],
    "default_tax_rates": [],
    "discounts": [],
    "issuer": {"account": None, "type": "self"},
    "livemode": False,
    "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": ["card"]},
    "post_payment_credit_notes_amount": 0,
    "pre_payment_credit_notes_amount": 0,
    "starting_balance": 0,
    "total_discount_amounts": [],
    "total_pretax_credit_amounts": [],
    "total_taxes": [],
}


@dataclass(frozen=True, slots=True)
class Position:
    """What an invoice bills: `amount` in minor units for a price, in a period of service."""

    line_item: str  # an id
    description: str
    price: Json
    quantity: int
    amount: int
    start: int
    end: int
    item: str | None  # the subscription's item; None for what is billed once


def invoice_object(
    invoice_id: str, subscription: Json, customer: Json, positions: list[Position], reason: str, *, created: int
) -> Json:
    """Make the draft of a subscription's invoice.

    Its own period is the one before the service that it bills, as at Stripe: `period_end` is when that service begins.
    """
    total = sum(position.amount for position in positions)
    start = created if reason == "subscription_create" else subscription["start_date"]
    lines = [_line_object(position, invoice_id, subscription) for position in positions]
    return {
        "id": invoice_id,
        "object": "invoice",
        **_NULL,
        **_CONSTANT,
        "account_country": "DE",
        "account_name": None,
        "amount_due": total,
        "amount_remaining": total,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": True,
        "automatically_finalizes_at": None,
        "billing_reason": reason,
        "created": created,
        "currency": subscription["currency"],
        "customer": customer["id"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "lines": {"object": "list", "data": lines, "has_more": False, "url": f"/v1/invoices/{invoice_id}/lines"},
        "metadata": {},
        "parent": {
            "quote_details": None,
            "subscription_details": {
                "metadata": dict(subscription["metadata"]),
                "subscription": subscription["id"],
                "subscription_proration_date": None,
            },
            "type": "subscription_details",
        },
        "period_end": created,
        "period_start": start,
        "status": "draft",
        "status_transitions": dict.fromkeys(("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")),
        "subtotal": total,
        "subtotal_excluding_tax": total,
        "total": total,
        "total_excluding_tax": total,
    }


def _line_object(position: Position, invoice_id: str, subscription: Json) -> Json:
    price = position.price
    return {
        "id": position.line_item,
        "object": "line_item",
        "amount": position.amount,
        "currency": subscription["currency"],
        "description": position.description,
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": invoice_id,
        "livemode": False,
        "metadata": dict(subscription["metadata"]),
        "parent": _parent_of_line(position, subscription["id"]),
        "period": {"end": position.end, "start": position.start},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": str(position.amount // position.quantity),
        },
        "quantity": position.quantity,
        "quantity_decimal": str(position.quantity),
        "subscription": subscription["id"],
        "subtotal": position.amount,
        "taxes": [],
    }


def _parent_of_line(position: Position, subscription: str) -> Json:
    common = {"proration": False, "proration_details": {"credited_items": None}, "subscription": subscription}
    if position.item is None:
        details = {**common, "invoice_item": position.line_item.replace("il_", "ii_", 1)}
        return {"invoice_item_details": details, "subscription_item_details": None, "type": "invoice_item_details"}
    details = {**common, "invoice_item": None, "subscription_item": position.item}
    return {"invoice_item_details": None, "subscription_item_details": details, "type": "subscription_item_details"}


def invoice_payment_object(payment_id: str, invoice: Json, intent: str, created: int) -> Json:
    """Make the payment of an invoice by a PaymentIntent, still open: the only link between the two."""
    return {
        "id": payment_id,
        "object": "invoice_payment",
        "amount_paid": None,
        "amount_requested": invoice["amount_due"],
        "created": created,
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": True,
        "livemode": False,
        "payment": {"payment_intent": intent, "type": "payment_intent"},
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }
