"""The SQL of an order's movements and invoices: what does not follow any more goes, what differs is written.

Whoever runs it holds the order's lock, and every key begins with the order: no two transactions meet here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import orjson
from sqlalchemy import Connection, text

from payonce.domain.invoices import Invoice
from payonce.domain.movements import Movement
from payonce.ports import OrderChange

_SAVE_MOVEMENTS = text("""
    WITH n AS MATERIALIZED (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS n (
            order_id text, psp_id text, kind text, payment text, amount bigint, currency text, state text,
            psp_status text, reverses text, occurred_at bigint)
    ), gone AS (
        DELETE FROM payment_movement AS m
        WHERE m.order_id = ANY(:order_ids)
          AND NOT EXISTS (SELECT FROM n WHERE (n.order_id, n.psp_id, n.kind) = (m.order_id, m.psp_id, m.kind))
    )
    INSERT INTO payment_movement AS m (
        order_id, psp_id, kind, payment, amount, currency, state, psp_status, reverses, occurred_at)
    SELECT order_id, psp_id, kind, payment, amount, currency, state, psp_status, reverses, to_timestamp(occurred_at)
    FROM n ORDER BY order_id, psp_id, kind
    ON CONFLICT (order_id, psp_id, kind) DO UPDATE SET
        payment = EXCLUDED.payment, amount = EXCLUDED.amount, currency = EXCLUDED.currency, state = EXCLUDED.state,
        psp_status = EXCLUDED.psp_status, reverses = EXCLUDED.reverses, occurred_at = EXCLUDED.occurred_at,
        updated_at = now()
    WHERE (m.payment, m.amount, m.currency, m.state, m.psp_status, m.reverses, m.occurred_at)
        IS DISTINCT FROM (EXCLUDED.payment, EXCLUDED.amount, EXCLUDED.currency, EXCLUDED.state, EXCLUDED.psp_status,
                          EXCLUDED.reverses, EXCLUDED.occurred_at)
""")

_SAVE_INVOICES = text("""
    WITH n AS MATERIALIZED (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS n (
            order_id text, invoice_id text, subscription text, status text, period_start bigint, period_end bigint,
            amount_due bigint, amount_paid bigint, currency text, attempts integer, next_attempt_at bigint,
            billing_reason text)
    ), gone AS (
        DELETE FROM payment_invoice AS i
        WHERE i.order_id = ANY(:order_ids)
          AND NOT EXISTS (SELECT FROM n WHERE (n.order_id, n.invoice_id) = (i.order_id, i.invoice_id))
    )
    INSERT INTO payment_invoice AS i (
        order_id, invoice_id, subscription, status, period_start, period_end, amount_due, amount_paid, currency,
        attempts, next_attempt_at, billing_reason)
    SELECT order_id, invoice_id, subscription, status, to_timestamp(period_start), to_timestamp(period_end),
           amount_due, amount_paid, currency, attempts, to_timestamp(next_attempt_at), billing_reason
    FROM n ORDER BY order_id, invoice_id
    ON CONFLICT (order_id, invoice_id) DO UPDATE SET
        subscription = EXCLUDED.subscription, status = EXCLUDED.status, period_start = EXCLUDED.period_start,
        period_end = EXCLUDED.period_end, amount_due = EXCLUDED.amount_due, amount_paid = EXCLUDED.amount_paid,
        currency = EXCLUDED.currency, attempts = EXCLUDED.attempts, next_attempt_at = EXCLUDED.next_attempt_at,
        billing_reason = EXCLUDED.billing_reason, updated_at = now()
    WHERE (i.subscription, i.status, i.period_start, i.period_end, i.amount_due, i.amount_paid, i.currency, i.attempts,
           i.next_attempt_at, i.billing_reason)
        IS DISTINCT FROM (EXCLUDED.subscription, EXCLUDED.status, EXCLUDED.period_start, EXCLUDED.period_end,
                          EXCLUDED.amount_due, EXCLUDED.amount_paid, EXCLUDED.currency, EXCLUDED.attempts,
                          EXCLUDED.next_attempt_at, EXCLUDED.billing_reason)
""")

#: An order's rows as JSON, by order; times in unix seconds, as the domain has them. For queries over payment_order `o`.
MOVEMENTS_OF_O = """
    (SELECT json_agg(json_build_object(
        'psp_id', psp_id, 'kind', kind, 'payment', payment, 'amount', m.amount, 'currency', m.currency, 'state', state,
        'psp_status', psp_status, 'reverses', reverses,
        'occurred_at', CAST(extract(epoch FROM occurred_at) AS bigint)) ORDER BY psp_id COLLATE "C", kind COLLATE "C")
    FROM payment_movement AS m WHERE m.order_id = o.order_id)
"""
INVOICES_OF_O = """
    (SELECT json_agg(json_build_object(
        'invoice_id', invoice_id, 'subscription', subscription, 'status', status,
        'period_start', CAST(extract(epoch FROM period_start) AS bigint),
        'period_end', CAST(extract(epoch FROM period_end) AS bigint),
        'amount_due', amount_due, 'amount_paid', i.amount_paid, 'currency', i.currency, 'attempts', attempts,
        'next_attempt_at', CAST(extract(epoch FROM next_attempt_at) AS bigint),
        'billing_reason', billing_reason) ORDER BY period_end, invoice_id COLLATE "C")
    FROM payment_invoice AS i WHERE i.order_id = o.order_id)
"""


_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in (Movement, Invoice)}


def save_money(connection: Connection, changes: Sequence[OrderChange]) -> None:
    """Write the rows beside these orders, whose own rows the transaction has written. Blocking, idempotent."""
    movements = {each.order_id: each.movements for each in changes if each.movements is not None}
    invoices = {each.order_id: each.invoices for each in changes if each.invoices is not None}
    for statement, orders in ((_SAVE_MOVEMENTS, movements), (_SAVE_INVOICES, invoices)):
        if orders:  # most messages are about orders that have none yet
            rows = orjson.dumps([_row(order_id, row) for order_id in orders for row in orders[order_id]])
            connection.execute(statement, {"order_ids": list(orders), "rows": rows.decode()})


def _row(order_id: str, row: Movement | Invoice) -> dict[str, object]:
    # Not `asdict`: it copies what cannot change, and takes ten times as long.
    return {"order_id": order_id, **{name: getattr(row, name) for name in _FIELDS[type(row)]}}
