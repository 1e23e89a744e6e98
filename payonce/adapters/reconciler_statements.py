"""The SQL of the reconciler's store and of its report."""

from __future__ import annotations

from sqlalchemy import text

from payonce.domain.belonging import PAYMENT_PREFIXES
from payonce.domain.facts import DISPUTE_DECIDED, DISPUTE_RANK
from payonce.domain.proofs import SCAN_PROOF

#: As in the index payment_order_unfinished: PostgreSQL uses it only where it reads the same list.
UNFINISHED_STATUSES = ("created", "registered", "processing", "disputed", "past_due", "unpaid")
_UNFINISHED = ", ".join(f"'{status}'" for status in UNFINISHED_STATUSES)

#: Null in a row from before the column that has not been written since.
_SINCE = "coalesce(o.status_since, o.updated_at)"
#: Of a dispute under appeal: when that was told, status by status.
_APPEAL_TIMES = ", ".join(
    f"-CAST(told -> 'seen' ->> '{status}' AS bigint)" for status, rank in DISPUTE_RANK.items() if rank > DISPUTE_DECIDED
)
#: Whether the latest answer of the PSP about an appealed dispute shows a decision, and is younger than the appeal.
_IS_ANSWERED = f"""
    seen -> 3 = told -> 'state' -> 0 AND seen ->> 4 = '{DISPUTE_DECIDED}'
    AND CAST(seen ->> 1 AS bigint) > coalesce(greatest({_APPEAL_TIMES}), 0)"""

WATERMARK = text("SELECT done_until, done_name FROM reconcile_watermark WHERE task = :task")
ADVANCE = text("""
    INSERT INTO reconcile_watermark (task, done_until, done_name) VALUES (:task, :until, :name)
    ON CONFLICT (task) DO UPDATE SET
        done_until = EXCLUDED.done_until, done_name = EXCLUDED.done_name, advanced_at = now()
""")

#: `occurred_at` of a PSP's event is its `created`, and the timeline is partitioned by it.
KNOWN_EVENTS = text("""
    SELECT asked.event_id FROM unnest(CAST(:ids AS text[]), CAST(:times AS bigint[])) AS asked (event_id, created)
    WHERE EXISTS (
            SELECT FROM payment_event e
            WHERE e.event_id = asked.event_id AND e.occurred_at = to_timestamp(asked.created))
       OR EXISTS (SELECT FROM unresolved_event u WHERE u.event_id = asked.event_id)
""")

#: Names are compared by their bytes, whatever the database's collation is. Nothing is tried after its expiry, and a
#: refused registration has no session. Facts are wide: those of `appeal` are read only of what is due. The last age of
#: a rule that repeats stands for its latest repetition.
DUE_ORDERS = text(f"""
    WITH rule AS MATERIALIZED (
        SELECT reason, age, every
        FROM unnest(CAST(:reasons AS text[]), CAST(:ages AS bigint[]), CAST(:every AS bigint[]))
            AS rule (reason, age, every)
    ), sessionless AS MATERIALIZED (
        SELECT order_id, CAST(floor(last_try_at) AS bigint) AS tried_at, expires_at FROM psp_registration
        WHERE session_id IS NULL AND state IN ('unknown', 'failed', 'cancelled')
          AND (state <> 'failed' OR starts_with(proof, '{SCAN_PROOF}'))
          AND expires_at > :after - (SELECT max(age) FROM rule WHERE reason IN ('expiry', 'late_born'))
    ), appeal AS MATERIALIZED (
        SELECT o.order_id, o.facts, CAST(floor(extract(epoch FROM o.updated_at)) AS bigint) + rule.age AS due_at,
               rule.reason
        FROM payment_order o JOIN rule ON rule.reason = 'appealed'
        WHERE o.payment_order_status = 'disputed'
          AND CAST(floor(extract(epoch FROM o.updated_at)) AS bigint) + rule.age > :after
          AND CAST(floor(extract(epoch FROM o.updated_at)) AS bigint) + rule.age <= :until
      UNION ALL
        SELECT o.order_id, o.facts, begin.at + rule.age, rule.reason
        FROM payment_order o JOIN rule ON rule.reason IN ('appealed', 'lost_again') CROSS JOIN LATERAL (
            SELECT CAST(floor(extract(epoch FROM CASE rule.reason
                WHEN 'appealed' THEN o.updated_at ELSE {_SINCE} END)) AS bigint) AS at
        ) AS begin
        WHERE o.payment_order_status = 'charged_back' AND ARRAY['appealed', 'lost_again'] && CAST(:reasons AS text[])
          AND begin.at + rule.age > :after AND begin.at + rule.age <= :until
    ), due AS (
        SELECT o.order_id, rule.reason, begin.at + rule.age
            + coalesce(greatest(:until - begin.at - rule.age, 0) / rule.every * rule.every, 0) AS due_at
        FROM payment_order o JOIN rule ON rule.reason = o.payment_order_status CROSS JOIN LATERAL (
            SELECT CAST(floor(extract(epoch FROM {_SINCE})) AS bigint) AS at
        ) AS begin
        WHERE o.payment_order_status IN ({_UNFINISHED}) AND o.payment_order_status = ANY(:reasons)
      UNION ALL
        SELECT o.order_id, rule.reason, CAST(extract(epoch FROM o.page_expires_at) AS bigint) + rule.age
        FROM payment_order o JOIN rule ON rule.reason = 'expiry'
        WHERE o.payment_order_status IN ({_UNFINISHED}) AND o.page_expires_at IS NOT NULL
      UNION ALL
        SELECT order_id, reason, due_at FROM appeal
        WHERE EXISTS (
            SELECT FROM jsonb_each(facts -> 'disputes') AS dispute (dispute_id, told)
                CROSS JOIN LATERAL (SELECT facts -> 'snapshots' -> dispute_id AS seen) AS snapshot
            WHERE CAST(told -> 'state' ->> 1 AS integer) > {DISPUTE_DECIDED}
              AND (reason = 'lost_again' OR ({_IS_ANSWERED}) IS NOT TRUE))
      UNION ALL
        SELECT r.order_id, 'late_born', r.tried_at + rule.age
        FROM sessionless r JOIN rule ON rule.reason = 'late_born'
      UNION ALL
        SELECT r.order_id, 'late_born', r.expires_at + rule.age
        FROM sessionless r JOIN rule ON rule.reason = 'expiry'
    ), latest AS (
        SELECT DISTINCT ON (order_id) order_id, due_at, reason FROM due
        WHERE due_at > :after AND due_at <= :until
        ORDER BY order_id, due_at DESC, reason COLLATE "C" DESC
    ), picked AS (
        SELECT * FROM latest WHERE due_at > :after + 1 OR order_id COLLATE "C" > :name
        ORDER BY due_at, order_id COLLATE "C" LIMIT :limit
    )
    SELECT picked.order_id, picked.due_at, picked.reason,
           array_remove(ARRAY[o.psp_token] || ARRAY(
               SELECT dispute COLLATE "C" FROM jsonb_object_keys(o.facts -> 'disputes') AS dispute ORDER BY 1), NULL)
    FROM picked LEFT JOIN payment_order o USING (order_id)
    ORDER BY picked.due_at, picked.order_id COLLATE "C"
""")  # noqa: S608  (constants of this file)

