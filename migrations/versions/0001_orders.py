"""Tables of status_processor: orders, their timeline, PSP ids, waiting events, positions, outbox.

All of them but the outbox can be made anew from the topics. Their comments are their documentation.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    # ------------------------------------------------------------------ payment_order
    """
    CREATE TABLE payment_order (
        order_id             text PRIMARY KEY,
        client_id            text,
        reference            text,
        body_hash            text,
        payment_type         text,
        payment_method       text,
        psp                  text,
        amount               bigint,
        currency             text,
        redirect_url         text,
        payment_order_status text        NOT NULL DEFAULT 'created',
        attempt              integer     NOT NULL DEFAULT 0,
        psp_token            text,
        hosted_page_url      text,
        client_secret        text,
        page_expires_at      timestamptz,
        amount_paid          bigint      NOT NULL DEFAULT 0,
        amount_refunded      bigint      NOT NULL DEFAULT 0,
        amount_disputed      bigint      NOT NULL DEFAULT 0,
        failure_reason       text,
        failure_detail       text,
        flags                text[]      NOT NULL DEFAULT '{}',
        facts                jsonb       NOT NULL DEFAULT '{}',
        version              bigint      NOT NULL DEFAULT 0,
        created_at           timestamptz NOT NULL DEFAULT now(),
        updated_at           timestamptz NOT NULL DEFAULT now()
    ) WITH (fillfactor = 70)
    """,
    # order_id is derived from (client, reference), so this serves look-ups, not uniqueness.
    "CREATE INDEX payment_order_by_reference ON payment_order (client_id, reference)",
    # ------------------------------------------------------------------ payment_event
    """
    CREATE TABLE payment_event (
        event_id    text        NOT NULL,
        occurred_at timestamptz NOT NULL,
        order_id    text        NOT NULL,
        event_type  text        NOT NULL,
        topic       text        NOT NULL,
        partition   integer     NOT NULL,
        "offset"    bigint      NOT NULL,
        effect      text        NOT NULL CHECK (effect IN ('applied', 'no_change', 'ignored')),
        reason      text,
        recorded_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (event_id, occurred_at)
    ) PARTITION BY RANGE (occurred_at)
    """,
    "CREATE INDEX payment_event_by_order ON payment_event (order_id, occurred_at)",
    "CREATE TABLE payment_event_default PARTITION OF payment_event DEFAULT",
    # ------------------------------------------------------------------ psp_reference, unresolved_event
    """
    CREATE TABLE psp_reference (
        psp_id   text PRIMARY KEY,
        order_id text NOT NULL,
        payment  text
    )
    """,
    """
    CREATE TABLE unresolved_event (
        event_id      text PRIMARY KEY,
        psp_ids       text[]      NOT NULL,
        topic         text        NOT NULL,
        partition     integer     NOT NULL,
        "offset"      bigint      NOT NULL,
        key           bytea,
        value         bytea,
        header_names  text[]      NOT NULL,
        header_values bytea[]     NOT NULL,
        timestamp_ms  bigint      NOT NULL,
        waiting_since timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX unresolved_event_by_psp_id ON unresolved_event USING gin (psp_ids) WITH (fastupdate = off)",
    # ------------------------------------------------------------------ fold_position, outbox
    """
    CREATE TABLE fold_position (
        topic       text    NOT NULL,
        partition   integer NOT NULL,
        next_offset bigint  NOT NULL,
        PRIMARY KEY (topic, partition)
    )
    """,
    """
    CREATE TABLE outbox (
        id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        order_id   text        NOT NULL,
        body       bytea       NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
)

COMMENTS = {
    "TABLE payment_order": "An order: its facts, and the public state that follows. Written by the fold alone",
    "COLUMN payment_order.order_id": "ord_ + base32 of SHA-256(client id, NUL, reference)",
    "COLUMN payment_order.client_id": "Null, as all terms, while a token or webhook came before its command",
    "COLUMN payment_order.amount": "In the minor unit of the currency, as the PSP counts",
    "COLUMN payment_order.payment_order_status": "A pure function of the facts",
    "COLUMN payment_order.attempt": "The latest attempt that was commanded; 0: none known",
    "COLUMN payment_order.psp_token": "The PSP's id of the latest registration (Stripe: cs_...)",
    "COLUMN payment_order.hosted_page_url": "The PSP's payment page; null once the session has closed",
    "COLUMN payment_order.client_secret": "For card fields on the shop's page; null once the session has closed",
    "COLUMN payment_order.page_expires_at": "When the PSP closes the page by itself",
    "COLUMN payment_order.amount_disputed": "Sum of the disputes that are open or lost",
    "COLUMN payment_order.failure_reason": "Why the latest attempt could not be registered",
    "COLUMN payment_order.flags": "What ops should look at: amount_mismatch, duplicate_payment ...",
    "COLUMN payment_order.facts": "What is known, merged without regard to order or repetition",
    "COLUMN payment_order.version": "Of the last announcement; max(previous + 1, unix ms): never back. 0: none yet",
    "TABLE payment_event": "Timeline: every event that touched an order, and its effect. For people; never a filter",
    "COLUMN payment_event.occurred_at": "The event's own time, so that a repetition meets the same row",
    "COLUMN payment_event.topic": "With partition and offset: where the raw message lies",
    "COLUMN payment_event.effect": "applied, no_change (known before) or ignored (with the reason)",
    "TABLE payment_event_default": "Events outside the months made so far; they move when their month is made",
    "TABLE psp_reference": "Every PSP id ever seen with an order",
    "COLUMN psp_reference.payment": "The payment within the order that the id belongs to",
    "TABLE unresolved_event": "PSP events whose order is not known yet, as they were read",
    "COLUMN unresolved_event.psp_ids": "Any of these, once known, tells the order",
    "TABLE fold_position": "How far each partition is folded, written with the rows. The truth when Kafka says more",
    "COLUMN fold_position.next_offset": "Everything below is in these tables",
    "TABLE outbox": "Announcements on their way to payments.status; deleted after the delivery report",
    "COLUMN outbox.id": "Drawn under the order's lock: of two of one order the lower is older",
    "COLUMN outbox.body": "The finished OrderStatusChanged",
}


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    for subject, comment in COMMENTS.items():
        quoted = comment.replace("'", "''")
        op.execute(f"COMMENT ON {subject} IS '{quoted}'")


def downgrade() -> None:
    for table in ("outbox", "fold_position", "unresolved_event", "psp_reference", "payment_event", "payment_order"):
        op.execute(f"DROP TABLE {table}")
