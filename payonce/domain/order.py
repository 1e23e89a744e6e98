"""The heart: an order is a set of facts, a message adds facts to it, and everything shown follows from the facts alone.

    contribution(message)  -> the facts that one message brings
    merge(facts, facts)    -> commutative, associative, idempotent: order and repetition of messages do not matter
    view(facts)            -> status, flags, sums, terms, page

Nothing here refuses a transition: there are none. A status may rightly move back (a refund that fails, a dispute that
is won), and no time stamp of the PSP ever decides.
"""

from __future__ import annotations

from dataclasses import dataclass

from payonce.domain.attempts import Attempt, Session, attempts_of, sessions_of
from payonce.domain.contributions import Contribution, contribution
from payonce.domain.deadlines import Deadlines, deadlines_of
from payonce.domain.disputes import Dispute, disputes_of
from payonce.domain.facts import CONTESTED_STATUSES, INQUIRY_STATUSES
from payonce.domain.invoices import Invoice, invoices_of
from payonce.domain.merge import Facts, merge
from payonce.domain.movements import Movement, movements_of
from payonce.domain.payments import Payment, Refund, payments_of, refunds_of
from payonce.domain.psp_objects import ImpossibleEvent
from payonce.domain.subscriptions import Subscription, subscription_standing, subscriptions_of
from payonce.domain.terms import Terms

__all__ = [
    "Attempt",
    "Contribution",
    "Dispute",
    "Facts",
    "ImpossibleEvent",
    "Invoice",
    "Movement",
    "OrderView",
    "Payment",
    "Refund",
    "Subscription",
    "contribution",
    "merge",
    "view",
]


@dataclass(frozen=True, slots=True)
class OrderView:
    """Everything that an order's row and its public event show, derived from facts only. Amounts in minor units.

    `attempt` is the one that decides the status, and the terms, token and page are that attempt's. `terms` are None
    until a command is known; `body_hash` is the body that the page belongs to. Page and secret are there only while
    they can be used. `amount_paid` sums every payment in the terms' currency, also one that does not count;
    `amount_refunded` what was or is being sent back; `amount_disputed` what a dispute holds or took.
    `subscriptions` are the live ones, `known_subscriptions` all.
    """

    status: str
    flags: tuple[str, ...]
    terms: Terms | None
    body_hash: str | None
    attempt: int
    psp_token: str | None
    hosted_page_url: str | None
    client_secret: str | None
    page_expires_at: int | None
    amount_paid: int
    amount_refunded: int
    amount_disputed: int
    failure_reason: str | None
    failure_detail: str | None
    attempts: tuple[Attempt, ...]
    payments: tuple[Payment, ...]
    refunds: tuple[Refund, ...]
    disputes: tuple[Dispute, ...]
    subscriptions: tuple[str, ...]
    known_subscriptions: tuple[Subscription, ...]
    invoices: tuple[Invoice, ...]
    deadlines: Deadlines

    @property
    def movements(self) -> tuple[Movement, ...]:
        """Every movement of money, by the PSP's id and kind."""
        return movements_of(self.payments, self.refunds, self.disputes)


@dataclass(frozen=True, slots=True)
class _Case:
    """The facts, read: what the table of precedence asks about."""

    sessions: tuple[Session, ...]
    attempts: dict[int, Attempt]
    deciding: Attempt
    terms: Terms | None
    payments: tuple[Payment, ...]
    refunds: tuple[Refund, ...]
    disputes: tuple[Dispute, ...]
    subscriptions: tuple[Subscription, ...]
    invoices: tuple[Invoice, ...]
    subscription_standing: str

    @property
    def is_sale(self) -> bool:
        return self.terms is not None and self.terms.payment_type == "SALE"

    @property
    def is_recurring(self) -> bool:
        return self.terms is not None and self.terms.payment_type == "RECC"

    @property
    def live(self) -> tuple[str, ...]:
        return tuple(each.subscription for each in self.subscriptions if each.status == "live")

    @property
    def counts(self) -> bool:
        return any(payment.standing == "counts" for payment in self.payments)


