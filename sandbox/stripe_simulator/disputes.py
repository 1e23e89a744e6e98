"""The life of a Dispute: an inquiry or a chargeback, its funds taken and given back, won, lost and appealed.

It goes round in a circle: a lost dispute may be appealed, and lost again without any money moving.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.stripe_simulator.dispute_object import NETWORK_REASON_CODES, dispute_object
from sandbox.stripe_simulator.state import WrongStateError

if TYPE_CHECKING:
    from sandbox.stripe_simulator.balance import Balance
    from sandbox.stripe_simulator.clock import Clock
    from sandbox.stripe_simulator.events import Events
    from sandbox.stripe_simulator.ids import Ids
    from sandbox.stripe_simulator.payment_methods import Claim
    from sandbox.stripe_simulator.state import Json, Store

# Which statuses may follow which.
TRANSITIONS = {
    "warning_needs_response": {"warning_under_review", "warning_closed", "needs_response", "prevented"},
    "warning_under_review": {"warning_closed", "needs_response"},
    "warning_closed": set(),
    "prevented": set(),
    "needs_response": {"under_review", "won", "lost"},
    "under_review": {"won", "lost"},
    "won": set(),
    "lost": {"appeal_needs_response"},
    "appeal_needs_response": {"appeal_under_review", "won", "lost"},
    "appeal_under_review": {"won", "lost"},
}
REASONS = frozenset(NETWORK_REASON_CODES)
_CLOSED = frozenset({"won", "lost", "warning_closed"})
_SUBMITTED = frozenset({"warning_under_review", "under_review", "appeal_under_review"})
_WAITING = frozenset({"needs_response", "appeal_needs_response"})
_FEE = 1500
_ANSWER_SECONDS = 7 * 86_400
_INQUIRY_ENDS_SECONDS = 120 * 86_400


class Disputes:
    """Opens disputes and moves them on."""

    def __init__(self, clock: Clock, ids: Ids, store: Store, events: Events, balance: Balance) -> None:
        self._clock = clock
        self._ids = ids
        self._store = store
        self._events = events
        self._balance = balance

    def open(self, charge: Json, claim: Claim) -> Json:
        """Dispute a charge; a chargeback takes the money at once. Raises WrongStateError, or ValueError for a claim.

        Nobody who does not answer by `evidence_details.due_by` wins: the clock then closes it as lost.
        """
        amount = charge["amount"] if claim.amount is None else claim.amount
        if claim.reason not in REASONS or not 0 < amount <= charge["amount"]:
            raise ValueError(f"reason is one of {', '.join(sorted(REASONS))}; amount at most {charge['amount']}")
        if charge["status"] != "succeeded":
            raise WrongStateError(f"the charge is {charge['status']}")
        if any(TRANSITIONS[other["status"]] for other in self._of(charge) if other["status"] != "lost"):
            raise WrongStateError("the charge is disputed already")
        now = self._clock.seconds()
        due_by = now + int(claim.due_seconds)
        dispute = dispute_object(
            self._ids.object("du"), charge, amount, claim.reason, inquiry=claim.inquiry, created=now, due_by=due_by
        )
        charge["disputed"] = True
        self._store.disputes.add(dispute)
        self._events.emit("charge.dispute.created", dispute)
        self._clock.at(due_by, lambda: self._lose_when_due(dispute))
        if claim.inquiry:
            self._clock.at(now + _INQUIRY_ENDS_SECONDS, lambda: self._close_when_due(dispute))
        else:
            self.withdraw(dispute)
        return dispute

    def move(self, dispute: Json, status: str) -> None:
        """Bring a dispute into another status, with the money that goes with it. Raises WrongStateError."""
        present = dispute["status"]
        if status not in TRANSITIONS[present]:
            following = ", ".join(sorted(TRANSITIONS[present])) or "nothing"
            raise WrongStateError(f"a dispute that is {present} can become {following}, not {status}")
        dispute["status"] = status
        if status in _SUBMITTED:
            self._submit(dispute)
        if status == "appeal_needs_response":
            self._begin_appeal(dispute)
        if status == "won":
            dispute["is_charge_refundable"] = True
        self._events.emit("charge.dispute.closed" if status in _CLOSED else "charge.dispute.updated", dispute)
        if status == "needs_response" and not self.withdrawn(dispute):
            self._escalate(dispute)
        if status == "won" and self.withdrawn(dispute):
            self.reinstate(dispute)

    def withdraw(self, dispute: Json) -> None:
        """Take the disputed amount and the fee. Raises WrongStateError when they are taken already."""
        if self.withdrawn(dispute):
            raise WrongStateError("the funds are withdrawn already")
        transaction = self._balance.move(dispute, "adjustment", "dispute", -dispute["amount"], _FEE)
        dispute["balance_transactions"].append(transaction)
        self._events.emit("charge.dispute.funds_withdrawn", dispute)

    def reinstate(self, dispute: Json) -> None:
        """Give the disputed amount back. Raises WrongStateError when nothing is withdrawn."""
        if not self.withdrawn(dispute):
            raise WrongStateError("no funds are withdrawn")
        transaction = self._balance.move(dispute, "adjustment", "dispute_reversal", dispute["amount"])
        dispute["balance_transactions"].append(transaction)
        self._events.emit("charge.dispute.funds_reinstated", dispute)

    @staticmethod
    def withdrawn(dispute: Json) -> int:
        """Say how much is withdrawn now, in minor units, without the fee."""
        return -sum(int(transaction["amount"]) for transaction in dispute["balance_transactions"])

    def _of(self, charge: Json) -> list[Json]:
        return [dispute for dispute in self._store.disputes if dispute["charge"] == charge["id"]]

    def _submit(self, dispute: Json) -> None:
        details = dispute["evidence_details"]
        details["past_due"] = self._clock.seconds() > details["due_by"]
        details.update(has_evidence=True, submission_count=details["submission_count"] + 1, submission_method="manual")

    def _begin_appeal(self, dispute: Json) -> None:
        due_by = self._clock.seconds() + _ANSWER_SECONDS
        dispute["evidence_details"]["due_by"] = due_by
        self._clock.at(due_by, lambda: self._lose_when_due(dispute))

    def _escalate(self, dispute: Json) -> None:
        """Turn an inquiry into a chargeback."""
        dispute["is_charge_refundable"] = False
        if dispute["payment_method_details"]:
            dispute["payment_method_details"]["card"]["case_type"] = "chargeback"
        due_by = self._clock.seconds() + _ANSWER_SECONDS
        dispute["evidence_details"]["due_by"] = due_by
        self._clock.at(due_by, lambda: self._lose_when_due(dispute))
        self.withdraw(dispute)

    def _lose_when_due(self, dispute: Json) -> None:
        if dispute["status"] in _WAITING and dispute["evidence_details"]["due_by"] <= self._clock.now():
            self.move(dispute, "lost")

    def _close_when_due(self, dispute: Json) -> None:
        if dispute["status"].startswith("warning_") and dispute["status"] != "warning_closed":
            self.move(dispute, "warning_closed")
