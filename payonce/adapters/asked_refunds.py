"""The refunds that clients asked for, as the PSP worker's ledger has them. Read only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, text

from payonce.domain.whole_order import AskedRefund

_SELECT = text("""
    SELECT order_id, refund_reference, command_id, payment, amount, refund_id, state, outcome_body,
           CAST(floor(first_try_at) AS bigint) AS asked_at
    FROM psp_refund WHERE order_id = ANY(:order_ids)
    ORDER BY order_id, first_try_at, refund_reference
""")


def asked_refunds(connection: Connection, order_ids: Sequence[str]) -> Mapping[str, tuple[AskedRefund, ...]]:
    """Return the refunds by order, in the order in which they were first tried."""
    found: dict[str, tuple[AskedRefund, ...]] = {}
    for row in connection.execute(_SELECT, {"order_ids": list(order_ids)}).mappings():
        found[row["order_id"]] = (*found.get(row["order_id"], ()), _asked(dict(row)))
    return found


def _asked(row: Mapping[str, Any]) -> AskedRefund:
    """Read a row; a settled one holds the event that said so: RefundAccepted with its amount, or RefundRejected."""
    outcome = orjson.loads(bytes(row["outcome_body"])) if row["outcome_body"] is not None else {}
    rejected = row["state"] == "rejected"
    return AskedRefund(
        refund_reference=row["refund_reference"],
        command_id=row["command_id"],
        payment=row["payment"],
        amount=row["amount"],
        asked_at=row["asked_at"],
        refund_id=row["refund_id"],
        taken_amount=None if rejected else outcome.get("amount"),
        failed=rejected,
        failure_reason=outcome.get("reason") if rejected else None,
        failure_detail=outcome.get("detail") if rejected else None,
    )