DUE_WAITING = text(f"""
    WITH latest AS (
        SELECT u.event_id, u.psp_ids, max(CAST(floor(extract(epoch FROM u.waiting_since)) AS bigint) + age) AS due_at
        FROM unresolved_event u CROSS JOIN unnest(CAST(:ages AS bigint[])) AS age
        WHERE CAST(floor(extract(epoch FROM u.waiting_since)) AS bigint) + age > :after
          AND CAST(floor(extract(epoch FROM u.waiting_since)) AS bigint) + age <= :until
        GROUP BY u.event_id
    )
    SELECT event_id, psp_ids, due_at FROM latest
    WHERE (due_at > :after + 1 OR event_id COLLATE "C" > :name)
      AND (SELECT bool_and(psp_id ~ '^({"|".join(PAYMENT_PREFIXES)})') FROM unnest(psp_ids) AS psp_id) = :payments
    ORDER BY due_at, event_id COLLATE "C" LIMIT :limit
""")  # noqa: S608  (constants)

#: Longer than the topics keep a record that could name such an object, so that verification can still tell whose it is.
FOREIGN_DAYS = 100

FORGET_FOREIGN = text("""
    DELETE FROM foreign_reference WHERE psp_id IN (
        SELECT psp_id FROM foreign_reference
        WHERE seen_at < now() - make_interval(days => :days) ORDER BY seen_at LIMIT :limit
    )
""")

REMEMBER_FOREIGN = text("""
    INSERT INTO foreign_reference (psp_id)
    SELECT psp_id FROM unnest(CAST(:psp_ids AS text[])) AS psp_id ORDER BY psp_id
    ON CONFLICT (psp_id) DO UPDATE SET seen_at = clock_timestamp()
""")

AGES = text(f"""
    SELECT o.payment_order_status, count(*), CAST(floor(extract(epoch FROM min({_SINCE}))) AS bigint),
           count(*) FILTER (WHERE {_SINCE} < clock_timestamp() - make_interval(secs => asked.seconds))
    FROM payment_order o
    JOIN unnest(CAST(:statuses AS text[]), CAST(:seconds AS bigint[])) AS asked (status, seconds)
      ON asked.status = o.payment_order_status
    WHERE o.payment_order_status IN ({_UNFINISHED})
    GROUP BY o.payment_order_status
""")  # noqa: S608  (constants of this file)

# ------------------------------------------------------------------------------------------ the report

TOUCHED = text("""
    SELECT o.order_id, o.payment_order_status, o.amount_paid, o.amount_refunded, CAST(o.facts AS text) AS facts,
           array_remove(array_agg(DISTINCT r.session_id) || o.psp_token, NULL) AS session_ids
    FROM payment_order o LEFT JOIN psp_registration r ON r.order_id = o.order_id
    WHERE o.updated_at >= to_timestamp(:since) AND o.order_id > :after
    GROUP BY o.order_id ORDER BY o.order_id LIMIT :limit
""")

STUCK = text(f"""
    SELECT o.order_id, o.payment_order_status, CAST(floor(extract(epoch FROM {_SINCE})) AS bigint) AS since
    FROM payment_order o
    JOIN unnest(CAST(:statuses AS text[]), CAST(:seconds AS bigint[])) AS asked (status, seconds)
      ON asked.status = o.payment_order_status
    WHERE o.payment_order_status IN ({_UNFINISHED})
      AND {_SINCE} < clock_timestamp() - make_interval(secs => asked.seconds)
    ORDER BY {_SINCE} LIMIT :limit
""")  # noqa: S608  (constants of this file)
