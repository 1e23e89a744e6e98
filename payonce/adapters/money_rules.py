"""What must hold between the tables that tell of money: order rows, movements, invoices, the PSP worker's ledger.

Asked in SQL, without the rules of the fold that wrote the rows. What is younger than `:older_than_ms` may be on its
way.
"""

from __future__ import annotations

from typing import Final

_REFUNDED = "-sum(amount) FILTER (WHERE 'refund' IN (kind, reverses))"
_DISPUTED = "-sum(amount) FILTER (WHERE 'dispute' IN (kind, reverses))"
_CHARGED = "sum(amount) FILTER (WHERE kind = 'charge')"

#: Name -> (rows looked at, the rows that break the rule as (subject, detail)).
MONEY_RULES: Final = {
    "sums of an order": (
        "SELECT count(*) FROM payment_order WHERE currency IS NOT NULL",
        f"""
        SELECT o.order_id, 'its movements sum up to ' || concat_ws(', ', paid, refunded, disputed)
            || ' paid, refunded, disputed; its row says ' || concat_ws(', ', amount_paid, amount_refunded,
            amount_disputed)
        FROM payment_order AS o
        LEFT JOIN (
            SELECT order_id, currency, {_CHARGED} AS charged, {_REFUNDED} AS sent_back, {_DISPUTED} AS taken
            FROM payment_movement GROUP BY order_id, currency) AS m USING (order_id, currency)
        CROSS JOIN LATERAL (
            SELECT coalesce(charged, 0) AS paid, coalesce(sent_back, 0) AS refunded, coalesce(taken, 0) AS disputed)
            AS sums
        WHERE o.currency IS NOT NULL
          AND (paid, refunded, disputed) <> (o.amount_paid, o.amount_refunded, o.amount_disputed)
        """,  # noqa: S608  (constants of this file)
    ),
    "refunds of a payment": (
        "SELECT count(*) FROM payment_movement WHERE kind = 'charge'",
        f"""
        SELECT order_id, payment || ': ' || {_REFUNDED} || ' refunded of ' || {_CHARGED} FROM payment_movement
        GROUP BY order_id, payment, currency
        HAVING {_REFUNDED} > {_CHARGED}
        """,  # noqa: S608
    ),
    "payment of a movement": (
        "SELECT count(*) FROM payment_movement WHERE kind <> 'charge'",
        """
        SELECT order_id, kind || ' of ' || psp_id || ' belongs to no payment that was received'
        FROM payment_movement AS m
        WHERE kind <> 'charge' AND updated_at < to_timestamp(:older_than_ms / 1000.0)
          AND NOT EXISTS (
            SELECT FROM payment_movement AS c
            WHERE (c.order_id, c.psp_id, c.kind) = (m.order_id, m.payment, 'charge'))
        """,
    ),
    "charge of an invoice": (
        "SELECT count(*) FROM payment_invoice WHERE status = 'paid'",
        """
        SELECT order_id, invoice_id || ' is paid, and no such charge is there' FROM payment_invoice AS i
        WHERE status = 'paid' AND amount_paid > 0
          AND NOT EXISTS (
            SELECT FROM payment_movement AS m
            WHERE (m.order_id, m.psp_id, m.kind) = (i.order_id, i.invoice_id, 'charge')
              AND (m.amount, m.currency) = (i.amount_paid, i.currency))
        """,
    ),
    "money of a refund in the ledger": (
        "SELECT count(*) FROM psp_refund WHERE state = 'accepted'",
        """
        SELECT order_id, refund_reference || ' was accepted as ' || refund_id || ', and no such money moved'
        FROM psp_refund AS l
        WHERE state = 'accepted' AND last_try_at * 1000 < :older_than_ms
          AND NOT EXISTS (
            SELECT FROM payment_movement AS m
            WHERE (m.order_id, m.psp_id, m.kind) = (l.order_id, l.refund_id, 'refund'))
        """,
    ),
    "ledger of a refund that moved": (
        "SELECT count(*) FROM payment_movement WHERE kind = 'refund'",
        """
        SELECT m.order_id, m.psp_id || ' moved ' || m.amount || '; ' || l.refund_reference || ' of ' || l.order_id
            || ' is ' || l.state || ' for ' || coalesce(CAST(l.amount AS text), 'all that was left')
        FROM payment_movement AS m JOIN psp_refund AS l ON l.refund_id = m.psp_id
        WHERE m.kind = 'refund'
          AND (l.order_id <> m.order_id OR l.state <> 'accepted' OR coalesce(l.amount, -m.amount) <> -m.amount)
        """,
    ),
    "order of a movement": (
        "SELECT (SELECT count(*) FROM payment_movement) + (SELECT count(*) FROM payment_invoice)",
        """
        SELECT psp_id, 'moved money of ' || order_id || ', which has no row' FROM payment_movement AS m
        WHERE NOT EXISTS (SELECT FROM payment_order AS o WHERE o.order_id = m.order_id)
        UNION ALL
        SELECT invoice_id, 'is an invoice of ' || order_id || ', which has no row' FROM payment_invoice AS i
        WHERE NOT EXISTS (SELECT FROM payment_order AS o WHERE o.order_id = i.order_id)
        """,
    ),
}
