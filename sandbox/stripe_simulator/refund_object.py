"""How a Refund looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.stripe_simulator.state import Json

_NULL = dict.fromkeys(
    (
        "balance_transaction",
        "customer_account",
        "description",
        "failure_balance_transaction",
        "failure_reason",
        "instructions_email",
        "next_action",
        "presentment_details",
        "receipt_number",
        "source_transfer_reversal",
        "transfer_reversal",
    )
)


def refund_object(
    refund_id: str, charge: Json, amount: int, reason: str | None, metadata: dict[str, str], *, created: int
) -> Json:
    """Make a pending refund of this charge."""
    return {
        "id": refund_id,
        "object": "refund",
        **_NULL,
        "amount": amount,
        "charge": charge["id"],
        "created": created,
        "currency": charge["currency"],
        "customer": charge["customer"],
        "destination_details": _destination_details(charge["payment_method_details"]["type"]),
        "metadata": metadata,
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "pending_reason": "processing",
        "reason": reason,
        "status": "pending",
    }


def _destination_details(method: str) -> Json | None:
    """Say where the money goes; a card's bank tells the reference number days later."""
    match method:
        case "card":
            details: Json = {"reference": None, "reference_status": "pending", "reference_type": None, "type": "refund"}
        case "ideal" | "sepa_debit":
            return {"type": "eu_bank_transfer", "eu_bank_transfer": {"reference": None, "reference_status": "pending"}}
        case "us_bank_account":
            return {"type": "us_bank_transfer", "us_bank_transfer": {"reference": None, "reference_status": "pending"}}
        case "boleto":
            return {"type": "br_bank_transfer", "br_bank_transfer": {"reference": None, "reference_status": "pending"}}
        case "oxxo":
            return {"type": "mx_bank_transfer", "mx_bank_transfer": {"reference": None, "reference_status": "pending"}}
        case "cashapp":
            details = {}
        case _:
            return {"type": "gb_bank_transfer", "gb_bank_transfer": {"reference": None, "reference_status": "pending"}}
    return {"type": method, method: details}


def card_reference(refund: Json, reference: str) -> Json:
    """Make the destination of a card's refund whose reference number has become known."""
    known = {"reference": reference, "reference_status": "available", "reference_type": "acquirer_reference_number"}
    card = {**refund["destination_details"]["card"], **known}
    return {"type": "card", "card": card}