def view(facts: Facts) -> OrderView:
    """Return what the facts amount to. Pure: whatever the order of the messages was, equal facts give an equal view."""
    case = _read(facts)
    status = _status(case)
    deciding, session = case.deciding, case.deciding.session
    page = session if status == "registered" else None
    currency = case.terms.currency if case.terms else case.payments[0].currency if case.payments else ""
    return OrderView(
        status=status,
        flags=_flags(case),
        terms=case.terms,
        body_hash=deciding.body_hash,
        attempt=deciding.number,
        psp_token=session.session_id if session else None,
        hosted_page_url=page.url if page else None,
        client_secret=page.client_secret if page else None,
        page_expires_at=page.expires_at if page else None,
        amount_paid=sum(each.amount for each in case.payments if each.currency == currency),
        amount_refunded=sum(each.amount_sent_back for each in case.refunds if each.currency == currency),
        amount_disputed=sum(each.amount_taken for each in case.disputes if each.currency == currency),
        failure_reason=deciding.failure_reason if status == deciding.status else None,
        failure_detail=deciding.failure_detail if status == deciding.status else None,
        attempts=tuple(case.attempts.values()),
        payments=case.payments,
        refunds=case.refunds,
        disputes=case.disputes,
        subscriptions=case.live,
        known_subscriptions=case.subscriptions,
        invoices=case.invoices,
        deadlines=deadlines_of(case.disputes, case.subscriptions, case.invoices),
    )


def _read(facts: Facts) -> _Case:
    sessions = sessions_of(facts)
    attempts = attempts_of(facts, sessions)
    refunds = refunds_of(facts)
    payments = payments_of(facts, {number: attempt.terms for number, attempt in attempts.items()}, refunds)
    subscriptions = subscriptions_of(facts)
    deciding = attempts.get(_deciding(attempts, payments, sessions)) or attempts[max(attempts)]
    return _Case(
        sessions=sessions,
        attempts=attempts,
        deciding=deciding,
        terms=deciding.terms or _nearest_terms(attempts, deciding.number),
        payments=payments,
        refunds=refunds,
        disputes=disputes_of(facts),
        subscriptions=subscriptions,
        invoices=invoices_of(facts, payments),
        subscription_standing=subscription_standing(facts, subscriptions),
    )


def _deciding(attempts: dict[int, Attempt], payments: tuple[Payment, ...], sessions: tuple[Session, ...]) -> int:
    """Return the attempt that was paid, else that has any payment, else whose money is on its way, else the last."""
    candidates = (
        [payment.attempt for payment in payments if payment.standing == "counts"],
        [payment.attempt for payment in payments],
        [session.attempt for session in sessions if session.awaits_money],
        list(attempts),
    )
    return max(next(numbers for numbers in candidates if numbers))


def _nearest_terms(attempts: dict[int, Attempt], number: int) -> Terms | None:
    """Return an earlier attempt's terms: they say whose order it is until the deciding attempt's command is known."""
    known = [(each.number <= number, each.number, each.terms) for each in attempts.values() if each.terms is not None]
    return max(known, key=lambda each: each[:2])[2] if known else None


def _status(case: _Case) -> str:
    """Return the first row that holds: this is the table of precedence."""
    refunded = any(payment.refunded for payment in case.payments)
    # A subscription whose first payment failed late has never begun: the attempt decides, and a new one may follow.
    begun = case.is_recurring and (case.counts or not any(session.async_failed for session in case.sessions))
    standing = case.subscription_standing if begun else "good"
    rows = (
        ("charged_back", any(dispute.status == "lost" for dispute in case.disputes)),
        ("disputed", any(dispute.status in CONTESTED_STATUSES for dispute in case.disputes)),
        ("refunded", case.is_sale and refunded and all(each.refunded >= each.amount for each in case.payments)),
        ("ended", standing == "ended"),
        ("partially_refunded", case.is_sale and case.counts and refunded),
        ("unpaid", standing == "unpaid"),
        ("past_due", standing == "past_due"),
        ("paid", case.is_sale and case.counts),
        ("active", case.is_recurring and case.counts),
        ("processing", bool(case.payments) or any(session.awaits_money for session in case.sessions)),
    )
    return next((status for status, holds in rows if holds), case.deciding.status)


def _flags(case: _Case) -> tuple[str, ...]:
    """Return what people should look at, sorted by name."""
    flags = {
        "amount_mismatch": any(payment.standing == "mismatch" for payment in case.payments),
        "duplicate_payment": len(case.live if case.is_recurring else case.payments) > 1,
        "inquiry": any(dispute.status in INQUIRY_STATUSES for dispute in case.disputes),
    }
    return tuple(name for name, raised in flags.items() if raised)
