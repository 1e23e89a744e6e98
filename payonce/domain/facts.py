"""The vocabulary of an order's facts: which families there are and what makes one fact greater than another.

Every fact is written so that `merge` keeps the right one: a state is a list that begins with its rank, a set is a
mapping from element to 1, "the first wins" is a negated position. Families and their elements (attempts are decimal
texts):

    terms{attempt: {body_hash: {precedence, terms}}}      bodies commanded; the lowest log position has the precedence
    confirmed{attempt: {body_hash: 1}}                    bodies that the worker or its session names
    rejected{attempt: {body_hash: [reason, detail]}}      commands that had no effect
    registration_failed{attempt: [reason, detail, proof]} stuck{attempt: [reason, detail]}    cancelled{attempt: 1}
    sessions{cs: {attempt, state}}                        state of SESSION_RANK; only an open one has URL and secret
    async_failed{cs: 1}                                   delayed methods that failed
    payments{payment: {attempt, sums{"eur 1234": 1}, seen}}
                                                          every sum that a witness named; one that differs is a mismatch
    links{psp id: its parent}                             charge -> PaymentIntent -> invoice, session -> its payment
    refunds{re: {state, payment, charge, currency, seen{status}}}
                                                          state: [rank, status, amount]
    disputes{dp: {state, payment, charge, currency, reason, due, seen{status}}}
                                                          state: [balance transactions, rank, status, amount]
                                                          due: [balance transactions, rank, due_by]
    invoices{in: {state, told, period_end, period_start, service, subscription, currency, billing_reason}}
                                                          state: [rank, attempt_count, status], service: [end, start]
                                                          told: [rank, attempt_count, paid, due, next attempt]
    subscriptions{sub: {attempt, state, period}}          state: [0, "live"] < [1, "ended"], period: [end, is ending]
    snapshots{psp id: [refresh_offset, response_date, event_id, *cycling]}
                                                          a dispute's state and due_by, a subscription's status

`seen` is when the first witness spoke (unix seconds, negated: the earliest is the greatest): for people and for sums
over time, it decides nothing. An older program merges parts that it does not know, so a part is added beside the others
and never inside a list that is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SESSION_RANK: Final[Mapping[str, int]] = {"open": 0, "expired": 1, "complete": 2}

#: A refund that succeeded may still fail later, so failure is the last word.
REFUND_RANK: Final[Mapping[str, int]] = {"pending": 1, "requires_action": 1, "succeeded": 2, "failed": 3, "canceled": 3}
REFUND_FAILED: Final = 3
REFUND_FAILURES: Final = ("failed", "canceled")

#: Along this line a dispute moves forward, but for an appeal that is decided: only a snapshot tells that from the past.
DISPUTE_RANK: Final[Mapping[str, int]] = {
    "warning_needs_response": 1,
    "warning_under_review": 2,
    "warning_closed": 3,
    "prevented": 3,
    "needs_response": 4,
    "under_review": 5,
    "won": 6,
    "lost": 6,
    "appeal_needs_response": 7,
    "appeal_under_review": 8,
}
DISPUTE_DECIDED: Final = 6
#: The shop may send evidence now, until `due_by`.
NEEDS_RESPONSE_STATUSES: Final = frozenset({"warning_needs_response", "needs_response", "appeal_needs_response"})
INQUIRY_STATUSES: Final = frozenset({"warning_needs_response", "warning_under_review"})
CONTESTED_STATUSES: Final = frozenset(
    {"needs_response", "under_review", "appeal_needs_response", "appeal_under_review"}
)

INVOICE_RANK: Final[Mapping[str, int]] = {"draft": 0, "open": 1, "uncollectible": 2, "void": 3, "paid": 4}

#: From these a subscription never comes back.
ENDED_STATUSES: Final = frozenset({"canceled", "incomplete_expired"})

#: Metadata without an attempt counts as the first: every order has it, money that names an order must not be dropped,
#: and its amount is still held against the terms.
FIRST_ATTEMPT: Final = 1


def sum_key(currency: str, amount: int) -> str:
    """Name a sum of money as an element of a set."""
    return f"{currency} {amount}"


def sum_of(key: str) -> tuple[str, int]:
    """Return currency and amount of a sum's name."""
    currency, amount = key.split(" ")
    return currency, int(amount)


def session_state(
    status: str, url: str | None = None, client_secret: str | None = None, expires_at: int | None = None
) -> list[str | int | None]:
    """Return a session's state. A closed one says nothing more, and being greater it wipes out URL and secret."""
    rank = SESSION_RANK[status]
    return [rank, status, url, client_secret, expires_at] if status == "open" else [rank, status]
