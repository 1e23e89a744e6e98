"""How long it took until money flowed again: pure, from what was injected and when orders were placed and paid."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sandbox.chaos.faults import Injected


@dataclass(frozen=True, slots=True)
class Payment:
    """When an order was placed, and when its payment was announced, in seconds from the start of the traffic."""

    placed: float
    paid: float


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds until an order that was placed after the fault was paid; None if none ever was.

    `from_start` counts from the fault's beginning, `from_end` from the moment when its cause was over.
    """

    injected: Injected
    from_start: float | None
    from_end: float | None


def recoveries(injected: Iterable[Injected], payments: Iterable[Payment]) -> tuple[Recovery, ...]:
    """Return the recovery from each fault."""
    by_placed = sorted(payments, key=lambda payment: payment.placed)
    placed = [payment.placed for payment in by_placed]
    soonest = _soonest_from(by_placed)

    def until_paid(moment: float) -> float | None:
        position = bisect_left(placed, moment)
        return soonest[position] - moment if position < len(placed) else None

    return tuple(
        Recovery(each, until_paid(each.began), until_paid(each.began + each.fault.seconds)) for each in injected
    )


def payments_of(placed: Mapping[str, float], paid: Mapping[str, float]) -> tuple[Payment, ...]:
    """Pair the two moments of the orders that have both."""
    return tuple(Payment(placed[order], moment) for order, moment in paid.items() if order in placed)


def longest(found: Iterable[Recovery]) -> Recovery | None:
    """Return the recovery that took longest after its cause was over."""
    known = [each for each in found if each.from_end is not None]
    return max(known, key=lambda each: each.from_end or 0.0, default=None)


def _soonest_from(payments: Sequence[Payment]) -> list[float]:
    """For each position: when the first of the payments from there on was made."""
    soonest: list[float] = []
    for payment in reversed(payments):
        soonest.append(min(payment.paid, soonest[-1]) if soonest else payment.paid)
    return soonest[::-1]
