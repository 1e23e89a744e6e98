"""What a customer's confirmation does: PaymentIntent, Charge, session and the events of each step.

A PaymentIntent exists from the first confirmation on; a failed one leaves the session open and the next uses it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.stripe_simulator.completion import complete
from sandbox.stripe_simulator.instrument_objects import voucher_action
from sandbox.stripe_simulator.payment_methods import (
    AUTHENTICATION_FAILED,
    DEBIT_FAILED,
    VOUCHER_EXPIRED,
    Failure,
    Instrument,
    Kind,
)
from sandbox.stripe_simulator.payment_objects import (
    charge_object,
    charge_result,
    last_payment_error,
    payment_intent_object,
)
from sandbox.stripe_simulator.state import WrongStateError

if TYPE_CHECKING:
    from sandbox.stripe_simulator.clock import Clock
    from sandbox.stripe_simulator.config import Config
    from sandbox.stripe_simulator.disputes import Disputes
    from sandbox.stripe_simulator.events import Events
    from sandbox.stripe_simulator.ids import Ids
    from sandbox.stripe_simulator.state import Json, SessionRecord, Store


class Payments:
    """Moves payments on. Each step runs whole: nothing else happens in between, so nobody is charged twice."""

    def __init__(
        self, config: Config, clock: Clock, ids: Ids, store: Store, events: Events, *, disputes: Disputes
    ) -> None:
        self._config = config
        self._clock = clock
        self._ids = ids
        self._store = store
        self._events = events
        self._disputes = disputes

    def intent_of(self, record: SessionRecord) -> Json | None:
        intent_id = record.object["payment_intent"]
        return self._store.payment_intents[intent_id] if intent_id else None

    def awaits_customer(self, record: SessionRecord) -> bool:
        """Whether 3-D Secure or the bank's page is open."""
        intent = self.intent_of(record)
        return record.is_open and intent is not None and intent["status"] == "requires_action"

    def confirm(self, record: SessionRecord, instrument: Instrument) -> None:
        """Pay an open session: it completes, or waits for the customer's bank, or stays open."""
        if not record.request.collects_payment_method:
            complete(record, instrument, "no_payment_required", self._events)
            return
        intent = self._begin(record, instrument)
        record.pending = instrument
        if instrument.authenticate:
            url = f"{self._config.base_url}{record.authentication_path}"
            action = {
                "type": "redirect_to_url",
                "redirect_to_url": {"url": url, "return_url": record.object["url"] or record.object["return_url"]},
            }
            intent.update(status="requires_action", next_action=action)
            self._events.emit("payment_intent.requires_action", intent)
        else:
            self._proceed(record, intent, instrument)

    def authenticate(self, record: SessionRecord, *, passed: bool) -> None:
        """Take the customer's answer on the bank's page. Raises WrongStateError when none is awaited."""
        intent, instrument = self.intent_of(record), record.pending
        if not self.awaits_customer(record) or intent is None or instrument is None:
            raise WrongStateError("no authentication is awaited")
        intent["next_action"] = None
        if passed:
            self._proceed(record, intent, instrument)
        else:
            self._fail(record, intent, instrument, AUTHENTICATION_FAILED)

    def settle(self, record: SessionRecord, *, succeed: bool) -> None:
        """End a delayed debit, or a voucher that was handed out. Raises WrongStateError when there is none."""
        intent, instrument = self.intent_of(record), record.pending
        if intent is None or instrument is None or not self._is_settling(record, intent):
            raise WrongStateError("no delayed payment is processing")
        intent["next_action"] = None
        if succeed:
            charge = self._settled_charge(intent, instrument)
            self._succeed(record, intent, charge)
            record.object["payment_status"] = "paid"
            self._events.emit("checkout.session.async_payment_succeeded", record.object)
        else:
            usual = VOUCHER_EXPIRED if instrument.method.kind is Kind.VOUCHER else DEBIT_FAILED
            self._fail(record, intent, instrument, instrument.failure or usual)
            self._events.emit("checkout.session.async_payment_failed", record.object)

    def abandon(self, record: SessionRecord) -> None:
        """Cancel the PaymentIntent of a session that expired."""
        intent = self.intent_of(record)
        if intent is not None:
            intent.update(status="canceled", canceled_at=self._clock.seconds(), cancellation_reason="expired")
            intent["next_action"] = None
            self._events.emit("payment_intent.canceled", intent)

    def _begin(self, record: SessionRecord, instrument: Instrument) -> Json:
        """Return the session's PaymentIntent with this instrument; it is made at the first confirmation."""
        session = record.object
        if instrument.amount_override is not None:
            session.update(amount_total=instrument.amount_override, amount_subtotal=instrument.amount_override)
        intent = self.intent_of(record)
        if intent is None:
            intent_id = self._ids.payment_intent()
            secret, created = self._ids.secret_of(intent_id), self._clock.seconds()
            data, currency = record.request.payment_intent_data, record.request.currency
            intent = payment_intent_object(intent_id, secret, data, session["amount_total"], currency, created=created)
            intent.update(
                allowed_payment_method_types=record.request.allowed_types,
                excluded_payment_method_types=record.request.excluded_types,
                payment_method_types=list(record.request.offered_types),
            )
            self._store.payment_intents.add(intent)
            self._store.session_of_payment_intent[intent_id] = record.id
            session["payment_intent"] = intent_id
            self._events.emit("payment_intent.created", intent)
        intent.update(
            amount=session["amount_total"],
            payment_method=self._ids.object("pm"),
            last_payment_error=None,
            next_action=None,
        )
        return intent

    def _proceed(self, record: SessionRecord, intent: Json, instrument: Instrument) -> None:
        """Do what the bank says, after any authentication."""
        if instrument.method.kind is Kind.DELAYED:
            self._process(record, intent, instrument)
        elif instrument.method.kind is Kind.VOUCHER:
            self._hand_out_voucher(record, intent, instrument)
        elif instrument.failure is not None:
            self._fail(record, intent, instrument, instrument.failure)
        else:
            charge = self._charge(intent, instrument, "succeeded")
            self._succeed(record, intent, charge)
            complete(record, instrument, "paid", self._events)
            if instrument.claim is not None:
                self._disputes.open(charge, instrument.claim)

    def _process(self, record: SessionRecord, intent: Json, instrument: Instrument) -> None:
        charge = self._charge(intent, instrument, "pending")
        intent.update(status="processing", latest_charge=charge["id"])
        self._events.emit("charge.pending", charge)
        self._events.emit("payment_intent.processing", intent)
        wait = self._config.slow_debit_seconds if instrument.is_slow else self._config.delayed_debit_seconds
        self._clock.at(self._clock.now() + wait, lambda: self._settle_when_due(record, intent, instrument))
        complete(record, instrument, "unpaid", self._events)

    def _hand_out_voucher(self, record: SessionRecord, intent: Json, instrument: Instrument) -> None:
        """Complete the session although nothing is paid: the customer has a voucher, which can be paid or expires."""
        wait = self._config.delayed_debit_seconds
        expires_at = self._clock.now() + 2 * wait
        action = voucher_action(instrument.method.type, self._config.base_url, self._ids.digits(14), int(expires_at))
        intent.update(status="requires_action", next_action=action)
        self._events.emit("payment_intent.requires_action", intent)
        due = self._clock.now() + wait if instrument.failure is None else expires_at
        self._clock.at(due, lambda: self._settle_when_due(record, intent, instrument))
        complete(record, instrument, "unpaid", self._events)

    def _is_settling(self, record: SessionRecord, intent: Json) -> bool:
        """Whether money is still to come: a debit that is processing, or a voucher of a session that is over."""
        awaits_voucher = intent["status"] == "requires_action" and record.object["status"] == "complete"
        return awaits_voucher or bool(intent["status"] == "processing")

    def _settled_charge(self, intent: Json, instrument: Instrument) -> Json:
        """Return the charge that succeeds: a debit's pending one, or the one that a paid voucher makes."""
        if intent["status"] != "processing":
            return self._charge(intent, instrument, "succeeded")
        charge = self._store.charges[intent["latest_charge"]]
        charge.update(charge_result(charge, None, "succeeded"))
        return charge

    def _settle_when_due(self, record: SessionRecord, intent: Json, instrument: Instrument) -> None:
        if self._is_settling(record, intent):
            self.settle(record, succeed=instrument.failure is None)

    def _succeed(self, record: SessionRecord, intent: Json, charge: Json) -> None:
        record.pending = None
        intent.update(status="succeeded", amount_received=intent["amount"], latest_charge=charge["id"])
        self._events.emit("charge.succeeded", charge)
        self._events.emit("payment_intent.succeeded", intent)

    def _fail(self, record: SessionRecord, intent: Json, instrument: Instrument, failure: Failure) -> None:
        charge_id = self._failed_charge(intent, instrument, failure)
        created = self._clock.seconds()
        error = last_payment_error(failure, instrument, intent["payment_method"], charge_id, created)
        intent.update(status="requires_payment_method", payment_method=None, last_payment_error=error)
        record.pending = None
        record.error = failure.message
        self._events.emit("payment_intent.payment_failed", intent)

    def _failed_charge(self, intent: Json, instrument: Instrument, failure: Failure) -> str | None:
        """Record the charge that failed: a new one, or a delayed debit's pending one; None if none was tried."""
        if not failure.charged:
            return None
        if intent["status"] == "processing":
            charge = self._store.charges[intent["latest_charge"]]
            charge.update(charge_result(charge, failure, "failed"))
        else:
            charge = self._charge(intent, instrument, "failed")
        intent["latest_charge"] = charge["id"]
        self._events.emit("charge.failed", charge)
        return str(charge["id"])

    def _charge(self, intent: Json, instrument: Instrument, status: str) -> Json:
        charge = charge_object(self._ids.charge(), intent, instrument, status, self._clock.seconds())
        self._store.charges.add(charge)
        self._store.instrument_of_charge[charge["id"]] = instrument
        return charge
