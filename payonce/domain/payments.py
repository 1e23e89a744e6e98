"""The money of an order, derived from its facts: payments, what was refunded of each, disputes, the subscription."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from payonce.domain.facts import CONTESTED_STATUSES, DISPUTE_DECIDED, FIRST_ATTEMPT, REFUND_FAILED, REFUND_RANK, sum_of
from payonce.domain.merge import Facts
from payonce.domain.terms import Terms

_NOTHING: Final[Mapping[str, Any]] = {}
#: charge -> PaymentIntent -> invoice is the longest chain of links there is.
_LONGEST_CHAIN: Final = 3


@dataclass(frozen=True, slots=True)
class Payment:
    """Money received once, however many events told of it. Amounts in minor units.

    `standing`: it "counts", or it is a "mismatch" with its attempt's terms, or it "waits" for those to be known.
    """

    payment: str
    attempt: int
    amount: int
    currency: str
    refunded: int
    standing: Literal["counts", "mismatch", "waits"]


@dataclass(frozen=True, slots=True)
class Refund:
    """Money sent back. `payment` is what it was taken from, as far as the links are known."""

    refund: str
    payment: str
    status: str
    amount: int
    currency: str

    @property
    def amount_sent_back(self) -> int:
        """The amount that was or is being sent back: nothing once it has failed."""
        return self.amount if REFUND_RANK[self.status] < REFUND_FAILED else 0


@dataclass(frozen=True, slots=True)
class Dispute:
    """A dispute in the state that is the latest as far as events and snapshots can tell."""

    dispute: str
    status: str
    amount: int
    currency: str

    @property
    def amount_taken(self) -> int:
        """The amount that the dispute holds or took: nothing for an inquiry, or once it is won."""
        return self.amount if self.status == "lost" or self.status in CONTESTED_STATUSES else 0


def resolve(facts: Facts, psp_id: str) -> str:
    """Return the name of the payment that an id leads to, as far as the links are known."""
    links = facts.get("links", _NOTHING)
    for _ in range(_LONGEST_CHAIN):
        psp_id = links.get(psp_id, psp_id)
    return psp_id


def refunds_of(facts: Facts) -> tuple[Refund, ...]:
    """Return the refunds by id."""
    return tuple(
        Refund(
            refund_id,
            resolve(facts, known.get("payment") or known.get("charge") or ""),
            status=known["state"][1],
            amount=known["state"][2],
            currency=known["currency"],
        )
        for refund_id, known in sorted(facts.get("refunds", _NOTHING).items())
    )


def payments_of(facts: Facts, terms: Mapping[int, Terms | None], refunds: tuple[Refund, ...]) -> tuple[Payment, ...]:
    """Return the payments by name, each held against the terms of its own attempt, with what was refunded of it."""
    refunded: dict[str, int] = {}
    for refund in refunds:
        refunded[refund.payment] = refunded.get(refund.payment, 0) + refund.amount_sent_back
    found: dict[str, tuple[int, set[str]]] = {}
    for psp_id, known in facts.get("payments", _NOTHING).items():
        name = resolve(facts, psp_id)
        attempt, sums = found.get(name, (FIRST_ATTEMPT, set()))
        found[name] = max(attempt, known.get("attempt", FIRST_ATTEMPT)), sums | known.get("sums", _NOTHING).keys()
    return tuple(
        _payment(name, attempt, [sum_of(key) for key in sums], terms.get(attempt), refunded.get(name, 0))
        for name, (attempt, sums) in sorted(found.items())
    )


def _payment(name: str, attempt: int, sums: list[tuple[str, int]], terms: Terms | None, refunded: int) -> Payment:
    own = [each for each in sums if terms is not None and each[0] == terms.currency]
    currency, amount = max(own or sums, key=lambda each: (each[1], each[0]))
    if terms is None:
        return Payment(name, attempt, amount, currency, refunded, "waits")
    agreed = all(_is_due(each, terms) for each in sums)
    return Payment(name, attempt, amount, currency, refunded, "counts" if agreed else "mismatch")


def _is_due(money: tuple[str, int], terms: Terms) -> bool:
    """Tell what is owed: an invoice may be less than the terms (a trial, a prorated period), a sale is exact."""
    currency, amount = money
    if terms.payment_type == "SALE":
        return money == (terms.currency, terms.amount)
    return amount == 0 or (currency == terms.currency and amount <= terms.amount)


def disputes_of(facts: Facts) -> tuple[Dispute, ...]:
    """Return the disputes by id."""
    snapshots = facts.get("snapshots", _NOTHING)
    return tuple(
        _dispute(dispute_id, known, snapshots.get(dispute_id))
        for dispute_id, known in sorted(facts.get("disputes", _NOTHING).items())
    )


def _dispute(dispute_id: str, known: Mapping[str, Any], snapshot: list[Any] | None) -> Dispute:
    state = known["state"]
    if snapshot is not None and not _is_later(state, seen := snapshot[3:]):
        state = seen
    return Dispute(dispute_id, state[2], state[3], known["currency"])


def _is_later(event: list[Any], seen: list[Any]) -> bool:
    """Whether an event is newer than the latest snapshot: it shows more moves of money, or it is further on the line.

    The one exception is an appeal after a decision that the snapshot saw: the appeal may be the one that was decided.
    """
    if event[0] != seen[0]:
        return bool(event[0] > seen[0])
    decided_meanwhile = seen[1] == DISPUTE_DECIDED < event[1]
    return bool(event[1] > seen[1]) and not decided_meanwhile


def live_subscriptions(facts: Facts) -> tuple[str, ...]:
    """Return the subscriptions that have not ended, by id."""
    subscriptions = facts.get("subscriptions", _NOTHING)
    return tuple(sorted(each for each, known in subscriptions.items() if known["state"][0] == 0))


def subscription_standing(facts: Facts) -> Literal["ended", "unpaid", "past_due", "good"]:
    """Return where the subscription stands: by its end, then by its latest finished invoice of its own period."""
    if facts.get("subscriptions") and not live_subscriptions(facts):
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
    return "unpaid" if snapshot is not None and snapshot[3] == "unpaid" else "past_due"
