"""The SQL of the fold store. Every statement over several rows meets them in the order of their key: no deadlocks."""

from __future__ import annotations

from sqlalchemy import text

ORDERS_OF = text("SELECT psp_id, order_id FROM psp_reference WHERE psp_id = ANY(:psp_ids)")

#: Two statements in one round trip. The second has its own snapshot, so it sees rows that others have just made.
LOCK_ORDERS = text("""
    INSERT INTO payment_order (order_id)
    SELECT wanted FROM unnest(CAST(:order_ids AS text[])) AS wanted ORDER BY wanted
    ON CONFLICT DO NOTHING;
    SELECT order_id, CAST(facts AS text), version, CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint),
           client_id, reference, payment_type, payment_method, psp, payment_order_status, attempt, amount, currency,
           amount_paid, amount_refunded, amount_disputed, failure_reason, flags,
           CAST(extract(epoch FROM evidence_due_by) AS bigint), CAST(extract(epoch FROM current_period_end) AS bigint),
           cancel_at_period_end, CAST(extract(epoch FROM next_payment_attempt) AS bigint)
    FROM payment_order WHERE order_id = ANY(:order_ids) ORDER BY order_id FOR UPDATE
""")

TAKE_PARKED = text("""
    DELETE FROM unresolved_event
    WHERE event_id IN (
        SELECT event_id FROM unresolved_event WHERE psp_ids && CAST(:psp_ids AS text[]) ORDER BY event_id FOR UPDATE)
    RETURNING event_id, psp_ids, topic, partition, "offset", key, value, header_names, header_values, timestamp_ms
""")

#: One JSON parameter instead of an array per column: a tenth of the driver's work for a row of this width.
SAVE_ORDERS = text("""
    UPDATE payment_order AS o SET
        client_id = n.client_id, reference = n.reference, body_hash = n.body_hash, payment_type = n.payment_type,
        payment_method = n.payment_method, psp = n.psp, amount = n.amount, currency = n.currency,
        redirect_url = n.redirect_url, payment_order_status = n.payment_order_status, attempt = n.attempt,
        psp_token = n.psp_token, hosted_page_url = n.hosted_page_url, client_secret = n.client_secret,
        page_expires_at = to_timestamp(n.page_expires_at), amount_paid = n.amount_paid,
        amount_refunded = n.amount_refunded, amount_disputed = n.amount_disputed, failure_reason = n.failure_reason,
        failure_detail = n.failure_detail, flags = n.flags, evidence_due_by = to_timestamp(n.evidence_due_by),
        current_period_end = to_timestamp(n.current_period_end), cancel_at_period_end = n.cancel_at_period_end,
        next_payment_attempt = to_timestamp(n.next_payment_attempt), facts = n.facts, version = n.version,
        updated_at = now(),
        status_since = CASE WHEN o.payment_order_status = n.payment_order_status
            THEN coalesce(o.status_since, o.updated_at) ELSE now() END
    FROM json_to_recordset(CAST(:rows AS json)) AS n (
        order_id text, client_id text, reference text, body_hash text, payment_type text, payment_method text,
        psp text, amount bigint, currency text, redirect_url text, payment_order_status text, attempt integer,
        psp_token text, hosted_page_url text, client_secret text, page_expires_at bigint, amount_paid bigint,
        amount_refunded bigint, amount_disputed bigint, failure_reason text, failure_detail text, flags text[],
        evidence_due_by bigint, current_period_end bigint, cancel_at_period_end boolean, next_payment_attempt bigint,
        facts jsonb, version bigint)
    WHERE o.order_id = n.order_id
""")

SAVE_REFERENCES = text("""
    INSERT INTO psp_reference AS r (psp_id, order_id, payment)
    SELECT * FROM unnest(CAST(:psp_ids AS text[]), CAST(:order_ids AS text[]), CAST(:payments AS text[]))
        AS n (psp_id, order_id, payment) ORDER BY psp_id
    ON CONFLICT (psp_id) DO UPDATE SET payment = EXCLUDED.payment
    WHERE r.payment IS NULL AND EXCLUDED.payment IS NOT NULL AND r.order_id = EXCLUDED.order_id
""")

#: The ids are drawn while the orders' rows are locked.
ANNOUNCE = text("""
    INSERT INTO outbox (order_id, body)
    SELECT * FROM unnest(CAST(:order_ids AS text[]), CAST(:bodies AS bytea[])) AS n (order_id, body) ORDER BY order_id
""")

