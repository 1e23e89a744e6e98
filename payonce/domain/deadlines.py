"""What is going to happen to an order by itself, and when: times that a shop should know before they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from payonce.domain.disputes import Dispute
from payonce.domain.invoices import Invoice
from payonce.domain.subscriptions import Subscription


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Times in unix seconds; None: there is no such time.

    `evidence_due_by`: the next deadline of a dispute that waits for the shop. `current_period_end`: until when the live
    subscription is paid for, and whether it will end then (None: there is none). `next_payment_attempt`: when the PSP
    tries again to collect its latest invoice.
    """

    evidence_due_by: int | None = None
    current_period_end: int | None = None
    cancel_at_period_end: bool | None = None
    next_payment_attempt: int | None = None


_NONE = Deadlines()


def deadlines_of(
    disputes: Sequence[Dispute], subscriptions: Sequence[Subscription], invoices: Sequence[Invoice]
) -> Deadlines:
    """Return the deadlines; of several live subscriptions (a flag tells of them) those of the longest paid for."""
    if not disputes and not subscriptions:
        return _NONE
    due = [dispute.evidence_due_by for dispute in disputes if dispute.evidence_due_by is not None]
    live = [each for each in subscriptions if each.status == "live"]
    running = max(live, key=lambda each: (each.current_period_end or 0, each.subscription), default=None)
    own = [invoice for invoice in invoices if running is not None and invoice.subscription == running.subscription]
    return Deadlines(
        evidence_due_by=min(due, default=None),
        current_period_end=running.current_period_end if running else None,
        cancel_at_period_end=running.cancel_at_period_end if running else None,
        next_payment_attempt=own[-1].next_attempt_at if own else None,
    )
