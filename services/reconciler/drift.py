"""Whether an order is what the PSP's objects make of it. Pure: the fold's own rules judge, over the order's facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from payonce.domain.events import PspSnapshot
from payonce.domain.order import ImpossibleEvent, contribution, merge, view
from payonce.ports import TouchedOrder

#: Newer than any snapshot that the order has seen.
_LATEST = 2**53


@dataclass(frozen=True, slots=True)
class Finding:
    """What PostgreSQL says of an order, what the PSP's objects say, and what the order would be with them."""

    order_id: str
    stored: str
    at_psp: str
    should_be: str | None

    @property
    def is_drift(self) -> bool:
        """Whether they differ."""
        return self.should_be is not None


def compare(order: TouchedOrder, objects: Sequence[Mapping[str, Any]], *, missing: Sequence[str] = ()) -> Finding:
    """Return what there is to say about an order whose PSP objects are these; `missing` are ids the PSP denies."""
    stored = _state(order.status, order.amount_paid, order.amount_refunded)
    at_psp = ", ".join([_shown(each) for each in objects] + [f"{psp_id} unknown" for psp_id in missing]) or "nothing"
    snapshot = PspSnapshot(order.order_id, "report", _LATEST, _LATEST, tuple(objects))
    try:
        learned = contribution(snapshot, position=("", 0, 0))
    except ImpossibleEvent as error:
        return Finding(order.order_id, stored, at_psp, f"unreadable: {error.detail}")
    told = view(merge(order.facts, learned.facts))
    should_be = _state(told.status, told.amount_paid, told.amount_refunded)
    if missing and should_be == stored:
        should_be = "known to the PSP"
    return Finding(order.order_id, stored, at_psp, None if should_be == stored else should_be)


def _state(status: str, paid: int, refunded: int) -> str:
    sums = [f"{name} {amount}" for name, amount in (("paid", paid), ("refunded", refunded)) if amount]
    return f"{status} ({', '.join(sums)})" if sums else status


def _shown(thing: Mapping[str, Any]) -> str:
    words = [str(thing.get("object")), str(thing.get("status")), str(thing.get("payment_status") or "")]
    return " ".join(word for word in words if word)
