"""The ledger's refunds, row by row: they are few beside registrations, and none waits for another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, RowMapping

from payonce.adapters.ledger_sql import ENTER_REFUND, REFUND, SETTLE_REFUND
from payonce.ports import RefundEntry, RefundState

_COLUMNS = tuple(column.name for column in fields(RefundEntry))


def refund_of(connection: Connection, order_id: str, refund_reference: str) -> RefundEntry | None:
    """Return the row of that reference."""
    found = connection.execute(REFUND, {"order_id": order_id, "refund_reference": refund_reference}).mappings().first()
    return None if found is None else _entry(found)


def enter_refund(connection: Connection, refund: RefundEntry) -> tuple[RefundEntry, bool]:
    """Insert the row unless its reference has one; return what is there now, and whether ours was inserted."""
    new = connection.execute(ENTER_REFUND, _values(refund)).rowcount == 1
    stored = refund_of(connection, refund.order_id, refund.refund_reference)
    assert stored is not None, "rows of the ledger are never deleted, and this one was just inserted or found"
    return stored, new


def settle_refund(connection: Connection, refund: RefundEntry, expected: Sequence[RefundState]) -> RefundEntry | None:
    """Write the outcome over a row in one of the expected states; return the row as it is now."""
    connection.execute(SETTLE_REFUND, {**_values(refund), "expected": list(expected)})
    return refund_of(connection, refund.order_id, refund.refund_reference)


def _values(refund: RefundEntry) -> dict[str, Any]:
    values = {name: getattr(refund, name) for name in _COLUMNS}
    return {**values, "request": json.dumps(refund.request)}


def _entry(row: RowMapping) -> RefundEntry:
    values = {name: row[name] for name in _COLUMNS}
    body = values["outcome_body"]
    return RefundEntry(**{**values, "outcome_body": None if body is None else bytes(body)})
