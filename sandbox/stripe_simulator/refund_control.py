"""The control API's calls for refunds: what banks do with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.stripe_simulator.refunds import FAILURE_REASONS

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.stripe_simulator.control_endpoint import Handler
    from sandbox.stripe_simulator.simulator import Simulator
    from sandbox.stripe_simulator.state import Json

_SHOWN = ("id", "status", "amount", "currency", "charge", "payment_intent", "failure_reason", "metadata", "created")


class RefundControl:
    """Calls below /_control/refunds."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def handlers(self) -> list[tuple[str, str, Handler]]:
        refund = "/_control/refunds/{refund_id}"
        return [
            ("GET", "/_control/refunds", self._list),
            ("POST", f"{refund}/succeed", self._succeed),
            ("POST", f"{refund}/fail", self._fail),
        ]

    def _list(self, request: Request, _body: Json) -> object:
        self._simulator.run_once()
        wanted = dict(request.query_params)
        rows = [_row(refund) for refund in self._simulator.store.refunds]
        return [row for row in rows if all(str(row.get(name)) == value for name, value in wanted.items())]

    def _succeed(self, request: Request, _body: Json) -> Json:
        refund = self._refund(request)
        self._simulator.refunds.succeed(refund)
        return _row(refund)

    def _fail(self, request: Request, body: Json) -> Json:
        """Fail a refund now, or `after_seconds` of the simulator's clock."""
        refund = self._refund(request)
        reason = str(body.get("reason", "unknown"))
        if reason not in FAILURE_REASONS:
            raise ValueError(f"reason is one of {', '.join(sorted(FAILURE_REASONS))}")
        seconds = float(body.get("after_seconds", 0))
        if seconds > 0:
            self._simulator.refunds.fail_later(refund, reason, seconds)
        else:
            self._simulator.refunds.fail(refund, reason)
        return _row(refund)

    def _refund(self, request: Request) -> Json:
        self._simulator.run_once()
        refund = self._simulator.store.refunds.get(request.path_params["refund_id"])
        if refund is None:
            raise KeyError("no such refund")
        return refund


def _row(refund: Json) -> Json:
    """Show a refund as a script needs it; `order_id` and `reference` are those of its metadata."""
    metadata = refund["metadata"]
    return {
        **{name: refund[name] for name in _SHOWN},
        "order_id": metadata.get("order_id", ""),
        "reference": metadata.get("refund_reference", ""),
    }
