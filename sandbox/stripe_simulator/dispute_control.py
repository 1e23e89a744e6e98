"""The control API's calls for disputes: what cardholders and card networks do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.stripe_simulator.disputes import TRANSITIONS
from sandbox.stripe_simulator.payment_methods import Claim

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.stripe_simulator.control_endpoint import Handler
    from sandbox.stripe_simulator.simulator import Simulator
    from sandbox.stripe_simulator.state import Json

_SHOWN = ("id", "status", "reason", "amount", "currency", "charge", "payment_intent", "is_charge_refundable", "created")


class DisputeControl:
    """Calls below /_control/disputes."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def handlers(self) -> list[tuple[str, str, Handler]]:
        dispute = "/_control/disputes/{dispute_id}"
        return [
            ("GET", "/_control/disputes", self._list),
            ("POST", "/_control/disputes", self._open),
            ("POST", f"{dispute}/move", self._move),
            ("POST", f"{dispute}/withdraw", self._withdraw),
            ("POST", f"{dispute}/reinstate", self._reinstate),
        ]

    def _list(self, request: Request, _body: Json) -> object:
        self._simulator.run_once()
        wanted = dict(request.query_params)
        rows = [self._row(dispute) for dispute in self._simulator.store.disputes]
        return [row for row in rows if all(str(row.get(name)) == value for name, value in wanted.items())]

    def _open(self, _request: Request, body: Json) -> Json:
        """Dispute a charge, named by itself or by its PaymentIntent."""
        self._simulator.run_once()
        charge = self._charge(body)
        usual = Claim()
        claim = Claim(
            reason=str(body.get("reason", usual.reason)),
            inquiry=bool(body.get("inquiry", usual.inquiry)),
            amount=None if body.get("amount") is None else int(body["amount"]),
            due_seconds=float(body.get("due_seconds", usual.due_seconds)),
        )
        return self._row(self._simulator.disputes.open(charge, claim))

    def _move(self, request: Request, body: Json) -> Json:
        dispute, status = self._dispute(request), str(body.get("status"))
        if status not in TRANSITIONS:
            raise ValueError(f"status is one of {', '.join(TRANSITIONS)}")
        self._simulator.disputes.move(dispute, status)
        return self._row(dispute)

    def _withdraw(self, request: Request, _body: Json) -> Json:
        dispute = self._dispute(request)
        self._simulator.disputes.withdraw(dispute)
        return self._row(dispute)

    def _reinstate(self, request: Request, _body: Json) -> Json:
        dispute = self._dispute(request)
        self._simulator.disputes.reinstate(dispute)
        return self._row(dispute)

    def _charge(self, body: Json) -> Json:
        store = self._simulator.store
        intent = store.payment_intents.get(str(body.get("payment_intent")))
        charge = store.charges.get(str(intent["latest_charge"] if intent else body.get("charge")))
        if charge is None:
            raise KeyError("no such charge")
        return charge

    def _dispute(self, request: Request) -> Json:
        self._simulator.run_once()
        dispute = self._simulator.store.disputes.get(request.path_params["dispute_id"])
        if dispute is None:
            raise KeyError("no such dispute")
        return dispute

    def _row(self, dispute: Json) -> Json:
        """Show a dispute as a script needs it; `order_id` is the one in the charge's metadata."""
        charge = self._simulator.store.charges[dispute["charge"]]
        return {
            **{name: dispute[name] for name in _SHOWN},
            "due_by": dispute["evidence_details"]["due_by"],
            "withdrawn": self._simulator.disputes.withdrawn(dispute),
            "balance_transactions": len(dispute["balance_transactions"]),
            "order_id": charge["metadata"].get("order_id", ""),
        }