NOTIFY = text("SELECT pg_notify('payonce_orders', :payload)")

RECORD = text("""
    INSERT INTO payment_event (event_id, event_type, occurred_at, order_id, topic, partition, "offset", effect, reason)
    SELECT event_id, event_type, to_timestamp(occurred_at), order_id, topic, partition, "offset", effect, reason
    FROM unnest(
        CAST(:event_id AS text[]), CAST(:event_type AS text[]), CAST(:occurred_at AS bigint[]),
        CAST(:order_id AS text[]), CAST(:topic AS text[]), CAST(:partition AS integer[]), CAST(:offset AS bigint[]),
        CAST(:effect AS text[]), CAST(:reason AS text[]))
        AS n (event_id, event_type, occurred_at, order_id, topic, partition, "offset", effect, reason)
    ORDER BY event_id, occurred_at
    ON CONFLICT DO NOTHING
""")

#: A repaired event comes with the id of the broken one and takes its place; how long it has waited stays.
PARK = text("""
    INSERT INTO unresolved_event AS u (
        event_id, psp_ids, topic, partition, "offset", key, value, header_names, header_values, timestamp_ms)
    VALUES (:event_id, :psp_ids, :topic, :partition, :offset, :key, :value, :header_names,
            CAST(:header_values AS bytea[]), :timestamp_ms)
    ON CONFLICT (event_id) DO UPDATE SET
        psp_ids = EXCLUDED.psp_ids, topic = EXCLUDED.topic, partition = EXCLUDED.partition,
        "offset" = EXCLUDED."offset", key = EXCLUDED.key, value = EXCLUDED.value,
        header_names = EXCLUDED.header_names, header_values = EXCLUDED.header_values,
        timestamp_ms = EXCLUDED.timestamp_ms
""")

RESOLVABLE = text("""
    SELECT psp_id FROM psp_reference
    WHERE psp_id IN (SELECT unnest(psp_ids) FROM unresolved_event)
    ORDER BY psp_id LIMIT :limit
""")

#: What two sweeps at once would both take, one of them leaves; what has become known, the next sweep folds.
DROP_FOREIGN = text("""
    DELETE FROM unresolved_event
    WHERE event_id IN (
        SELECT event_id FROM unresolved_event u
        WHERE EXISTS (SELECT FROM foreign_reference f WHERE f.psp_id = ANY(u.psp_ids))
          AND NOT EXISTS (SELECT FROM psp_reference r WHERE r.psp_id = ANY(u.psp_ids))
        ORDER BY event_id LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING event_id
""")

TAKE_OVERDUE = text("""
    DELETE FROM unresolved_event
    WHERE event_id IN (
        SELECT event_id FROM unresolved_event u
        WHERE waiting_since < now() - make_interval(secs => :seconds)
          AND NOT EXISTS (SELECT FROM psp_reference r WHERE r.psp_id = ANY(u.psp_ids))
        ORDER BY event_id LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING event_id, psp_ids, topic, partition, "offset", key, value, header_names, header_values, timestamp_ms
""")

#: Returns the rows that were as expected; a row that should not be there yet is refused by its key.
ADVANCE = text("""
    WITH n AS (
        SELECT * FROM unnest(
            CAST(:topics AS text[]), CAST(:partitions AS integer[]), CAST(:offsets AS bigint[]),
            CAST(:expected AS bigint[])) AS n (topic, partition, next_offset, expected)
    ), held AS (
        SELECT p.topic, p.partition, p.next_offset FROM fold_position p JOIN n USING (topic, partition)
        ORDER BY topic, partition FOR UPDATE OF p
    ), moved AS (
        UPDATE fold_position p SET next_offset = n.next_offset FROM n JOIN held USING (topic, partition)
        WHERE (p.topic, p.partition) = (n.topic, n.partition) AND held.next_offset = n.expected
        RETURNING p.topic
    ), made AS (
        INSERT INTO fold_position (topic, partition, next_offset)
        SELECT topic, partition, next_offset FROM n WHERE expected IS NULL ORDER BY topic, partition
        ON CONFLICT DO NOTHING RETURNING topic
    )
    SELECT (SELECT count(*) FROM moved) + (SELECT count(*) FROM made)
""")

POSITIONS = text("SELECT topic, partition, next_offset FROM fold_position")
