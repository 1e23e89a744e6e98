"""The API's operations on customers, subscriptions, invoices and their payments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.stripe_simulator import errors
from sandbox.stripe_simulator.expand import expanded
from sandbox.stripe_simulator.lists import PAGING, Selection, created_range
from sandbox.stripe_simulator.operation import Call, Operation, Routes, page_work, retrieve
from sandbox.stripe_simulator.parameters import Parameters
from sandbox.stripe_simulator.subscriptions import SubscriptionChange

if TYPE_CHECKING:
    from sandbox.stripe_simulator.operation import Work
    from sandbox.stripe_simulator.state import Json, SubscriptionRecord

_UPDATE = frozenset({"cancel_at_period_end", "cancellation_details", "expand", "metadata"})
_UPDATE_NOT_SIMULATED = frozenset(
    "add_invoice_items application_fee_percent automatic_tax billing_cycle_anchor billing_schedules "  # noqa: SIM905 - a list of words
    "billing_thresholds cancel_at collection_method days_until_due default_payment_method default_source "
    "default_tax_rates description discounts invoice_settings items off_session on_behalf_of pause_collection "
    "payment_behavior payment_settings pending_invoice_item_interval proration_behavior proration_date transfer_data "
    "trial_end trial_from_plan trial_settings".split()
)
_STATUSES = frozenset(
    {"active", "canceled", "incomplete", "incomplete_expired", "past_due", "paused", "trialing", "unpaid"}
)
_FEEDBACK = frozenset(
    "customer_service low_quality missing_features other switched_service too_complex too_expensive unused".split()  # noqa: SIM905 - a list of words
)


def _update_subscription(call: Call) -> Work:
    for name in call.form:
        if name in _UPDATE_NOT_SIMULATED:
            raise errors.not_simulated(f"the parameter {name}", name)
    if call.form.get("metadata") == "":
        raise errors.not_simulated("clearing all metadata at once", "metadata")
    parameters = Parameters(call.form, _UPDATE)
    change = SubscriptionChange(
        cancel_at_period_end=parameters.boolean("cancel_at_period_end"),
        metadata=parameters.metadata("metadata") if "metadata" in parameters else None,
        cancellation_details=_cancellation_details(parameters),
    )
    paths = parameters.strings("expand")

    def work() -> Json:
        subscription = _subscription(call)
        call.simulator.subscriptions.update(subscription, change, call.cause)
        return expanded(subscription.object, paths, call.simulator)

    return work


def _cancel_subscription(call: Call) -> Work:
    parameters = Parameters(call.form, {"cancellation_details", "expand", "invoice_now", "prorate"})
    for name in ("invoice_now", "prorate"):
        if parameters.boolean(name):
            raise errors.not_simulated(f"cancelling with {name}", name)
    details, paths = _cancellation_details(parameters), parameters.strings("expand")

    def work() -> Json:
        subscription = _subscription(call)
        call.simulator.subscriptions.cancel(subscription, details, call.cause)
        return expanded(subscription.object, paths, call.simulator)

    return work


def _cancellation_details(parameters: Parameters) -> dict[str, str] | None:
    details = parameters.child("cancellation_details", {"comment", "feedback"})
    if details is None:
        return None
    given = {"comment": details.string("comment"), "feedback": details.choice("feedback", _FEEDBACK)}
    return {name: value for name, value in given.items() if value is not None}


def _subscription(call: Call) -> SubscriptionRecord:
    subscription = call.simulator.store.subscriptions.get(call.object_id)
    if subscription is None:
        raise errors.missing_resource("subscription", call.object_id)
    return subscription


def _list_subscriptions(call: Call) -> Work:
    """List subscriptions; those that are canceled only when asked for, or with status=all."""
    subscriptions = call.simulator.store.subscriptions
    parameters = Parameters(call.form, PAGING | {"customer", "status"})
    customer, status = parameters.string("customer"), parameters.choice("status", _STATUSES | {"all", "ended"})

    def matches(record: SubscriptionRecord) -> bool:
        if customer is not None and record.object["customer"] != customer:
            return False
        if status is None or status == "ended":
            return record.is_live == (status is None)
        return status in {"all", record.object["status"]}

    positions = created_range(parameters, subscriptions)
    return page_work(call, parameters, Selection("subscription", subscriptions, positions, matches))


def _list_invoices(call: Call) -> Work:
    invoices = call.simulator.store.invoices
    parameters = Parameters(call.form, PAGING | {"customer", "status", "subscription"})
    customer, subscription = parameters.string("customer"), parameters.string("subscription")
    status = parameters.choice("status", {"draft", "open", "paid", "uncollectible", "void"})

    def matches(invoice: Json) -> bool:
        present = invoice["parent"]["subscription_details"]["subscription"], invoice["customer"], invoice["status"]
        wanted = subscription, customer, status
        return all(want in {None, is_} for want, is_ in zip(wanted, present, strict=True))

    return page_work(call, parameters, Selection("invoice", invoices, created_range(parameters, invoices), matches))


def _list_invoice_payments(call: Call) -> Work:
    payments = call.simulator.store.invoice_payments
    parameters = Parameters(call.form, PAGING | {"invoice", "payment", "status"})
    invoice, status = parameters.string("invoice"), parameters.choice("status", {"canceled", "open", "paid"})
    intent = None
    paid_by = parameters.child("payment", {"payment_intent", "payment_record", "type"})
    if paid_by is not None:
        paid_by.required("type")
        if paid_by.choice("type", {"payment_intent", "payment_record"}) == "payment_record":
            raise errors.not_simulated("payment records", paid_by.name("type"))
        intent = paid_by.required("payment_intent")

    def matches(payment: Json) -> bool:
        present = payment["invoice"], payment["status"], payment["payment"]["payment_intent"]
        return all(want in {None, is_} for want, is_ in zip((invoice, status, intent), present, strict=True))

    positions = created_range(parameters, payments)
    return page_work(call, parameters, Selection("invoice_payment", payments, positions, matches))


BILLING_ROUTES: Routes = {
    ("GET", ("customers", "*")): Operation("customers.retrieve", retrieve("customer", "id", "customers")),
    ("GET", ("subscriptions",)): Operation("subscriptions.list", _list_subscriptions),
    ("GET", ("subscriptions", "*")): Operation(
        "subscriptions.retrieve", retrieve("subscription", "id", "subscriptions")
    ),
    ("POST", ("subscriptions", "*")): Operation("subscriptions.update", _update_subscription),
    ("DELETE", ("subscriptions", "*")): Operation("subscriptions.cancel", _cancel_subscription),
    ("GET", ("invoices",)): Operation("invoices.list", _list_invoices),
    ("GET", ("invoices", "*")): Operation("invoices.retrieve", retrieve("invoice", "id", "invoices")),
    ("GET", ("invoice_payments",)): Operation("invoice_payments.list", _list_invoice_payments),
    ("GET", ("invoice_payments", "*")): Operation(
        "invoice_payments.retrieve", retrieve("invoice_payment", "id", "invoice_payments")
    ),
}
