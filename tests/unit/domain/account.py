"""One order's money at the PSP: what a customer, a shop and a bank do, the events that this makes, and the PSP's books.

It moves as the PSP's documentation says and knows nothing of facts: `books` is the truth that the fold is held against.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from payonce.domain.commands import RegisterPayment
from payonce.domain.events import PspEvent, PspSnapshot, TokenIssued
from payonce.domain.terms import Recurring, Terms, body_hash_of, order_id_of
from tests.unit.domain.account_objects import (
    START,
    charge_object,
    dispute_object,
    intent_object,
    invoice_object,
    refund_object,
    session_object,
    subscription_object,
)

Message = RegisterPayment | TokenIssued | PspEvent | PspSnapshot
#: The PSP's words for a deadline that a stage sets, in seconds.
_ANSWER_WITHIN = {"warning_needs_response": 1_700_000, "needs_response": 600_000, "appeal_needs_response": 600_000}


@dataclass(slots=True)
class Account:
    """The account of order number `n`; each method is a deed, `messages` tells them in the order of the story."""

    n: int
    recurring: bool = False
    amount: int = 5_000
    messages: list[Message] = field(default_factory=list)
    #: (payment, "charge" | "refund" | "dispute") -> what moved for good or may still come back, in minor units
    books: Counter[tuple[str, str]] = field(default_factory=Counter)
    refunds: dict[str, dict[str, Any]] = field(default_factory=dict)
    disputes: dict[str, dict[str, Any]] = field(default_factory=dict)
    invoices: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: refund or dispute -> the payment that it is about
    payments: dict[str, str] = field(default_factory=dict)
    #: payment -> its PaymentIntent
    intents: dict[str, str] = field(default_factory=dict)
    _now: int = START

    @property
    def terms(self) -> Terms:
        recurring = Recurring("month") if self.recurring else None
        kind = Terms(
            "shop", f"money-{self.n}", self.amount, "eur", "SALE", "APM", "stripe", "https://shop.example/back"
        )
        return replace(kind, payment_type="RECC", recurring=recurring) if self.recurring else kind

    @property
    def order_id(self) -> str:
        return order_id_of("shop", f"money-{self.n}")

    def metadata(self, attempt: int) -> dict[str, str]:
        return {"order_id": self.order_id, "attempt": str(attempt), "body_hash": body_hash_of(self.terms)}

    # ------------------------------------------------------------------------------------- registration

    def register(self, attempt: int = 1) -> None:
        """The client orders, the worker registers."""
        command = RegisterPayment(
            order_id=self.order_id,
            attempt=attempt,
            terms=self.terms,
            body_hash=body_hash_of(self.terms),
            issued_at=START,
            expires_at=START + 7_200,
            success_url="https://pay.example/return",
            cancel_url="https://pay.example/return?via=cancel",
            api_version="2026-10-28.endive",
        )
        self.messages += [
            command,
            TokenIssued(
                order_id=self.order_id,
                attempt=attempt,
                body_hash=command.body_hash,
                command_id=command.command_id,
                psp="stripe",
                session_id=self.session_id(attempt),
                hosted_page_url=f"https://psp.example/{self.session_id(attempt)}",
                client_secret=None,
                expires_at=command.expires_at,
                psp_request_id=None,
            ),
        ]

    def session_id(self, attempt: int) -> str:
        return f"cs_{self.n}_{attempt}"

    def expire(self, attempt: int) -> None:
        self._session("expired", attempt, status="expired", payment_status="unpaid")

    # ----------------------------------------------------------------------------------------- payments

    def pay(self, attempt: int = 1, amount: int | None = None) -> str:
        """The customer pays by card; return the payment."""
        intent = f"pi_{self.n}_{attempt}"
        self._session("completed", attempt, payment_intent=intent, amount_total=amount or self.amount)
        return self._succeed(intent, attempt, amount or self.amount)

    def debit(self, attempt: int = 1) -> None:
        """The customer gives a direct debit: the money is on its way."""
        intent = f"pi_{self.n}_{attempt}"
        self._session("completed", attempt, payment_intent=intent, payment_status="unpaid")
        self._tell(
            "payment_intent.processing", intent_object(intent, self.amount, self.metadata(attempt), "processing")
        )

    def debited(self, attempt: int = 1) -> str:
        """The money of a direct debit has come."""
        intent = f"pi_{self.n}_{attempt}"
        self._session("async_payment_succeeded", attempt, payment_intent=intent)
        return self._succeed(intent, attempt, self.amount)

    def debit_failed(self, attempt: int = 1) -> None:
        """It will not come."""
        intent = f"pi_{self.n}_{attempt}"
        self._session("async_payment_failed", attempt, payment_intent=intent, payment_status="unpaid")
        failed = intent_object(intent, 0, self.metadata(attempt), "requires_payment_method")
        self._tell("payment_intent.payment_failed", failed)

    def _succeed(self, intent: str, attempt: int, amount: int) -> str:
        self._tell("payment_intent.succeeded", intent_object(intent, amount, self.metadata(attempt)))
        self._tell("charge.succeeded", charge_object(intent))
        self.intents[intent] = intent
        self.books[intent, "charge"] += amount
        return intent

    # ------------------------------------------------------------------------------------ subscriptions

    def subscribe(self, attempt: int = 1, *, trial: bool = False) -> None:
        """The customer signs up; a trial costs nothing yet."""
        paid = 0 if trial else self.amount
        how = "no_payment_required" if trial else "paid"
        ids = {"subscription": self.subscription_id, "invoice": self._invoice_id(0), "mode": "subscription"}
        self._session("completed", attempt, payment_status=how, amount_total=paid, **ids)
        self._tell("customer.subscription.created", self._subscription(0))
        self._billed(0, paid, "subscription_create")
        self.invoice_paid(0)

    @property
    def subscription_id(self) -> str:
        return f"sub_{self.n}"

    def renew(self, period: int, *, failures: int = 0, paid: bool = True) -> None:
        """A period begins: the PSP tries to collect its invoice, perhaps in vain at first, perhaps for good."""
        self._tell("customer.subscription.updated", self._subscription(period))
        self._billed(period, self.amount, "subscription_cycle")
        for tried in range(1, failures + 1):
            again = self._now + 250_000 if tried < 3 else None
            self._invoice(period, status="open", attempt_count=tried, next_payment_attempt=again)
            self._tell("invoice.payment_failed", self.invoices[self._invoice_id(period)])
        if paid:
            self.invoice_paid(period)
        else:
            self._invoice(period, status="uncollectible", next_payment_attempt=None)
            self._tell("invoice.marked_uncollectible", self.invoices[self._invoice_id(period)])

    def invoice_paid(self, period: int) -> str:
        """The invoice is paid, if anything is due; return the payment."""
        name = self._invoice_id(period)
        invoice, intent = self.invoices[name], f"pi_{self.n}_in_{period}"
        amount = invoice["amount_due"]
        tried = invoice["attempt_count"] + 1
        self._invoice(period, status="paid", amount_paid=amount, attempt_count=tried, next_payment_attempt=None)
        self._tell("invoice.paid", self.invoices[name])
        if amount:
            # A subscription's PaymentIntent has no metadata and no invoice: only the invoice payment links the two.
            self._tell("payment_intent.succeeded", intent_object(intent, amount, {}))
            link = {"id": f"inpay_{self.n}_{period}", "object": "invoice_payment", "invoice": name}
            self._tell(
                "invoice_payment.paid", {**link, "payment": {"type": "payment_intent", "payment_intent": intent}}
            )
            self.intents[name] = intent
            self.books[name, "charge"] += amount
        return name

    def end(self, period: int, *, at_period_end: bool) -> None:
        """The subscription ends."""
        if at_period_end:
            self._tell("customer.subscription.updated", self._subscription(period, cancel_at_period_end=True))
        self._tell("customer.subscription.deleted", self._subscription(period, status="canceled"))

    # ------------------------------------------------------------------------------ refunds and disputes

    def left(self, payment: str) -> int:
        """What can still be sent back."""
        return self.books[payment, "charge"] - self.books[payment, "refund"]

    def refund(self, payment: str, amount: int) -> str:
        """The shop sends money back; return the refund."""
        name = f"re_{self.n}_{len(self.refunds) + 1}"
        self.refunds[name] = refund_object(name, self.intents[payment], amount)
        self.payments[name] = payment
        self._tell("refund.created", self.refunds[name])
        self.books[payment, "refund"] += amount
        return name

    def refund_becomes(self, name: str, status: str) -> None:
        """It has arrived, or failed, or was cancelled: then the money is the shop's again."""
        refund = self.refunds[name] = {**self.refunds[name], "status": status}
        self._tell("refund.failed" if status == "failed" else "refund.updated", refund)
        if status in {"failed", "canceled"}:
            self.books[self.payments[name], "refund"] -= refund["amount"]

    def dispute(self, payment: str, amount: int, *, inquiry: bool) -> str:
        """The customer's bank asks; a chargeback takes the money at once. Return the dispute."""
        name = f"du_{self.n}_{len(self.disputes) + 1}"
        status = "warning_needs_response" if inquiry else "needs_response"
        due_by = self._now + _ANSWER_WITHIN["warning_needs_response"]
        self.disputes[name] = dispute_object(name, self.intents[payment], amount, status, due_by)
        self.payments[name] = payment
        self._tell("charge.dispute.created", self.disputes[name])
        if not inquiry:
            self._withdraw(name)
        return name

    def dispute_becomes(self, name: str, status: str) -> None:
        """It goes on, with the money that goes with it."""
        dispute = self.disputes[name] = {**self.disputes[name], "status": status}
        if status in _ANSWER_WITHIN:
            dispute["evidence_details"] = {"due_by": self._now + _ANSWER_WITHIN[status]}
        is_closed = status in {"won", "lost", "warning_closed"}
        self._tell("charge.dispute.closed" if is_closed else "charge.dispute.updated", dispute)
        if status == "needs_response":
            self._withdraw(name)
        if status == "won":
            self.books[self.payments[name], "dispute"] -= dispute["amount"]
            self._move(name, "charge.dispute.funds_reinstated")

    def read_dispute(self, name: str) -> None:
        """The reconciler asks the PSP: a dispute that is lost again after an appeal is told apart by nothing else."""
        self._now += 100
        self.messages.append(
            PspSnapshot(
                self.order_id,
                f"cmd_refresh_{self._now}",
                refresh_offset=self._now,
                response_date=self._now,
                objects=(self.disputes[name],),
            )
        )

    def _withdraw(self, name: str) -> None:
        dispute = self.disputes[name]
        self.books[self.payments[name], "dispute"] += dispute["amount"]
        self._move(name, "charge.dispute.funds_withdrawn")

    def _move(self, name: str, told: str) -> None:
        dispute = self.disputes[name]
        transactions = [*dispute["balance_transactions"], {"id": f"txn_{name}_{self._now}"}]
        self.disputes[name] = {**dispute, "balance_transactions": transactions}
        self._tell(told, self.disputes[name])

    # ---------------------------------------------------------------------------------------- telling

    def _tell(self, kind: str, thing: dict[str, Any]) -> None:
        self._now += 7
        event_id = f"evt_{self.n}_{len(self.messages)}"
        self.messages.append(PspEvent(event_id, kind, self._now, False, "2026-10-28.endive", thing))

    def _session(self, told: str, attempt: int, **changes: Any) -> None:
        session = session_object(self.session_id(attempt), self.amount, self.metadata(attempt))
        self._tell(f"checkout.session.{told}", {**session, **changes})

    def _subscription(self, period: int, status: str = "active", **changes: Any) -> dict[str, Any]:
        return subscription_object(self.subscription_id, period, self.metadata(1), status, **changes)

    def _invoice_id(self, period: int) -> str:
        return f"in_{self.n}_{period}"

    def _billed(self, period: int, amount: int, reason: str) -> None:
        name = self._invoice_id(period)
        self.invoices[name] = invoice_object(
            name, self.subscription_id, period, amount=amount, reason=reason, metadata=self.metadata(1)
        )

    def _invoice(self, period: int, **changes: Any) -> None:
        name = self._invoice_id(period)
        self.invoices[name] = {**self.invoices[name], **changes}
