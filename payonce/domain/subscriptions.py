"""The subscriptions of an order, derived from its facts: which live, until when they are paid for, where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from payonce.domain.merge import Facts

_NOTHING: Final[Mapping[str, Any]] = {}
#: A snapshot's version, then the status.
_STATUS_AT: Final = 3


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription at the PSP. `current_period_end` (unix seconds) is None until the PSP has named a period.

    `cancel_at_period_end`: it was told to end then. Should the PSP be told otherwise again, the next period shows it.
    """

    subscription: str
    status: Literal["live", "ended"]
    current_period_end: int | None
    cancel_at_period_end: bool


def subscriptions_of(facts: Facts) -> tuple[Subscription, ...]:
    """Return the subscriptions by id."""
    subscriptions = facts.get("subscriptions")
    if not subscriptions:
        return ()
    return tuple(_subscription(name, known) for name, known in sorted(subscriptions.items()))


def _subscription(name: str, known: Mapping[str, Any]) -> Subscription:
    period = known.get("period", ())
    return Subscription(
        name,
        "live" if known["state"][0] == 0 else "ended",
        current_period_end=period[0] if period else None,
        cancel_at_period_end=bool(period and period[1]),
    )


def subscription_standing(
    facts: Facts, subscriptions: tuple[Subscription, ...]
) -> Literal["ended", "unpaid", "past_due", "good"]:
    """Return where the subscription stands: by its end, then by its latest finished invoice of its own period."""
    if subscriptions and all(each.status == "ended" for each in subscriptions):
        return "ended"
    finished = [known for known in facts.get("invoices", _NOTHING).values() if known["state"][2] != "draft"]
    if not finished:
        return "good"
    latest = max(finished, key=lambda known: (known["period_end"], known["state"]))
    _, tries, status = latest["state"]
    if status == "uncollectible":
        return "unpaid"
    if status != "open" or not tries:
        return "good"
    # The PSP's "unpaid" comes and goes with retries, so only a snapshot tells it, and only of an invoice in trouble.
    snapshot = facts.get("snapshots", _NOTHING).get(latest.get("subscription"))
    return "unpaid" if snapshot is not None and snapshot[_STATUS_AT] == "unpaid" else "past_due"
