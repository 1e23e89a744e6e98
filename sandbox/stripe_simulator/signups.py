"""A customer's steps in subscription mode. Nothing but a working instrument makes a customer or a subscription.

A failed try leaves no incomplete subscription behind, as at Stripe since basil.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.stripe_simulator.completion import complete
from sandbox.stripe_simulator.payment_methods import AUTHENTICATION_FAILED
from sandbox.stripe_simulator.state import WrongStateError

if TYPE_CHECKING:
    from sandbox.stripe_simulator.events import Events
    from sandbox.stripe_simulator.payment_methods import Instrument
    from sandbox.stripe_simulator.state import SessionRecord
    from sandbox.stripe_simulator.subscriptions import Subscriptions


class Signups:
    """Signs customers up for subscriptions."""

    def __init__(self, events: Events, subscriptions: Subscriptions) -> None:
        self._events = events
        self._subscriptions = subscriptions

    def awaits_customer(self, record: SessionRecord) -> bool:
        """Whether 3-D Secure is open."""
        return record.is_open and record.pending is not None

    def confirm(self, record: SessionRecord, instrument: Instrument) -> None:
        """Take the instrument; it is charged what is due now, or only kept when nothing is."""
        if instrument.amount_override is not None:
            raise ValueError("amount_override is for sessions in payment mode")
        if instrument.authenticate and record.request.collects_payment_method:
            record.pending = instrument
        else:
            self._proceed(record, instrument)

    def authenticate(self, record: SessionRecord, *, passed: bool) -> None:
        """Take the customer's answer. Raises WrongStateError when none is awaited."""
        instrument = record.pending
        if instrument is None or not record.is_open:
            raise WrongStateError("no authentication is awaited")
        record.pending = None
        if passed:
            self._proceed(record, instrument)
        else:
            record.error = AUTHENTICATION_FAILED.message

    def settle(self, record: SessionRecord, *, succeed: bool) -> None:  # noqa: ARG002 - the steps are the same in every mode
        """Refuse: subscriptions are paid by card here."""
        raise WrongStateError("no delayed payment is processing")

    def abandon(self, record: SessionRecord) -> None:
        record.pending = None

    def _proceed(self, record: SessionRecord, instrument: Instrument) -> None:
        request = record.request
        due = request.amount_total
        failure = instrument.failure
        if failure is not None and (due or not instrument.attaches):
            record.error = failure.message
            return
        kept = instrument if request.collects_payment_method else None
        subscription = self._subscriptions.begin(record, instrument, kept)
        record.object.update(
            customer=subscription.object["customer"],
            subscription=subscription.id,
            invoice=subscription.object["latest_invoice"],
        )
        complete(record, instrument, "paid" if due else "no_payment_required", self._events)
