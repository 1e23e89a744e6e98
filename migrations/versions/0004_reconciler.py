"""Tables of the reconciler: how far it has asked, and what is not ours; and the paths to what it looks for.

Both can be lost without harm: it asks again.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE reconcile_watermark (
        task        text PRIMARY KEY,
        done_until  bigint      NOT NULL,
        advanced_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE foreign_reference (
        psp_id  text PRIMARY KEY,
        seen_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    # The time is not in the index: an order's row is updated more often than its status changes, and stays in place.
    """
    CREATE INDEX payment_order_unfinished ON payment_order (payment_order_status)
    WHERE payment_order_status IN ('created', 'registered', 'processing', 'disputed', 'past_due', 'unpaid')
    """,
    "CREATE INDEX payment_order_by_update ON payment_order USING brin (updated_at)",
    """
    CREATE INDEX psp_registration_without_session ON psp_registration (expires_at)
    WHERE session_id IS NULL AND state IN ('unknown', 'failed', 'cancelled')
    """,
    "CREATE INDEX unresolved_event_by_age ON unresolved_event (waiting_since)",
    "COMMENT ON TABLE reconcile_watermark IS 'How far each task of the reconciler is done'",
    "COMMENT ON COLUMN reconcile_watermark.done_until IS 'Unix seconds; everything before is in the log'",
    "COMMENT ON TABLE foreign_reference IS 'PSP objects that the PSP says are not ours; events about them are dropped'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for index in (
        "unresolved_event_by_age",
        "psp_registration_without_session",
        "payment_order_by_update",
        "payment_order_unfinished",
    ):
        op.execute(f"DROP INDEX {index}")
    for table in ("foreign_reference", "reconcile_watermark"):
        op.execute(f"DROP TABLE {table}")
