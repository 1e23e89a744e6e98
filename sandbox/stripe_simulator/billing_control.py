"""The control API's calls for subscriptions and invoices: what customers do elsewhere, and dunning's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.stripe_simulator.payment_methods import Failure, Instrument, card
from sandbox.stripe_simulator.subscriptions import SubscriptionChange

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.stripe_simulator.control_endpoint import Handler
    from sandbox.stripe_simulator.simulator import Simulator
    from sandbox.stripe_simulator.state import Json, SubscriptionRecord

_INVOICE_SHOWN = (
    "id",
    "status",
    "billing_reason",
    "amount_due",
    "amount_paid",
    "currency",
    "attempt_count",
    "next_payment_attempt",
    "period_start",
    "period_end",
    "created",
)
_SUBSCRIPTION_SHOWN = (
    "id",
    "status",
    "cancel_at_period_end",
    "customer",
    "latest_invoice",
    "trial_end",
    "metadata",
    "created",
    "ended_at",
)


class BillingControl:
    """Calls below /_control/subscriptions, /_control/invoices and /_control/dunning."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def handlers(self) -> list[tuple[str, str, Handler]]:
        subscription, invoice = "/_control/subscriptions/{subscription_id}", "/_control/invoices/{invoice_id}"
        return [
            ("POST", "/_control/dunning", self._set_dunning),
            ("GET", "/_control/subscriptions", self._list_subscriptions),
            ("POST", f"{subscription}/card", self._keep_card),
            ("POST", f"{subscription}/cancel", self._cancel),
            ("GET", "/_control/invoices", self._list_invoices),
            ("POST", f"{invoice}/pay", self._pay),
            ("POST", f"{invoice}/void", lambda request, _body: self._give_up(request, "void")),
            (
                "POST",
                f"{invoice}/mark_uncollectible",
                lambda request, _body: self._give_up(request, "uncollectible"),
            ),
        ]

    def _set_dunning(self, _request: Request, body: Json) -> Json:
        options = self._simulator.dunning.options
        options.change(body)
        return {name: getattr(options, name) for name in options.__slots__}

    def _list_subscriptions(self, request: Request, _body: Json) -> object:
        self._simulator.run_once()
        rows = [_subscription_row(record) for record in self._simulator.store.subscriptions]
        return _filtered(rows, request)

    def _keep_card(self, request: Request, body: Json) -> Json:
        """Give the card that is charged from now on, as in the customer portal."""
        subscription = self._subscription(request)
        self._simulator.subscriptions.keep(subscription, _card(str(body.get("card"))))
        return _subscription_row(subscription)

    def _cancel(self, request: Request, body: Json) -> Json:
        """Cancel as in the dashboard: `at` is now or period_end."""
        subscription, at = self._subscription(request), str(body.get("at", "now"))
        if at == "period_end":
            self._simulator.subscriptions.update(subscription, SubscriptionChange(cancel_at_period_end=True))
        elif at == "now":
            self._simulator.subscriptions.cancel(subscription)
        else:
            raise ValueError("at is now or period_end")
        return _subscription_row(subscription)

    def _list_invoices(self, request: Request, _body: Json) -> object:
        self._simulator.run_once()
        return _filtered([self._invoice_row(invoice) for invoice in self._simulator.store.invoices], request)

    def _pay(self, request: Request, body: Json) -> Json:
        """Pay an open invoice as the customer does on its page, with another card or the one that is kept."""
        invoice = self._invoice(request)
        self._simulator.dunning.settle(invoice, _card(str(body["card"])) if body.get("card") else None)
        return self._invoice_row(invoice)

    def _give_up(self, request: Request, status: str) -> Json:
        invoice = self._invoice(request)
        self._simulator.dunning.give_up(invoice, status)
        return self._invoice_row(invoice)

    def _subscription(self, request: Request) -> SubscriptionRecord:
        self._simulator.run_once()
        subscription = self._simulator.store.subscriptions.get(request.path_params["subscription_id"])
        if subscription is None:
            raise KeyError("no such subscription")
        return subscription

    def _invoice(self, request: Request) -> Json:
        self._simulator.run_once()
        invoice = self._simulator.store.invoices.get(request.path_params["invoice_id"])
        if invoice is None:
            raise KeyError("no such invoice")
        return invoice

    def _invoice_row(self, invoice: Json) -> Json:
        """Show an invoice as a script needs it; `order_id` is the one it copied from its subscription."""
        store, details = self._simulator.store, invoice["parent"]["subscription_details"]
        payment = store.payment_of_invoice.get(invoice["id"])
        intent = store.invoice_payments[payment]["payment"]["payment_intent"] if payment else None
        return {
            **{name: invoice[name] for name in _INVOICE_SHOWN},
            "subscription": details["subscription"],
            "payment_intent": intent,
            "order_id": details["metadata"].get("order_id", ""),
        }


def _subscription_row(record: SubscriptionRecord) -> Json:
    shown = record.object
    return {
        **{name: shown[name] for name in _SUBSCRIPTION_SHOWN},
        "current_period_end": record.period_end,
        "card": record.instrument.last4 if record.instrument else None,
        "order_id": shown["metadata"].get("order_id", ""),
    }


def _filtered(rows: list[Json], request: Request) -> list[Json]:
    wanted = dict(request.query_params)
    return [row for row in rows if all(str(row.get(name)) == value for name, value in wanted.items())]


def _card(number: str) -> Instrument:
    found = card(number)
    if isinstance(found, Failure):
        raise ValueError(found.message)  # noqa: TRY004 - the value is wrong, not its type
    return found
