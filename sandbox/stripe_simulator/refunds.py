"""The life of a Refund: pending or succeeded at once, then by the clock; and one that succeeded may still fail.

A charge's `amount_refunded` counts pending refunds too, and goes down again when one fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.stripe_simulator.currency import fault_of_amount, format_amount
from sandbox.stripe_simulator.errors import ApiError, invalid_parameter, no_such_reference
from sandbox.stripe_simulator.events import Cause
from sandbox.stripe_simulator.payment_methods import RefundOutcome
from sandbox.stripe_simulator.refund_object import card_reference, refund_object
from sandbox.stripe_simulator.state import WrongStateError

if TYPE_CHECKING:
    from sandbox.stripe_simulator.balance import Balance
    from sandbox.stripe_simulator.clock import Clock
    from sandbox.stripe_simulator.config import Config
    from sandbox.stripe_simulator.events import Events
    from sandbox.stripe_simulator.ids import Ids
    from sandbox.stripe_simulator.state import Json, Store

FAILURE_REASONS = frozenset(
    {"declined", "expired_or_canceled_card", "insufficient_funds", "lost_or_stolen_card", "merchant_request", "unknown"}
)


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """A checked request; without an amount everything that is left is refunded."""

    payment_intent: str | None
    charge: str | None
    amount: int | None
    reason: str | None
    metadata: dict[str, str]


class Refunds:
    """Makes refunds and moves them on."""

    def __init__(
        self, config: Config, clock: Clock, ids: Ids, store: Store, events: Events, *, balance: Balance
    ) -> None:
        self._config = config
        self._clock = clock
        self._ids = ids
        self._store = store
        self._events = events
        self._balance = balance

    def create(self, request: RefundRequest, cause: Cause) -> Json:
        """Refund a charge. Raises ApiError (400) when it cannot be refunded, or not by so much."""
        charge = self._charge(request)
        amount = _amount(request, charge)
        created = self._clock.seconds()
        refund = refund_object(self._ids.refund(), charge, amount, request.reason, request.metadata, created=created)
        outcome = self._store.instrument_of_charge[charge["id"]].refund
        if outcome is not RefundOutcome.SUCCEEDS_LATER:
            refund.update(status="succeeded", pending_reason=None)
        refund["balance_transaction"] = self._balance.move(refund, "refund", "refund", -amount)["id"]
        self._store.refunds.add(refund)
        _count(charge, amount)
        self._events.emit("refund.created", refund, cause)
        self._events.emit("charge.refunded", charge, cause)
        self._clock.at(self._clock.now() + self._config.refund_seconds, lambda: self._end_when_due(refund, outcome))
        return refund

    def succeed(self, refund: Json) -> None:
        """End a pending refund well. Raises WrongStateError for any other."""
        if refund["status"] != "pending":
            raise WrongStateError(f"the refund is {refund['status']}")
        refund.update(status="succeeded", pending_reason=None)
        self._events.emit("refund.updated", refund)

    def fail(self, refund: Json, reason: str = "unknown") -> None:
        """Let the bank send the money back, which also happens to succeeded refunds. Raises WrongStateError."""
        if refund["status"] not in {"pending", "succeeded"}:
            raise WrongStateError(f"the refund is {refund['status']}")
        returned = self._balance.move(refund, "refund_failure", "refund_failure", refund["amount"])
        refund.update(
            status="failed", pending_reason=None, failure_reason=reason, failure_balance_transaction=returned["id"]
        )
        _count(self._store.charges[refund["charge"]], -refund["amount"])
        self._events.emit("refund.updated", refund)
        self._events.emit("refund.failed", refund)

    def fail_later(self, refund: Json, reason: str, seconds: float) -> None:
        """Let the refund fail so many seconds of the simulator's clock from now, unless it has failed by then."""
        self._clock.at(self._clock.now() + seconds, lambda: self._fail_when_due(refund, reason))

    def _charge(self, request: RefundRequest) -> Json:
        charge_id = request.charge
        if request.payment_intent is not None:
            intent = self._store.payment_intents.get(request.payment_intent)
            if intent is None:
                raise no_such_reference("payment_intent", request.payment_intent)
            charge_id = charge_id or intent["latest_charge"] or ""
        charge = self._store.charges.get(charge_id or "")
        if charge is None and request.charge is not None:
            raise no_such_reference("charge", request.charge)
        charge = _succeeded(charge, request)
        disputed = any(
            not dispute["is_charge_refundable"] for dispute in self._store.disputes if dispute["charge"] == charge["id"]
        )
        _refuse_unrefundable(charge, disputed=disputed)
        return charge

    def _end_when_due(self, refund: Json, outcome: RefundOutcome) -> None:
        if outcome is RefundOutcome.FAILS_LATER:
            self._fail_when_due(refund, "expired_or_canceled_card")
        elif refund["status"] == "pending":
            self.succeed(refund)
        elif refund["status"] == "succeeded" and "card" in refund["destination_details"]:
            refund["destination_details"] = card_reference(refund, self._ids.digits(23))
            self._events.emit("refund.updated", refund)

    def _fail_when_due(self, refund: Json, reason: str) -> None:
        if refund["status"] != "failed":
            self.fail(refund, reason)


def _succeeded(charge: Json | None, request: RefundRequest) -> Json:
    """Return the charge, or say in Stripe's words that this payment has none that took money."""
    if charge is None or charge["status"] != "succeeded":
        intent = request.payment_intent or (charge["payment_intent"] if charge else "")
        message = f"This PaymentIntent ({intent}) does not have a successful charge to refund."
        raise ApiError(400, message, executed=True)
    if request.payment_intent is not None and charge["payment_intent"] != request.payment_intent:
        message = f"Charge {charge['id']} does not belong to PaymentIntent {request.payment_intent}."
        raise ApiError(400, message, param="charge", executed=True)
    return charge


def _refuse_unrefundable(charge: Json, *, disputed: bool) -> None:
    if disputed:
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise ApiError(400, message, code="charge_disputed", executed=True)
    if charge["amount_refunded"] >= charge["amount"]:
        message = f"Charge {charge['id']} has already been refunded."
        raise ApiError(400, message, code="charge_already_refunded", executed=True)


def _amount(request: RefundRequest, charge: Json) -> int:
    left, currency = charge["amount"] - charge["amount_refunded"], charge["currency"]
    amount = left if request.amount is None else request.amount
    fault = fault_of_amount(amount, currency)
    if fault:
        raise invalid_parameter("amount", fault)
    if amount > left:
        message = (
            f"Refund amount ({format_amount(amount, currency)}) is greater than unrefunded amount on charge "
            f"({format_amount(left, currency)})"
        )
        raise ApiError(400, message, param="amount", executed=True)
    return amount


def _count(charge: Json, amount: int) -> None:
    """Count a refund on its charge, or take one back with a negative amount."""
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
