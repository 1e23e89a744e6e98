"""Violations that are planted in the tables, and which checks of `payonce verify` must find each."""

from __future__ import annotations

ROW = "every row is what its facts amount to"
NEWEST = "the newest announcement is the row, or the row's is in the outbox"
WEBHOOKS_FOLDED = "payments.webhooks: folded, waiting, foreign or a dead letter"
TOKENS_FOLDED = "payments.tokens: folded, waiting, foreign or a dead letter"
COMMANDS_FOLDED = "payments.commands: folded, waiting, foreign or a dead letter"
SUMS = "an order's movements sum up to its columns"
REFUND_IN_THE_LEDGER = """
    INSERT INTO psp_refund (order_id, refund_reference, amount, refund_id, command_id, idempotency_key, api_version,
        request, first_try_at, last_try_at, state, outcome_type, outcome_body)
"""
REFUND_COLUMNS = "'', '', '', '{}', 0, 0, 'accepted', '', ''"
PLANTED: dict[str, tuple[str, dict[str, int]]] = {
    "a status that does not follow": (
        "UPDATE payment_order SET payment_order_status = 'paid' WHERE order_id = :id",
        {ROW: 1, NEWEST: 1},
    ),
    "a column that nobody announces": ("UPDATE payment_order SET psp_token = 'cs_x' WHERE order_id = :id", {ROW: 1}),
    "facts that are lost": (
        "UPDATE payment_order SET facts = '{}' WHERE order_id = :id",
        {ROW: 1, COMMANDS_FOLDED: 1, TOKENS_FOLDED: 1, WEBHOOKS_FOLDED: 4},
    ),
    "a payment that is lost": (
        "UPDATE payment_order SET facts = facts - 'payments' WHERE order_id = :id",
        {ROW: 1, WEBHOOKS_FOLDED: 2},
    ),
    "a row that is lost": (
        "DELETE FROM payment_order WHERE order_id = :id",
        {
            NEWEST: 1,
            COMMANDS_FOLDED: 1,
            TOKENS_FOLDED: 1,
            WEBHOOKS_FOLDED: 4,
            "every movement of money and every invoice belongs to an order": 3,
            "every PSP id belongs to an order": 5,
            "every event in the timeline belongs to an order": 6,
        },
    ),
    "PSP ids that are lost": (
        "DELETE FROM psp_reference WHERE order_id = :id",
        {TOKENS_FOLDED: 1, WEBHOOKS_FOLDED: 4},
    ),
    "a version that went back": ("UPDATE payment_order SET version = version - 1 WHERE order_id = :id", {NEWEST: 1}),
    "a version that nobody was told": (
        "UPDATE payment_order SET version = version + 1 WHERE order_id = :id",
        {NEWEST: 1},
    ),
    "an order that nobody commanded": (
        "INSERT INTO payment_order (order_id) VALUES ('x' || :id)",
        {"every order has its command": 1},
    ),
    "an order that nobody was told of": (
        """
        INSERT INTO payment_order SELECT (jsonb_populate_record(o, jsonb_build_object('order_id', 'x' || :id))).*
        FROM payment_order AS o WHERE order_id = :id;
        INSERT INTO payment_movement SELECT (jsonb_populate_record(m, jsonb_build_object('order_id', 'x' || :id))).*
        FROM payment_movement AS m WHERE order_id = :id
        """,
        {"every order with terms was announced": 1},
    ),
    "an announcement that waits": (
        "INSERT INTO outbox (order_id, body) VALUES (:id, '')",
        {"announcements do not wait": 1},
    ),
    "a position beyond the end": (
        """
        UPDATE fold_position SET next_offset = next_offset + 1000000
        WHERE (topic, partition) = (SELECT topic, partition FROM fold_position ORDER BY 1, 2 LIMIT 1) AND :id <> ''
        """,
        {"positions lie within the log": 1},
    ),
    "a ledger row of no order": (
        """
        INSERT INTO psp_registration (order_id, attempt, body_hash, command_id, idempotency_key, api_version, request,
            first_try_at, last_try_at, expires_at, state)
        VALUES ('x' || :id, 1, '', '', '', '', '{}', 0, 0, 0, 'calling')
        """,
        {"every attempt in the ledger belongs to an order": 1},
    ),
    "two attempts that can be paid": (
        """
        DROP INDEX psp_registration_one_holder;
        INSERT INTO psp_registration (order_id, attempt, body_hash, command_id, idempotency_key, api_version, request,
            first_try_at, last_try_at, expires_at, state)
        SELECT :id, n, '', '', '', '', '{}', 0, 0, 0, 'calling' FROM generate_series(1, 2) AS n
        """,
        {"at most one attempt of an order can be paid": 1},
    ),
    "a movement that is lost": (
        "DELETE FROM payment_movement WHERE order_id = :id AND kind = 'refund'",
        {ROW: 1, SUMS: 1},
    ),
    "a movement of another sum": (
        "UPDATE payment_movement SET amount = amount - 1 WHERE order_id = :id AND kind = 'refund'",
        {ROW: 1, SUMS: 1},
    ),
    "a sum that no movement makes up": (
        "UPDATE payment_order SET amount_disputed = 0 WHERE order_id = :id",
        {ROW: 1, SUMS: 1, NEWEST: 1},
    ),
    "more refunded than was paid": (
        """
        UPDATE payment_movement SET amount = -1251 WHERE order_id = :id AND kind = 'refund';
        UPDATE payment_order SET amount_refunded = 1251 WHERE order_id = :id
        """,
        {ROW: 1, NEWEST: 1, "no payment is refunded beyond its sum": 1, "only an order's own sum makes it paid": 1},
    ),
    "a movement of no payment": (
        "UPDATE payment_movement SET payment = 'pi_other' WHERE order_id = :id AND kind = 'refund'",
        {ROW: 1, "every movement belongs to a payment that was received": 1},
    ),
    "a paid invoice without a charge": (
        """
        INSERT INTO payment_invoice (order_id, invoice_id, status, period_end, amount_paid, currency, attempts)
        VALUES (:id, 'in_x', 'paid', now(), 5, 'eur', 1)
        """,
        {ROW: 1, "every paid invoice has its charge": 1},
    ),
    "money of no order": (
        """
        INSERT INTO payment_movement (order_id, psp_id, kind, payment, amount, currency, state, psp_status)
        VALUES ('x' || :id, 'pi_x', 'charge', 'pi_x', 5, 'eur', 'settled', 'succeeded')
        """,
        {"every movement of money and every invoice belongs to an order": 1},
    ),
    "a refund in the ledger that moved nothing": (
        f"{REFUND_IN_THE_LEDGER} VALUES (:id, 'R-1', 5, 're_x', {REFUND_COLUMNS})",
        {"every accepted refund has moved money": 1},
    ),
    "a refund of another sum than the ledger has": (
        f"""
        {REFUND_IN_THE_LEDGER} SELECT order_id, 'R-1', 1 - amount, psp_id, {REFUND_COLUMNS}
        FROM payment_movement WHERE order_id = :id AND kind = 'refund'
        """,  # noqa: S608  (constants of this file)
        {"every refund that moved is as the ledger has it": 1},
    ),
}
KEPT = (
    "payment_order",
    "payment_movement",
    "payment_invoice",
    "psp_reference",
    "outbox",
    "fold_position",
    "psp_registration",
    "psp_refund",
)
