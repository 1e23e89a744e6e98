"""How a Subscription changes its status, and who is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.stripe_simulator.events import CUSTOMER, Cause

if TYPE_CHECKING:
    from sandbox.stripe_simulator.clock import Clock
    from sandbox.stripe_simulator.events import Events
    from sandbox.stripe_simulator.state import Store, SubscriptionRecord

_TOLD_AS = {"paused": "customer.subscription.paused"}


class SubscriptionStates:
    """Changes statuses; `canceled` is the last one and never changes again."""

    def __init__(self, clock: Clock, store: Store, events: Events) -> None:
        self._clock = clock
        self._store = store
        self._events = events

    def become(self, subscription: SubscriptionRecord, status: str) -> None:
        """Take a status that is not the end; nothing is told when it is the present one."""
        if subscription.object["status"] not in {status, "canceled"}:
            subscription.object["status"] = status
            self.tell_update(subscription)
            if status in _TOLD_AS:
                self._events.emit(_TOLD_AS[status], subscription.object)

    def tell_update(self, subscription: SubscriptionRecord, cause: Cause = CUSTOMER) -> None:
        """Say that the subscription has changed."""
        self._events.emit("customer.subscription.updated", subscription.object, cause)

    def end(self, subscription: SubscriptionRecord, reason: str, cause: Cause = CUSTOMER) -> None:
        """Cancel for good; doing it again changes nothing. What is owed stays, but is no longer collected."""
        if not subscription.is_live:
            return
        now = self._clock.seconds()
        subscription.object.update(
            status="canceled", canceled_at=subscription.object["canceled_at"] or now, ended_at=now
        )
        subscription.object["cancellation_details"]["reason"] = reason
        self._events.emit("customer.subscription.deleted", subscription.object, cause)
        for invoice in self._store.invoices:
            if invoice["parent"]["subscription_details"]["subscription"] == subscription.id:
                invoice.update(auto_advance=False, next_payment_attempt=None)
