"""A customer's steps on the page of a session, whatever the session is for.

A payment (payments.py) or a subscription (signups.py): each has the same steps, and they run whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sandbox.stripe_simulator.state import WrongStateError

if TYPE_CHECKING:
    from sandbox.stripe_simulator.payment_methods import Instrument
    from sandbox.stripe_simulator.state import SessionRecord


class Flow(Protocol):
    """The steps of one mode."""

    def awaits_customer(self, record: SessionRecord) -> bool:
        """Whether 3-D Secure or the bank's page is open."""

    def confirm(self, record: SessionRecord, instrument: Instrument) -> None:
        """Take the instrument: the session completes, waits for the customer's bank, or stays open."""

    def authenticate(self, record: SessionRecord, *, passed: bool) -> None:
        """Take the customer's answer on the bank's page. Raises WrongStateError when none is awaited."""

    def settle(self, record: SessionRecord, *, succeed: bool) -> None:
        """End a delayed debit. Raises WrongStateError unless it is processing."""

    def abandon(self, record: SessionRecord) -> None:
        """Let go of what an expired session had begun."""


class Checkout:
    """Hands each step to the session's mode."""

    def __init__(self, payments: Flow, signups: Flow) -> None:
        self._flows = {"payment": payments, "subscription": signups}

    def awaits_customer(self, record: SessionRecord) -> bool:
        """Whether 3-D Secure or the bank's page is open."""
        return self._flow(record).awaits_customer(record)

    def confirm(self, record: SessionRecord, instrument: Instrument) -> None:
        """Pay or subscribe: the session completes, or waits for the customer's bank, or stays open.

        A failure is no error: it stands in `record.error`. Raises WrongStateError when the session is not open.
        """
        if not record.is_open:
            raise WrongStateError(f"the session is {record.object['status']}")
        record.confirmations += 1
        record.error = None
        record.last_method = instrument.method.type
        self._flow(record).confirm(record, instrument)

    def authenticate(self, record: SessionRecord, *, passed: bool) -> None:
        """Take the customer's answer on the bank's page. Raises WrongStateError when none is awaited."""
        self._flow(record).authenticate(record, passed=passed)

    def settle(self, record: SessionRecord, *, succeed: bool) -> None:
        """End a delayed debit. Raises WrongStateError unless it is processing."""
        self._flow(record).settle(record, succeed=succeed)

    def abandon(self, record: SessionRecord) -> None:
        """Let go of what an expired session had begun."""
        self._flow(record).abandon(record)

    def _flow(self, record: SessionRecord) -> Flow:
        return self._flows[record.request.mode]
