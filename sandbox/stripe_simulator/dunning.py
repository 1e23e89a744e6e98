"""Collecting invoices without the customer: the first try, the retries by the clock, and what follows the last one."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from sandbox.stripe_simulator.config import AFTER_LAST_RETRY
from sandbox.stripe_simulator.state import WrongStateError

if TYPE_CHECKING:
    from sandbox.stripe_simulator.clock import Clock
    from sandbox.stripe_simulator.config import Config
    from sandbox.stripe_simulator.events import Events
    from sandbox.stripe_simulator.invoices import Invoices
    from sandbox.stripe_simulator.payment_methods import Instrument
    from sandbox.stripe_simulator.state import Json, Store, SubscriptionRecord
    from sandbox.stripe_simulator.subscription_states import SubscriptionStates


@dataclass(slots=True)
class DunningOptions:
    """Settings of the account, which can be changed while it runs; seconds of the simulator's clock."""

    retry_seconds: list[float] = field(default_factory=list)  # from each failed try to the next
    after_last: str = "canceled"  # what the subscription becomes: canceled, unpaid or past_due
    draft_seconds: float = 3600.0  # how long a renewal's invoice is a draft

    def change(self, changes: dict[str, Any]) -> None:  # Any: JSON
        """Set options from JSON. Raises ValueError, changing nothing, for an unknown name or a wrong value."""
        known = {option.name for option in fields(self)}
        fits = {
            "retry_seconds": lambda value: isinstance(value, list) and all(_is_duration(item) for item in value),
            "after_last": lambda value: value in AFTER_LAST_RETRY,
            "draft_seconds": _is_duration,
        }
        for name, value in changes.items():
            if name not in known or not fits[name](value):
                raise ValueError(f"option {name} cannot be {value!r}; known are {', '.join(sorted(known))}")
        for name, value in changes.items():
            setattr(self, name, value)


def _is_duration(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


class Dunning:
    """Collects what subscriptions owe, and gives their statuses what comes of it."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        store: Store,
        events: Events,
        *,
        invoices: Invoices,
        states: SubscriptionStates,
    ) -> None:
        self.options = DunningOptions(list(config.retry_seconds), config.after_last_retry, config.invoice_draft_seconds)
        self._clock = clock
        self._store = store
        self._events = events
        self._invoices = invoices
        self._states = states

    def collect(self, subscription: SubscriptionRecord, invoice: Json, retries: int = 0) -> None:
        """Try to collect an open invoice with the card that is kept; a failure plans the next of the retries."""
        if self._invoices.pay(invoice, subscription.instrument, off_session=True):
            self.recover(subscription)
            return
        waits = self.options.retry_seconds
        due = self._clock.now() + waits[retries] if retries < len(waits) else None
        invoice.update(next_payment_attempt=None if due is None else int(due), auto_advance=due is not None)
        self._tell_failure(subscription, invoice)
        if due is not None:
            self._states.become(subscription, "past_due")
            self._clock.at(due, lambda: self._collect_when_due(subscription, invoice, retries + 1))
        elif self.options.after_last == "canceled":
            self._states.end(subscription, "payment_failed")
        else:
            self._states.become(subscription, self.options.after_last)

    def settle(self, invoice: Json, instrument: Instrument | None) -> None:
        """Let the customer pay an invoice, on its page; another card than the kept one may be used.

        Raises WrongStateError when it is not open, or the card fails.
        """
        subscription = self._subscription_of(invoice)
        if not self._invoices.pay(invoice, instrument or subscription.instrument, off_session=False):
            self._events.emit("invoice.payment_failed", invoice)
            raise WrongStateError("the payment failed")
        self.recover(subscription)

    def give_up(self, invoice: Json, status: str) -> None:
        """Mark an open invoice uncollectible, or void it: it is no longer owed. Raises WrongStateError."""
        self._invoices.give_up(invoice, status)
        self.recover(self._subscription_of(invoice))

    def recover(self, subscription: SubscriptionRecord) -> None:
        """Make a subscription active again when its latest final invoice is no longer open."""
        final = [
            invoice
            for invoice in self._store.invoices
            if invoice["status"] != "draft" and self._subscription_of(invoice) is subscription
        ]
        if final[-1]["status"] != "open" and subscription.object["status"] in {"past_due", "unpaid"}:
            self._states.become(subscription, "active")

    def _subscription_of(self, invoice: Json) -> SubscriptionRecord:
        return self._store.subscriptions[invoice["parent"]["subscription_details"]["subscription"]]

    def _collect_when_due(self, subscription: SubscriptionRecord, invoice: Json, retries: int) -> None:
        if subscription.is_live and invoice["status"] == "open":
            self.collect(subscription, invoice, retries)

    def _tell_failure(self, subscription: SubscriptionRecord, invoice: Json) -> None:
        self._events.emit("invoice.payment_failed", invoice)
        instrument = subscription.instrument
        if instrument is not None and instrument.authenticate_always:
            self._events.emit("invoice.payment_action_required", invoice)
