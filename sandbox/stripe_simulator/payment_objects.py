"""How PaymentIntents, Charges and payment errors look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.stripe_simulator.instrument_objects import billing_details, payment_method_details, payment_method_object

if TYPE_CHECKING:
    from sandbox.stripe_simulator.payment_methods import Failure, Instrument
    from sandbox.stripe_simulator.session_parameters import PaymentIntentData

_PAYMENT_INTENT_NULL = dict.fromkeys(
    (
        "application",
        "application_fee_amount",
        "automatic_payment_methods",
        "canceled_at",
        "cancellation_reason",
        "customer",
        "customer_account",
        "hooks",
        "last_payment_error",
        "latest_charge",
        "managed_payments",
        "next_action",
        "on_behalf_of",
        "payment_details",
        "payment_method",
        "payment_method_configuration_details",
        "payment_record",
        "presentment_details",
        "processing",
        "review",
        "setup_future_usage",
        "shipping",
        "source",
        "transfer_data",
    )
)

_CHARGE_NULL = dict.fromkeys(
    (
        "application",
        "application_fee",
        "application_fee_amount",
        "balance_transaction",
        "failure_balance_transaction",
        "failure_code",
        "failure_message",
        "on_behalf_of",
        "presentment_details",
        "receipt_number",
        "review",
        "shipping",
        "source",
        "source_transfer",
        "transfer_data",
    )
)


def payment_intent_object(
    intent_id: str, client_secret: str, data: PaymentIntentData, amount: int, currency: str, *, created: int
) -> dict[str, Any]:  # Any: JSON
    """Make a PaymentIntent for cards, as before its first confirmation."""
    return {
        "id": intent_id,
        "object": "payment_intent",
        **_PAYMENT_INTENT_NULL,
        "allowed_payment_method_types": None,
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "capture_method": "automatic_async",
        "client_secret": client_secret,
        "confirmation_method": "automatic",
        "created": created,
        "currency": currency,
        "description": data.description,
        "excluded_payment_method_types": None,
        "livemode": False,
        "metadata": dict(data.metadata),
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "receipt_email": data.receipt_email,
        "statement_descriptor": data.statement_descriptor,
        "statement_descriptor_suffix": data.statement_descriptor_suffix,
        "status": "requires_payment_method",
        "transfer_group": data.transfer_group,
    }


def charge_object(
    charge_id: str, intent: dict[str, Any], instrument: Instrument, status: str, created: int
) -> dict[str, Any]:  # Any: JSON
    """Make a charge of this PaymentIntent; `status` is succeeded, pending or failed."""
    charge = {
        "id": charge_id,
        "object": "charge",
        **_CHARGE_NULL,
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "billing_details": billing_details(instrument),
        "calculated_statement_descriptor": intent["statement_descriptor"] or "PAYONCE DEMO SHOP",
        "captured": False,
        "created": created,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "outcome": None,
        "paid": False,
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"],
        "payment_method_details": payment_method_details(instrument),
        "radar_options": {},
        "receipt_email": intent["receipt_email"],
        "receipt_url": None,
        "refunded": False,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "transfer_group": intent["transfer_group"],
    }
    return charge | charge_result(charge, instrument.failure if status == "failed" else None, status)


def charge_result(charge: dict[str, Any], failure: Failure | None, status: str) -> dict[str, Any]:  # Any: JSON
    """Make the fields that a charge's end changes."""
    succeeded = status == "succeeded"
    return {
        "amount_captured": charge["amount"] if succeeded else 0,
        "captured": succeeded,
        "failure_code": failure.code if failure else None,
        "failure_message": failure.message if failure else None,
        "outcome": _outcome(failure),
        "paid": succeeded,
        "receipt_url": f"https://pay.stripe.com/receipts/payment/{charge['id']}" if succeeded else None,
        "status": status,
    }


def _outcome(failure: Failure | None) -> dict[str, Any]:  # Any: JSON
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "declined_by_network" if failure else "approved_by_network",
        "reason": (failure.decline_code or failure.code) if failure else None,
        "risk_level": "normal",
        "risk_score": 1,
        "seller_message": failure.message if failure else "Payment complete.",
        "type": "issuer_declined" if failure else "authorized",
    }


def last_payment_error(
    failure: Failure, instrument: Instrument, method_id: str, charge_id: str | None, created: int
) -> dict[str, Any]:  # Any: JSON
    """Describe the last failed try of a PaymentIntent."""
    error: dict[str, Any] = {
        "advice_code": None,
        "charge": charge_id,
        "code": failure.code,
        "doc_url": "https://stripe.com/docs/error-codes/" + failure.code.replace("_", "-"),
        "message": failure.message,
        "payment_method": payment_method_object(instrument, method_id, created),
        "type": "card_error" if instrument.method.type == "card" and failure.charged else "invalid_request_error",
    }
    if failure.decline_code:
        error["decline_code"] = failure.decline_code
    return error
