"""How what the customer pays with looks: in charges, in errors, and as a voucher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.stripe_simulator.payment_methods import Instrument

_NO_ADDRESS = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))


def billing_details(instrument: Instrument) -> dict[str, Any]:  # Any: JSON
    """Show what is known of the payer."""
    return {
        "address": dict(_NO_ADDRESS),
        "email": instrument.email,
        "name": instrument.name,
        "phone": None,
        "tax_id": None,
    }


def payment_method_details(instrument: Instrument) -> dict[str, Any]:  # Any: JSON
    """Describe a charge's instrument; of banks only what the simulator knows."""
    type_ = instrument.method.type
    match type_:
        case "card":
            details = _card_details(instrument)
        case "ideal":
            details = {
                "bank": "ing",
                "bic": "INGBNL2A",
                "iban_last4": instrument.last4,
                "verified_name": instrument.name,
            }
        case "sepa_debit" | "us_bank_account" | "bacs_debit":
            details = {"fingerprint": None, "last4": instrument.last4, "mandate": None}
        case "boleto":
            details = {"tax_id": "00000000000"}
        case "oxxo":
            details = {"number": None}
        case "cashapp":
            details = {"buyer_id": None, "cashtag": None, "transaction_id": None}
        case _:
            details = {}
    return {"type": type_, type_: details}


def voucher_action(method: str, base_url: str, number: str, expires_at: int) -> dict[str, Any]:  # Any: JSON
    """Show the voucher that the customer has to pay."""
    kind = f"{method}_display_details"
    details = {"hosted_voucher_url": f"{base_url}/vouchers/{number}", "number": number}
    if method == "boleto":
        details["pdf"] = f"{base_url}/vouchers/{number}/pdf"
    expiry = "expires_after" if method == "oxxo" else "expires_at"
    return {"type": kind, kind: {**details, expiry: expires_at}}


def _card_details(instrument: Instrument) -> dict[str, Any]:  # Any: JSON
    authenticated = {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "exemption_indicator": None,
        "result": "authenticated",
        "result_reason": None,
        "transaction_id": None,
        "version": "2.2.0",
    }
    return {
        "amount_authorized": None,
        "brand": instrument.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "exp_month": instrument.exp_month,
        "exp_year": instrument.exp_year,
        "fingerprint": f"simulated{instrument.last4}",
        "funding": "credit",
        "installments": None,
        "last4": instrument.last4,
        "mandate": None,
        "network": instrument.brand,
        "network_token": {"used": False},
        "network_transaction_id": None,
        "regulated_status": "unregulated",
        "three_d_secure": authenticated if instrument.authenticate else None,
        "wallet": None,
    }


def payment_method_object(instrument: Instrument, method_id: str, created: int) -> dict[str, Any]:  # Any: JSON
    """Make the PaymentMethod of an instrument, as an error shows it."""
    type_ = instrument.method.type
    details: dict[str, Any] = {}
    if type_ == "card":
        details = {
            "brand": instrument.brand,
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": None},
            "country": "US",
            "display_brand": instrument.brand,
            "exp_month": instrument.exp_month,
            "exp_year": instrument.exp_year,
            "fingerprint": f"simulated{instrument.last4}",
            "funding": "credit",
            "generated_from": None,
            "last4": instrument.last4,
            "networks": {"available": [instrument.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        }
    elif type_ == "boleto":
        details = {"tax_id": "00000000000"}
    elif instrument.method.account_label:
        details = {"fingerprint": None, "last4": instrument.last4}
    return {
        "id": method_id,
        "object": "payment_method",
        "allow_redisplay": "limited",
        "billing_details": billing_details(instrument),
        "created": created,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "radar_options": {},
        "type": type_,
        type_: details,
    }
