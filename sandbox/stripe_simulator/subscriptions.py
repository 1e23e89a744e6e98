"""The life of a Subscription: begun by a session, renewed by the clock, changed and cancelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.stripe_simulator.currency import format_amount
from sandbox.stripe_simulator.errors import ApiError, missing_resource
from sandbox.stripe_simulator.events import CUSTOMER, Cause
from sandbox.stripe_simulator.invoice_object import Position
from sandbox.stripe_simulator.line_items import line_items_of
from sandbox.stripe_simulator.state import SubscriptionRecord, WrongStateError
from sandbox.stripe_simulator.subscription_object import (
    customer_object,
    subscription_item_object,
    subscription_object,
)

if TYPE_CHECKING:
    from sandbox.stripe_simulator.clock import Clock
    from sandbox.stripe_simulator.dunning import Dunning
    from sandbox.stripe_simulator.events import Events
    from sandbox.stripe_simulator.ids import Ids
    from sandbox.stripe_simulator.invoices import Invoices
    from sandbox.stripe_simulator.payment_methods import Instrument
    from sandbox.stripe_simulator.state import Json, SessionRecord, Store
    from sandbox.stripe_simulator.subscription_states import SubscriptionStates


@dataclass(frozen=True, slots=True)
class SubscriptionChange:
    """What an update sets; None leaves a value as it is."""

    cancel_at_period_end: bool | None = None
    metadata: dict[str, str] | None = None
    cancellation_details: dict[str, str] | None = None


class Subscriptions:
    """Begins, renews, changes and ends subscriptions. What they owe is collected by Dunning."""

    def __init__(
        self,
        clock: Clock,
        ids: Ids,
        store: Store,
        events: Events,
        *,
        invoices: Invoices,
        dunning: Dunning,
        states: SubscriptionStates,
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._store = store
        self._events = events
        self._invoices = invoices
        self._dunning = dunning
        self._states = states

    def begin(self, session: SessionRecord, payer: Instrument, kept: Instrument | None) -> SubscriptionRecord:
        """Make the customer, the subscription and its first invoice, paid by an instrument that is known to work."""
        created = self._clock.seconds()
        recurring = session.request.recurring
        assert recurring is not None
        method = self._ids.object("pm") if kept else None
        customer = self._customer(session, payer, created)
        subscription_id = self._ids.object("sub")
        line_items = line_items_of(session, self._ids)
        items = [
            subscription_item_object(self._ids.object("si"), subscription_id, item, created)
            for item in line_items
            if item["price"]["recurring"]
        ]
        data = session.request.subscription_data
        shown = subscription_object(subscription_id, customer["id"], data, items, method, created=created)
        subscription = SubscriptionRecord(shown, recurring, kept)
        self._store.subscriptions.add(subscription)
        self._set_period(subscription, created)
        once = [item for item in line_items if not item["price"]["recurring"]]
        positions = [self._once(item, created) for item in once] + self._positions(subscription)
        self._events.emit("customer.subscription.created", shown)
        invoice = self._invoices.draft(subscription, positions, "subscription_create")
        self._invoices.finalize(invoice)
        if invoice["status"] == "open":
            paid = self._invoices.pay(invoice, payer, off_session=False)
            assert paid
        return subscription

    def update(self, subscription: SubscriptionRecord, change: SubscriptionChange, cause: Cause = CUSTOMER) -> None:
        """Change a subscription. Raises ApiError (400) when it is canceled and more than remarks would change."""
        shown = subscription.object
        if not subscription.is_live and change.cancel_at_period_end is not None:
            message = "A canceled subscription can only update its cancellation_details and metadata."
            raise ApiError(400, message, executed=True)
        if change.metadata is not None:
            merged = {**shown["metadata"], **change.metadata}
            shown["metadata"] = {name: value for name, value in merged.items() if value}
        if change.cancellation_details:
            shown["cancellation_details"].update(change.cancellation_details)
        if change.cancel_at_period_end is not None:
            self._cancel_at_period_end(subscription, asked=change.cancel_at_period_end)
        self._states.tell_update(subscription, cause)

    def cancel(
        self, subscription: SubscriptionRecord, details: dict[str, str] | None = None, cause: Cause = CUSTOMER
    ) -> None:
        """End a subscription now. Raises ApiError (404) when it is over: for Stripe it is then gone."""
        if not subscription.is_live:
            raise missing_resource("subscription", subscription.id)
        subscription.object["cancellation_details"].update(details or {})
        self._states.end(subscription, "cancellation_requested", cause)

    def keep(self, subscription: SubscriptionRecord, instrument: Instrument) -> None:
        """Charge another card from now on. Raises WrongStateError when the subscription is over."""
        if not subscription.is_live:
            raise WrongStateError("the subscription is canceled")
        subscription.instrument = instrument
        subscription.object["default_payment_method"] = self._ids.object("pm")
        self._states.tell_update(subscription)

    def _customer(self, session: SessionRecord, payer: Instrument, created: int) -> Json:
        email = payer.email or session.object["customer_email"]
        customer = customer_object(self._ids.object("cus"), email, payer.name, self._ids.digits(8), created)
        self._store.customers.add(customer)
        self._events.emit("customer.created", customer)
        return customer

    def _cancel_at_period_end(self, subscription: SubscriptionRecord, *, asked: bool) -> None:
        shown = subscription.object
        shown.update(
            cancel_at_period_end=asked,
            cancel_at=subscription.period_end if asked else None,
            canceled_at=self._clock.seconds() if asked else None,
        )
        shown["cancellation_details"]["reason"] = "cancellation_requested" if asked else None

    def _set_period(self, subscription: SubscriptionRecord, start: int) -> None:
        """Begin the period that starts now; the clock ends it."""
        shown = subscription.object
        anchor, trial_end = shown["billing_cycle_anchor"], shown["trial_end"]
        if trial_end is not None and start < trial_end:
            end = trial_end
        else:
            end = subscription.recurring.after(anchor, subscription.cycle + 1)
            subscription.cycle += 1
        for item in shown["items"]["data"]:
            item.update(current_period_start=start, current_period_end=end)
        self._clock.at(end, lambda: self._turn_when_due(subscription, end))

    def _turn_when_due(self, subscription: SubscriptionRecord, end: int) -> None:
        """End a period: the subscription is over, paused, or renewed."""
        shown = subscription.object
        if not subscription.is_live or subscription.period_end != end or shown["status"] == "paused":
            return
        missing = shown["trial_settings"]["end_behavior"]["missing_payment_method"]
        if shown["cancel_at_period_end"]:
            self._states.end(subscription, "cancellation_requested")
        elif shown["status"] == "trialing" and subscription.instrument is None and missing != "create_invoice":
            if missing == "cancel":
                self._states.end(subscription, "payment_failed")
            else:
                self._states.become(subscription, "paused")
        else:
            self._renew(subscription, end)

    def _renew(self, subscription: SubscriptionRecord, start: int) -> None:
        shown = subscription.object
        self._set_period(subscription, start)
        invoice = self._invoices.draft(subscription, self._positions(subscription), "subscription_cycle")
        if shown["status"] == "trialing":
            shown["status"] = "active"
        self._states.tell_update(subscription)
        if shown["status"] == "unpaid":
            invoice["auto_advance"] = False
            return
        due = self._clock.now() + self._dunning.options.draft_seconds
        invoice["automatically_finalizes_at"] = int(due)
        self._clock.at(due, lambda: self._bill_when_due(subscription, invoice))

    def _bill_when_due(self, subscription: SubscriptionRecord, invoice: Json) -> None:
        if subscription.is_live and invoice["status"] == "draft":
            self._invoices.finalize(invoice)
            if invoice["status"] == "open":
                self._dunning.collect(subscription, invoice)

    def _positions(self, subscription: SubscriptionRecord) -> list[Position]:
        """Bill the present period of every item; a trial costs nothing."""
        trial = subscription.object["status"] == "trialing" and subscription.cycle == 0
        return [self._position(item, str(subscription.recurring), trial=trial) for item in subscription.items]

    def _position(self, item: Json, every: str, *, trial: bool) -> Position:
        price, quantity = item["price"], item["quantity"]
        rate = f"{format_amount(price['unit_amount'], price['currency'])} / {every}"
        return Position(
            line_item=self._ids.object("il"),
            description=f"Trial period ({rate})" if trial else f"{quantity} x subscription (at {rate})",
            price=price,
            quantity=quantity,
            amount=0 if trial else price["unit_amount"] * quantity,
            start=item["current_period_start"],
            end=item["current_period_end"],
            item=item["id"],
        )

    def _once(self, line_item: Json, now: int) -> Position:
        """Bill what is bought together with the subscription."""
        return Position(
            line_item=self._ids.object("il"),
            description=line_item["description"],
            price=line_item["price"],
            quantity=line_item["quantity"],
            amount=line_item["amount_total"],
            start=now,
            end=now,
            item=None,
        )
