"""The payments of an order and what was refunded of each, derived from its facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from payonce.domain.dating import first_seen, first_seen_as
from payonce.domain.facts import FIRST_ATTEMPT, REFUND_FAILED, REFUND_FAILURES, REFUND_RANK, sum_of
from payonce.domain.merge import Facts
from payonce.domain.terms import Terms

_NOTHING: Final[Mapping[str, Any]] = {}
#: charge -> PaymentIntent -> invoice is the longest chain of links there is.
_LONGEST_CHAIN: Final = 3


@dataclass(frozen=True, slots=True)
class Payment:
    """Money received once, however many events told of it. Amounts in minor units.

    `standing`: it "counts", or it is a "mismatch" with its attempt's terms, or it "waits" for those to be known.
    `occurred_at` (unix seconds): when it was first told, None if that was before such times were kept.
    """

    payment: str
    attempt: int
    amount: int
    currency: str
    refunded: int
    standing: Literal["counts", "mismatch", "waits"]
    occurred_at: int | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    """Money sent back. `payment` is what it was taken from, as far as the links are known ("": not at all).

    `occurred_at` and `failed_at` (unix seconds): when it, and its failure, were first told, as far as that is known.
    """

    refund: str
    payment: str
    status: str
    amount: int
    currency: str
    occurred_at: int | None = None
    failed_at: int | None = None

    @property
    def amount_sent_back(self) -> int:
        """The amount that was or is being sent back: nothing once it has failed."""
        return self.amount if REFUND_RANK[self.status] < REFUND_FAILED else 0


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
            occurred_at=first_seen(known),
            failed_at=first_seen_as(known, *REFUND_FAILURES),
        )
        for refund_id, known in sorted(facts.get("refunds", _NOTHING).items())
    )


def payments_of(facts: Facts, terms: Mapping[int, Terms | None], refunds: tuple[Refund, ...]) -> tuple[Payment, ...]:
    """Return the payments by name, each held against the terms of its own attempt, with what was refunded of it."""
    refunded: dict[str, int] = {}
    for refund in refunds:
        refunded[refund.payment] = refunded.get(refund.payment, 0) + refund.amount_sent_back
    found: dict[str, _Told] = {}
    for psp_id, known in facts.get("payments", _NOTHING).items():
        name = resolve(facts, psp_id)
        told = _Told(
            known.get("attempt", FIRST_ATTEMPT), frozenset(known.get("sums", _NOTHING)), _times(first_seen(known))
        )
        found[name] = found[name].joined(told) if name in found else told
    return tuple(
        _payment(name, told, terms.get(told.attempt), refunded.get(name, 0)) for name, told in sorted(found.items())
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """What is told of one payment under one of its names."""

    attempt: int
    sums: frozenset[str]
    times: tuple[int, ...]

    def joined(self, other: _Told) -> _Told:
        return _Told(max(self.attempt, other.attempt), self.sums | other.sums, self.times + other.times)


def _times(at: int | None) -> tuple[int, ...]:
    return () if at is None else (at,)


def _payment(name: str, told: _Told, terms: Terms | None, refunded: int) -> Payment:
    sums = [sum_of(key) for key in told.sums]
    own = [each for each in sums if terms is not None and each[0] == terms.currency]
    currency, amount = max(own or sums, key=lambda each: (each[1], each[0]))
    standing: Literal["counts", "mismatch", "waits"] = "waits"
    if terms is not None:
        standing = "counts" if all(_is_due(each, terms) for each in sums) else "mismatch"
    return Payment(name, told.attempt, amount, currency, refunded, standing, min(told.times, default=None))


def _is_due(money: tuple[str, int], terms: Terms) -> bool:
    """Tell what is owed: an invoice may be less than the terms (a trial, a prorated period), a sale is exact."""
    currency, amount = money
    if terms.payment_type == "SALE":
        return money == (terms.currency, terms.amount)
    return amount == 0 or (currency == terms.currency and amount <= terms.amount)
