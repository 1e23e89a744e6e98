"""Facts of a disputed order, made by the fold's own rules from what events and the PSP's answers told."""

from __future__ import annotations

from typing import Any, NamedTuple

from payonce.domain.events import PspEvent, PspSnapshot
from payonce.domain.merge import Facts
from payonce.domain.order import contribution, merge


class Told(NamedTuple):
    """A status of the dispute that an event told at some time (unix seconds), or, as an answer, a snapshot."""

    status: str
    at: int
    dispute: str = "dp_1"
    moves: int = 1
    is_answer: bool = False


def answer(status: str, at: int, *, moves: int = 1) -> Told:
    """Return what the PSP said when it was asked."""
    return Told(status, at, moves=moves, is_answer=True)


def facts_of(*story: Told) -> Facts:
    """Return the facts, told in this order."""
    facts: Facts = {}
    for number, told in enumerate(story):
        facts = merge(facts, contribution(_message(told, number), position=("any", 0, number)).facts)
    return facts


def _message(told: Told, number: int) -> PspEvent | PspSnapshot:
    thing = _dispute(told)
    if told.is_answer:
        return PspSnapshot("ord_" + "a" * 26, f"cmd_{number}", number, told.at, (thing,))
    return PspEvent(f"evt_{number}", "charge.dispute.updated", told.at, True, None, thing)


def _dispute(told: Told) -> dict[str, Any]:
    return {
        "id": told.dispute,
        "object": "dispute",
        "status": told.status,
        "amount": 1_000,
        "currency": "eur",
        "charge": "ch_1",
        "payment_intent": "pi_1",
        "balance_transactions": [{}] * told.moves,
        "evidence_details": {"due_by": None},
        "metadata": {},
    }
