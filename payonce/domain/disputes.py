"""The disputes of an order, derived from its facts: where each stands, what it took, until when the shop may answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from payonce.domain.dating import first_seen, first_seen_as
from payonce.domain.facts import CONTESTED_STATUSES, DISPUTE_DECIDED, NEEDS_RESPONSE_STATUSES
from payonce.domain.merge import Facts
from payonce.domain.payments import resolve

_NOTHING: Final[Mapping[str, Any]] = {}
#: In these the disputed money is the shop's again.
_GIVEN_BACK: Final = ("won", "warning_closed", "prevented")
_STATE_PARTS: Final = 4
Funds = Literal["untouched", "withdrawn", "reinstated"]


@dataclass(frozen=True, slots=True)
class Dispute:
    """A dispute in the state that is the latest as far as events and snapshots can tell. Times in unix seconds.

    `payment` is what it is about, as far as the links are known ("": not at all). `due_by` is the deadline of the stage
    it is in, None if the PSP named none; `moves` counts the balance transactions that it has caused.
    """

    dispute: str
    status: str
    amount: int
    currency: str
    payment: str = ""
    reason: str | None = None
    due_by: int | None = None
    moves: int = 0
    occurred_at: int | None = None
    given_back_at: int | None = None

    @property
    def amount_taken(self) -> int:
        """The amount that the dispute holds or took: nothing for an inquiry, or once it is won."""
        return self.amount if self.status == "lost" or self.status in CONTESTED_STATUSES else 0

    @property
    def funds(self) -> Funds:
        """What the PSP has done with the money so far: it takes it once, and perhaps gives it back."""
        if not self.moves:
            return "untouched"
        return "withdrawn" if self.moves % 2 else "reinstated"

    @property
    def evidence_due_by(self) -> int | None:
        """Until when the shop should send evidence, None while nobody waits for it."""
        return self.due_by if self.status in NEEDS_RESPONSE_STATUSES else None


def disputes_of(facts: Facts) -> tuple[Dispute, ...]:
    """Return the disputes by id."""
    disputes = facts.get("disputes")
    if not disputes:
        return ()
    snapshots = facts.get("snapshots", _NOTHING)
    return tuple(_dispute(facts, name, known, snapshots.get(name)) for name, known in sorted(disputes.items()))


def _dispute(facts: Facts, dispute_id: str, known: Mapping[str, Any], snapshot: list[Any] | None) -> Dispute:
    state, due = known["state"], known.get("due", ())
    if snapshot is not None and not _is_later(state, seen := snapshot[3:]):
        # A snapshot of an older program has no deadline: then the events' own, which may be of an earlier stage.
        state, due = seen[:_STATE_PARTS], [*seen[:2], *seen[_STATE_PARTS:]] if seen[_STATE_PARTS:] else due
    return Dispute(
        dispute_id,
        state[2],
        state[3],
        known["currency"],
        payment=resolve(facts, known.get("payment") or known.get("charge") or ""),
        reason=known.get("reason"),
        due_by=due[2] if due else None,
        moves=state[0],
        occurred_at=first_seen(known),
        given_back_at=first_seen_as(known, *_GIVEN_BACK),
    )


def _is_later(event: list[Any], seen: list[Any]) -> bool:
    """Whether an event is newer than the latest snapshot: it shows more moves of money, or it is further on the line.

    The one exception is an appeal after a decision that the snapshot saw: the appeal may be the one that was decided.
    The reconciler asks after such an order, so that a newer snapshot says.
    """
    if event[0] != seen[0]:
        return bool(event[0] > seen[0])
    decided_meanwhile = seen[1] == DISPUTE_DECIDED < event[1]
    return bool(event[1] > seen[1]) and not decided_meanwhile
