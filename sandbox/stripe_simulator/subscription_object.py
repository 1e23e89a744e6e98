"""How Customers and Subscriptions look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.stripe_simulator.state import Json
    from sandbox.stripe_simulator.subscription_parameters import SubscriptionData

_CUSTOMER_NULL = dict.fromkeys(
    (
        "address",
        "business_name",
        "currency",
        "customer_account",
        "default_source",
        "description",
        "discount",
        "individual_name",
        "phone",
        "shipping",
        "test_clock",
    )
)
_SUBSCRIPTION_NULL = dict.fromkeys(
    (
        "application",
        "application_fee_percent",
        "billing_cycle_anchor_config",
        "billing_thresholds",
        "cancel_at",
        "canceled_at",
        "customer_account",
        "days_until_due",
        "default_source",
        "ended_at",
        "latest_invoice",
        "managed_payments",
        "next_pending_invoice_item_invoice",
        "on_behalf_of",
        "pause_collection",
        "pending_invoice_item_interval",
        "pending_setup_intent",
        "pending_update",
        "presentment_details",
        "schedule",
        "status_details",
        "test_clock",
        "transfer_data",
    )
)


def customer_object(customer_id: str, email: str | None, name: str | None, prefix: str, created: int) -> Json:
    """Make the customer of a subscription; `prefix` begins the numbers of the customer's invoices."""
    return {
        "id": customer_id,
        "object": "customer",
        **_CUSTOMER_NULL,
        "balance": 0,
        "created": created,
        "delinquent": False,
        "email": email,
        "invoice_prefix": prefix,
        "invoice_settings": dict.fromkeys(("custom_fields", "default_payment_method", "footer", "rendering_options")),
        "livemode": False,
        "metadata": {},
        "name": name,
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "tax_exempt": "none",
    }


def subscription_object(
    subscription_id: str, customer: str, data: SubscriptionData, items: list[Json], method: str | None, *, created: int
) -> Json:
    """Make a subscription to these items, active or in its trial."""
    trial_end = data.trial_end(created)
    return {
        "id": subscription_id,
        "object": "subscription",
        **_SUBSCRIPTION_NULL,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": trial_end or created,
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible", "updated_at": None},
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "cancellation_details": dict.fromkeys(("comment", "feedback", "feedback_option", "reason")),
        "collection_method": "charge_automatically",
        "created": created,
        "currency": items[0]["price"]["currency"],
        "customer": customer,
        "default_payment_method": method,
        "default_tax_rates": [],
        "description": data.description,
        "discounts": [],
        "invoice_settings": {
            **dict.fromkeys(("account_tax_ids", "custom_fields", "description", "footer")),
            "issuer": {"account": None, "type": "self"},
        },
        "items": _list_object(items, f"/v1/subscription_items?subscription={subscription_id}"),
        "livemode": False,
        "metadata": dict(data.metadata),
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": ["card"],
            "save_default_payment_method": "off",
        },
        "start_date": created,
        "status": "trialing" if trial_end else "active",
        "trial_end": trial_end,
        "trial_settings": {
            "end_behavior": {
                "billing_cycle_anchor": None,
                "missing_payment_method": data.missing_payment_method,
            }
        },
        "trial_start": created if trial_end else None,
    }


def subscription_item_object(item_id: str, subscription_id: str, line_item: Json, created: int) -> Json:
    """Make the item of a subscription from a session's line item; its period is set by the billing cycle."""
    return {
        "id": item_id,
        "object": "subscription_item",
        "billed_until": None,
        "billing_thresholds": None,
        "created": created,
        "current_period_end": created,
        "current_period_start": created,
        "current_trial": None,
        "discounts": [],
        "metadata": dict(line_item["metadata"]),
        "plan": _plan_object(line_item["price"]),
        "price": line_item["price"],
        "quantity": line_item["quantity"],
        "subscription": subscription_id,
        "tax_rates": [],
    }


def _plan_object(price: Json) -> Json:
    """Show a price in the older shape that items still carry."""
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": "per_unit",
        "created": price["created"],
        "currency": price["currency"],
        "interval": price["recurring"]["interval"],
        "interval_count": price["recurring"]["interval_count"],
        "livemode": False,
        "metadata": {},
        "meter": None,
        "nickname": None,
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


def _list_object(data: list[Json], url: str) -> dict[str, Any]:  # Any: JSON
    return {"object": "list", "data": data, "has_more": False, "url": url}
