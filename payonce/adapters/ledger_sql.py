"""The ledger's SQL: several rows at once as arrays, sorted by key, so that two writers lock them in one order."""

from __future__ import annotations

from sqlalchemy import text

_HOLDING = "('calling', 'open', 'unknown', 'used')"

#: Inserts what may be entered: the order's next attempt, and a holding one only where no other row holds the order.
#: The unique indexes decide between two processes; whoever loses reads the winner's row.
ENTER = text(
    f"""
    INSERT INTO psp_registration (
        order_id, attempt, body_hash, command_id, idempotency_key, api_version, request,
        first_try_at, last_try_at, expires_at, state, session_id, outcome_type, outcome_body, proof)
    SELECT entry.order_id, entry.attempt, entry.body_hash, entry.command_id, entry.idempotency_key, entry.api_version,
           entry.request::json, entry.first_try_at, entry.last_try_at, entry.expires_at, entry.state,
           entry.session_id, entry.outcome_type, entry.outcome_body, entry.proof
    FROM unnest(
        CAST(:order_id AS text[]), CAST(:attempt AS integer[]), CAST(:body_hash AS text[]),
        CAST(:command_id AS text[]), CAST(:idempotency_key AS text[]), CAST(:api_version AS text[]),
        CAST(:request AS text[]), CAST(:first_try_at AS double precision[]), CAST(:last_try_at AS double precision[]),
        CAST(:expires_at AS bigint[]), CAST(:state AS text[]), CAST(:session_id AS text[]),
        CAST(:outcome_type AS text[]), CAST(:outcome_body AS bytea[]), CAST(:proof AS text[])
    ) AS entry (
        order_id, attempt, body_hash, command_id, idempotency_key, api_version, request,
        first_try_at, last_try_at, expires_at, state, session_id, outcome_type, outcome_body, proof)
    WHERE entry.attempt = 1 + COALESCE(
            (SELECT max(known.attempt) FROM psp_registration known WHERE known.order_id = entry.order_id), 0)
      AND (entry.state NOT IN {_HOLDING} OR NOT EXISTS (
            SELECT FROM psp_registration holder
            WHERE holder.order_id = entry.order_id AND holder.state IN {_HOLDING}))
    ORDER BY entry.order_id, entry.attempt
    ON CONFLICT DO NOTHING
    RETURNING order_id, attempt
    """  # noqa: S608  (a constant of this file)
)

ROWS_OF_ORDERS = text("SELECT * FROM psp_registration WHERE order_id = ANY(CAST(:order_ids AS text[]))")

LOCK = text(
    """
    SELECT FROM psp_registration
    WHERE (order_id, attempt) IN (
        SELECT * FROM unnest(CAST(:order_id AS text[]), CAST(:attempt AS integer[])))
    ORDER BY order_id, attempt
    FOR UPDATE
    """
)

#: `expected` is one comma separated list of states per row.
SETTLE = text(
    """
    UPDATE psp_registration AS row
    SET state = entry.state, last_try_at = entry.last_try_at, session_id = entry.session_id,
        outcome_type = entry.outcome_type, outcome_body = entry.outcome_body, proof = entry.proof
    FROM unnest(
        CAST(:order_id AS text[]), CAST(:attempt AS integer[]), CAST(:state AS text[]),
        CAST(:last_try_at AS double precision[]), CAST(:session_id AS text[]), CAST(:outcome_type AS text[]),
        CAST(:outcome_body AS bytea[]), CAST(:proof AS text[]), CAST(:expected AS text[])
    ) AS entry (order_id, attempt, state, last_try_at, session_id, outcome_type, outcome_body, proof, expected)
    WHERE row.order_id = entry.order_id AND row.attempt = entry.attempt
      AND row.state = ANY(string_to_array(entry.expected, ','))
    """
)

REFUND = text("SELECT * FROM psp_refund WHERE order_id = :order_id AND refund_reference = :refund_reference")

ENTER_REFUND = text(
    """
    INSERT INTO psp_refund (
        order_id, refund_reference, command_id, payment, amount, payment_intent, idempotency_key, api_version,
        request, first_try_at, last_try_at, state, refund_id, outcome_type, outcome_body, proof)
    VALUES (
        :order_id, :refund_reference, :command_id, :payment, :amount, :payment_intent, :idempotency_key, :api_version,
        CAST(:request AS json), :first_try_at, :last_try_at, :state, :refund_id, :outcome_type, :outcome_body, :proof)
    ON CONFLICT DO NOTHING
    """
)

SETTLE_REFUND = text(
    """
    UPDATE psp_refund
    SET state = :state, last_try_at = :last_try_at, refund_id = :refund_id,
        outcome_type = :outcome_type, outcome_body = :outcome_body, proof = :proof
    WHERE order_id = :order_id AND refund_reference = :refund_reference
      AND state = ANY(CAST(:expected AS text[]))
    """
)

POSITIONS = text("SELECT topic, partition, next_offset FROM ledger_position")

#: Where no row is one of the possible states: inserts it, or moves one that stands where it may.
ENTER_POSITION = text(
    """
    INSERT INTO ledger_position AS stored (topic, partition, next_offset) VALUES (:topic, :partition, :next_offset)
    ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset
    WHERE stored.next_offset = ANY(CAST(:possible AS bigint[]))
    """
)

MOVE_POSITION = text(
    """
    UPDATE ledger_position SET next_offset = :next_offset
    WHERE topic = :topic AND partition = :partition AND next_offset = ANY(CAST(:possible AS bigint[]))
    """
)
