"""How a Checkout Session looks: every field of the API version that is simulated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.stripe_simulator.session_parameters import SessionRequest

# Fields that stay null for everything that is simulated.
_NULL = dict.fromkeys(
    (
        "after_expiration",
        "allow_promotion_codes",
        "branding_settings",
        "consent",
        "consent_collection",
        "currency_conversion",
        "customer",
        "customer_account",
        "customer_details",
        "collected_information",
        "discounts",
        "integration_identifier",
        "invoice",
        "managed_payments",
        "name_collection",
        "optional_items",
        "payment_link",
        "payment_method_configuration_details",
        "permissions",
        "presentment_details",
        "recovered_from",
        "saved_payment_method_options",
        "setup_intent",
        "shipping_address_collection",
        "shipping_cost",
        "subscription",
        "wallet_options",
    )
)


# The same in every session, never changed, and so shared.
_CONSTANT: dict[str, Any] = {  # Any: JSON
    "adaptive_pricing": {"enabled": False},
    "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
    "custom_fields": [],
    "custom_text": dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")),
    "invoice_creation": {
        "enabled": False,
        "invoice_data": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": None,
            "footer": None,
            "issuer": None,
            "metadata": {},
            "rendering_options": None,
        },
    },
    "livemode": False,
    "payment_method_options": {},
    "phone_number_collection": {"enabled": False},
    "shipping_options": [],
    "tax_id_collection": {"enabled": False, "required": "never"},
    "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
}


def session_object(
    session_id: str, request: SessionRequest, created: int, url: str | None, client_secret: str | None
) -> dict[str, Any]:  # Any: JSON
    """Make a new, open session."""
    total = request.amount_total
    return {
        "id": session_id,
        "object": "checkout.session",
        **_NULL,
        **_CONSTANT,
        "allowed_payment_method_types": request.allowed_types,
        "amount_subtotal": total,
        "amount_total": total,
        "billing_address_collection": request.billing_address_collection,
        "cancel_url": request.cancel_url,
        "client_reference_id": request.client_reference_id,
        "client_secret": client_secret,
        "created": created,
        "currency": request.currency,
        "customer_creation": request.customer_creation,
        "customer_email": request.customer_email,
        "excluded_payment_method_types": request.excluded_types,
        "expires_at": request.expires_at,
        "locale": request.locale,
        "metadata": request.metadata,
        "mode": request.mode,
        "origin_context": request.origin_context,
        "payment_intent": None,
        "payment_method_collection": request.payment_method_collection,
        "payment_method_types": list(request.offered_types),
        "payment_status": "unpaid" if total else "no_payment_required",
        "redirect_on_completion": "always" if request.ui_mode == "elements" else None,
        "return_url": request.return_url,
        "status": "open",
        "submit_type": request.submit_type,
        "success_url": request.success_url,
        "ui_mode": request.ui_mode,
        "url": url,
    }


def customer_details(email: str | None, name: str | None) -> dict[str, Any]:  # Any: JSON
    """Show what the customer typed on the page."""
    return {
        "address": None,
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": name,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }
