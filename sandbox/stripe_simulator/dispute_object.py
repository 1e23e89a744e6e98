"""How a Dispute looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.stripe_simulator.state import Json

_EVIDENCE = dict.fromkeys(
    (
        "access_activity_log",
        "appeal",
        "billing_address",
        "cancellation_policy",
        "cancellation_policy_disclosure",
        "cancellation_rebuttal",
        "customer_communication",
        "customer_email_address",
        "customer_name",
        "customer_purchase_ip",
        "customer_signature",
        "duplicate_charge_documentation",
        "duplicate_charge_explanation",
        "duplicate_charge_id",
        "product_description",
        "receipt",
        "refund_policy",
        "refund_policy_disclosure",
        "refund_refusal_explanation",
        "service_date",
        "service_documentation",
        "shipping_address",
        "shipping_carrier",
        "shipping_date",
        "shipping_documentation",
        "shipping_tracking_number",
        "uncategorized_file",
        "uncategorized_text",
    )
)
# Visa's codes for the reasons that Stripe names.
NETWORK_REASON_CODES = {
    "credit_not_processed": "13.6",
    "duplicate": "12.6",
    "fraudulent": "10.4",
    "general": "10.5",
    "product_not_received": "13.1",
    "product_unacceptable": "13.3",
    "subscription_canceled": "13.2",
    "unrecognized": "10.1",
}


def dispute_object(
    dispute_id: str, charge: Json, amount: int, reason: str, *, inquiry: bool, created: int, due_by: int
) -> Json:
    """Make a dispute of this charge that waits for an answer; an inquiry leaves the charge refundable."""
    code = NETWORK_REASON_CODES[reason]
    return {
        "id": dispute_id,
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": created,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**_EVIDENCE, "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": due_by,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "intended_submission_method": None,
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "network_reason_code": code,
        "payment_intent": charge["payment_intent"],
        "payment_method_details": _payment_method_details(charge, code, inquiry=inquiry),
        "reason": reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
    }


def _payment_method_details(charge: Json, code: str, *, inquiry: bool) -> Json | None:
    details = charge["payment_method_details"]
    if details["type"] != "card":
        return None
    brand = details["card"]["brand"]
    case_type = "inquiry" if inquiry else "chargeback"
    card = {"brand": brand, "case_type": case_type, "network": brand, "network_reason_code": code}
    return {"type": "card", "card": card}
