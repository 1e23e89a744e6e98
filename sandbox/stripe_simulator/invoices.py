"""The life of an Invoice: draft, open, paid, or given up; with the PaymentIntent that pays it.

Its PaymentIntents and charges carry no metadata and no invoice id, as at Stripe: an InvoicePayment joins them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sandbox.stripe_simulator.invoice_object import invoice_object, invoice_payment_object
from sandbox.stripe_simulator.payment_methods import Failure, Instrument
from sandbox.stripe_simulator.payment_objects import charge_object, last_payment_error, payment_intent_object
from sandbox.stripe_simulator.session_parameters import PaymentIntentData
from sandbox.stripe_simulator.state import WrongStateError

if TYPE_CHECKING:
    from sandbox.stripe_simulator.clock import Clock
    from sandbox.stripe_simulator.config import Config
    from sandbox.stripe_simulator.disputes import Disputes
    from sandbox.stripe_simulator.events import Events
    from sandbox.stripe_simulator.ids import Ids
    from sandbox.stripe_simulator.invoice_object import Position
    from sandbox.stripe_simulator.state import Json, Store, SubscriptionRecord

AUTHENTICATION_REQUIRED = Failure(
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
    "authentication_required",
)


class Invoices:
    """Makes a subscription's invoices and takes their money."""

    def __init__(
        self, config: Config, clock: Clock, ids: Ids, store: Store, events: Events, *, disputes: Disputes
    ) -> None:
        self._config = config
        self._clock = clock
        self._ids = ids
        self._store = store
        self._events = events
        self._disputes = disputes

    def draft(self, subscription: SubscriptionRecord, positions: list[Position], reason: str) -> Json:
        """Make an invoice that can still change; it becomes the subscription's latest."""
        customer = self._store.customers[subscription.object["customer"]]
        invoice = invoice_object(
            self._ids.object("in"),
            subscription.object,
            customer,
            positions,
            reason,
            created=self._clock.seconds(),
        )
        invoice.update(
            account_name=self._config.merchant_name,
            default_payment_method=subscription.object["default_payment_method"],
        )
        latest = self._store.invoices.get(subscription.object["latest_invoice"] or "")
        if latest is not None:
            invoice["period_start"] = latest["period_end"]
        subscription.object["latest_invoice"] = invoice["id"]
        self._store.invoices.add(invoice)
        self._events.emit("invoice.created", invoice)
        return invoice

    def finalize(self, invoice: Json) -> None:
        """Make a draft final: from now on it can be paid. One of nothing is paid at once."""
        if invoice["status"] != "draft":
            raise WrongStateError(f"the invoice is {invoice['status']}")
        customer, now = self._store.customers[invoice["customer"]], self._clock.seconds()
        number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04}"
        customer["next_invoice_sequence"] += 1
        base = f"{self._config.base_url}/i/{invoice['id']}"
        invoice.update(
            status="open", number=number, effective_at=now, hosted_invoice_url=base, invoice_pdf=f"{base}/pdf"
        )
        invoice["status_transitions"]["finalized_at"] = now
        if invoice["amount_due"]:
            self._prepare_payment(invoice)
        self._events.emit("invoice.finalized", invoice)
        if not invoice["amount_due"]:
            self._paid(invoice)

    def pay(self, invoice: Json, instrument: Instrument | None, *, off_session: bool) -> bool:
        """Try once to collect an open invoice, and say whether it is paid; None has no card to charge.

        `off_session` is without the customer: a card that always wants authentication then fails.
        """
        if invoice["status"] not in {"open", "uncollectible"}:
            raise WrongStateError(f"the invoice is {invoice['status']}")
        payment, intent = self._payment_of(invoice)
        invoice.update(attempted=True, attempt_count=invoice["attempt_count"] + 1)
        if instrument is None:
            return False
        intent["payment_method"] = self._ids.object("pm")
        must_authenticate = off_session and instrument.authenticate_always
        failure = AUTHENTICATION_REQUIRED if must_authenticate else instrument.failure
        if failure is not None:
            self._fail(intent, instrument, failure)
            return False
        charge = self._charge(intent, instrument, "succeeded")
        intent.update(status="succeeded", amount_received=intent["amount"], last_payment_error=None)
        self._events.emit("charge.succeeded", charge)
        self._events.emit("payment_intent.succeeded", intent)
        payment.update(status="paid", amount_paid=invoice["amount_due"])
        payment["status_transitions"]["paid_at"] = self._clock.seconds()
        self._paid(invoice)
        self._events.emit("invoice_payment.paid", payment)
        if instrument.claim is not None:
            self._disputes.open(charge, instrument.claim)
        return True

    def give_up(self, invoice: Json, status: str) -> None:
        """Mark an open invoice uncollectible, or void it; its PaymentIntent is cancelled only when void."""
        if invoice["status"] not in {"open", "uncollectible"} or invoice["status"] == status:
            raise WrongStateError(f"the invoice is {invoice['status']}")
        now = self._clock.seconds()
        invoice.update(status=status, next_payment_attempt=None, auto_advance=False)
        if status == "void":
            payment, intent = self._payment_of(invoice)
            payment.update(status="canceled")
            payment["status_transitions"]["canceled_at"] = now
            intent.update(status="canceled", canceled_at=now, cancellation_reason="void_invoice")
            self._events.emit("payment_intent.canceled", intent)
            invoice["status_transitions"]["voided_at"] = now
            self._events.emit("invoice.voided", invoice)
        else:
            invoice["status_transitions"]["marked_uncollectible_at"] = now
            invoice["status_details"] = {"uncollectible": {"reason": "user_forgiven"}}
            self._events.emit("invoice.marked_uncollectible", invoice)

    def payments_of(self, invoice: Json) -> Json:
        """Return the invoice's payments as a list object: shown only where it is asked for."""
        payment = self._store.payment_of_invoice.get(invoice["id"])
        data = [self._store.invoice_payments[payment]] if payment else []
        return {"object": "list", "data": data, "has_more": False, "url": "/v1/invoice_payments"}

    def _prepare_payment(self, invoice: Json) -> None:
        intent_id, created = self._ids.payment_intent(), self._clock.seconds()
        amount, currency = invoice["amount_due"], invoice["currency"]
        secret = self._ids.secret_of(intent_id)
        intent = payment_intent_object(intent_id, secret, PaymentIntentData({}), amount, currency, created=created)
        first = invoice["billing_reason"] == "subscription_create"
        description = "Subscription creation" if first else "Subscription update"
        intent.update(customer=invoice["customer"], description=description, setup_future_usage="off_session")
        self._store.payment_intents.add(intent)
        payment = invoice_payment_object(self._ids.object("inpay"), invoice, intent_id, created)
        self._store.invoice_payments.add(payment)
        self._store.payment_of_invoice[invoice["id"]] = payment["id"]
        self._events.emit("payment_intent.created", intent)

    def _payment_of(self, invoice: Json) -> tuple[Json, Json]:
        payment = self._store.invoice_payments[self._store.payment_of_invoice[invoice["id"]]]
        return payment, self._store.payment_intents[payment["payment"]["payment_intent"]]

    def _paid(self, invoice: Json) -> None:
        paid = {"amount_paid": invoice["amount_due"], "amount_remaining": 0}
        invoice.update(status="paid", attempted=True, auto_advance=False, next_payment_attempt=None, **paid)
        invoice["status_transitions"]["paid_at"] = self._clock.seconds()
        self._events.emit("invoice.paid", invoice)
        self._events.emit("invoice.payment_succeeded", invoice)

    def _fail(self, intent: Json, instrument: Instrument, failure: Failure) -> None:
        charge = self._charge(intent, instrument, "failed", failure)
        error = last_payment_error(failure, instrument, intent["payment_method"], charge["id"], self._clock.seconds())
        intent.update(status="requires_payment_method", payment_method=None, last_payment_error=error)
        self._events.emit("charge.failed", charge)
        self._events.emit("payment_intent.payment_failed", intent)

    def _charge(self, intent: Json, instrument: Instrument, status: str, failure: Failure | None = None) -> Json:
        paid_with = replace(instrument, failure=failure)
        charge = charge_object(self._ids.charge(), intent, paid_with, status, self._clock.seconds())
        self._store.charges.add(charge)
        self._store.instrument_of_charge[charge["id"]] = instrument
        intent["latest_charge"] = charge["id"]
        return charge
