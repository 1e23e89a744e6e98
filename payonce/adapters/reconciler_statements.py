"""The SQL of the reconciler's store and of its report."""

from __future__ import annotations

from sqlalchemy import text

#: As in the index payment_order_unfinished: PostgreSQL uses it only where it reads the same list.
UNFINISHED_STATUSES = ("created", "registered", "processing", "disputed", "past_due", "unpaid")
_UNFINISHED = ", ".join(f"'{status}'" for status in UNFINISHED_STATUSES)

#: The PSP closes a session at its expiry; so much later it has said so, or the news was lost.
EXPIRY_GRACE_SECONDS = 900
#: A session may still appear for an attempt that a search did not find: looked for at these ages of its last try,
#: and once more after its expiry.
LATE_BORN_AGES = (600, 3_600)

WATERMARK = text("SELECT done_until FROM reconcile_watermark WHERE task = :task")
ADVANCE = text("""
    INSERT INTO reconcile_watermark (task, done_until) VALUES (:task, :until)
    ON CONFLICT (task) DO UPDATE SET done_until = EXCLUDED.done_until, advanced_at = now()
""")

#: `occurred_at` of a PSP's event is its `created`, and the timeline is partitioned by it.
KNOWN_EVENTS = text("""
    SELECT asked.event_id FROM unnest(CAST(:ids AS text[]), CAST(:times AS bigint[])) AS asked (event_id, created)
    WHERE EXISTS (
            SELECT FROM payment_event e
            WHERE e.event_id = asked.event_id AND e.occurred_at = to_timestamp(asked.created))
       OR EXISTS (SELECT FROM unresolved_event u WHERE u.event_id = asked.event_id)
""")

DUE_ORDERS = text(f"""
    WITH unfinished AS MATERIALIZED (
        SELECT order_id, payment_order_status, updated_at, page_expires_at
        FROM payment_order WHERE payment_order_status IN ({_UNFINISHED})
    ), due AS (
        SELECT o.order_id, CAST(floor(extract(epoch FROM o.updated_at)) AS bigint) + rule.age AS due_at,
               o.payment_order_status AS reason
        FROM unfinished o
        JOIN unnest(CAST(:statuses AS text[]), CAST(:ages AS bigint[])) AS rule (status, age)
          ON rule.status = o.payment_order_status
      UNION ALL
        SELECT o.order_id, CAST(extract(epoch FROM o.page_expires_at) AS bigint) + {EXPIRY_GRACE_SECONDS}, 'expiry'
        FROM unfinished o WHERE o.page_expires_at IS NOT NULL
      UNION ALL
        SELECT r.order_id, late.due_at, 'late_born'
        FROM psp_registration r
        CROSS JOIN LATERAL (
            SELECT CAST(floor(r.last_try_at) AS bigint) + age FROM unnest(CAST(:late_ages AS bigint[])) AS age
            UNION ALL SELECT r.expires_at + {EXPIRY_GRACE_SECONDS}) AS late (due_at)
        WHERE r.session_id IS NULL AND r.state IN ('unknown', 'failed', 'cancelled')
          AND r.expires_at + {EXPIRY_GRACE_SECONDS} > :after
    ), latest AS (
        SELECT DISTINCT ON (order_id) order_id, due_at, reason FROM due
        WHERE due_at > :after AND due_at <= :until
        ORDER BY order_id, due_at DESC, reason
    ), picked AS (
        SELECT * FROM latest ORDER BY due_at FETCH FIRST (:limit) ROWS WITH TIES
    )
    SELECT picked.order_id, picked.due_at, picked.reason, o.psp_token
    FROM picked LEFT JOIN payment_order o USING (order_id)
    ORDER BY picked.due_at, picked.order_id
""")  # noqa: S608  (constants of this file)

DUE_WAITING = text("""
    SELECT event_id, psp_ids, max(due_at) AS due_at
    FROM (
        SELECT u.event_id, u.psp_ids, CAST(floor(extract(epoch FROM u.waiting_since)) AS bigint) + age AS due_at
        FROM unresolved_event u CROSS JOIN unnest(CAST(:ages AS bigint[])) AS age
    ) AS due
    WHERE due_at > :after AND due_at <= :until
    GROUP BY event_id, psp_ids
    ORDER BY max(due_at) FETCH FIRST (:limit) ROWS WITH TIES
""")

#: Longer than the topics keep a record that could name such an object, so that verification can still tell whose it is.
FOREIGN_DAYS = 100

FORGET_FOREIGN = text("""
    DELETE FROM foreign_reference WHERE psp_id IN (
        SELECT psp_id FROM foreign_reference
        WHERE seen_at < clock_timestamp() - make_interval(days => :days) LIMIT :limit
    )
""")

REMEMBER_FOREIGN = text("""
    INSERT INTO foreign_reference (psp_id)
    SELECT psp_id FROM unnest(CAST(:psp_ids AS text[])) AS psp_id ORDER BY psp_id
    ON CONFLICT (psp_id) DO UPDATE SET seen_at = clock_timestamp()
""")

AGES = text(f"""
    SELECT o.payment_order_status, count(*), CAST(floor(extract(epoch FROM min(o.updated_at))) AS bigint),
           count(*) FILTER (WHERE o.updated_at < clock_timestamp() - make_interval(secs => asked.seconds))
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
    SELECT o.order_id, o.payment_order_status, CAST(floor(extract(epoch FROM o.updated_at)) AS bigint) AS since
    FROM payment_order o
    JOIN unnest(CAST(:statuses AS text[]), CAST(:seconds AS bigint[])) AS asked (status, seconds)
      ON asked.status = o.payment_order_status
    WHERE o.payment_order_status IN ({_UNFINISHED})
      AND o.updated_at < clock_timestamp() - make_interval(secs => asked.seconds)
    ORDER BY o.updated_at LIMIT :limit
""")  # noqa: S608  (constants of this file)
