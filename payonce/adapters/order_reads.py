"""Reads of payment_order for those who answer clients. Read only, and never slower than the answer is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from payonce.adapters.shared_reads import SharedReads
from payonce.domain.order_row import OrderRow
from payonce.domain.terms import recurring_of_document

#: The columns of an OrderRow.
ROW = """
    order_id, payment_order_status AS status, attempt, version,
    CAST(floor(extract(epoch FROM created_at)) AS bigint) AS created_at,
    CAST(floor(extract(epoch FROM updated_at)) AS bigint) AS updated_at,
    client_id, reference, body_hash, payment_type, payment_method, psp, amount, currency, redirect_url,
    psp_token, hosted_page_url, client_secret,
    CAST(floor(extract(epoch FROM page_expires_at)) AS bigint) AS page_expires_at,
    facts #>> ARRAY['terms', CAST(attempt AS text), body_hash, 'terms', 'description'] AS description,
    facts #>> ARRAY['terms', CAST(attempt AS text), body_hash, 'terms', 'customer_email'] AS customer_email,
    facts #> ARRAY['terms', CAST(attempt AS text), body_hash, 'terms', 'recurring'] AS recurring,
    amount_paid, amount_refunded, amount_disputed, failure_reason, failure_detail, flags,
    CAST(floor(extract(epoch FROM evidence_due_by)) AS bigint) AS evidence_due_by,
    CAST(floor(extract(epoch FROM current_period_end)) AS bigint) AS current_period_end, cancel_at_period_end,
    CAST(floor(extract(epoch FROM next_payment_attempt)) AS bigint) AS next_payment_attempt
"""
_SELECT = text(f"SELECT {ROW} FROM payment_order WHERE order_id = ANY(:order_ids)")  # noqa: S608  (constants)


class OrderReads(SharedReads[OrderRow]):
    """Reads rows. Belongs to one loop."""

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url, _select, application_name="checkout_api reads")


def order_row(columns: Mapping[str, Any]) -> OrderRow:
    """Return the row of a result that has the columns of ROW."""
    recurring = recurring_of_document(columns["recurring"])
    return OrderRow(**{**columns, "flags": tuple(columns["flags"]), "recurring": recurring})


def _select(connection: Connection, order_ids: Sequence[str]) -> Mapping[str, OrderRow]:
    rows = connection.execute(_SELECT, {"order_ids": list(order_ids)}).mappings()
    return {row["order_id"]: order_row(dict(row)) for row in rows}
