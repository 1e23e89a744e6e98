"""Since when an order is in its status, and how far the reconciler is within one second.

No row is written: the new column is null in the rows that there are, which reads as "since updated_at", and the fold
fills it as it writes them. The index is made in one pass over payment_order, during which its writers wait.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE payment_order ADD COLUMN status_since timestamptz",
    "ALTER TABLE payment_order ALTER COLUMN status_since SET DEFAULT now()",
    "CREATE INDEX payment_order_charged_back ON payment_order (order_id) WHERE payment_order_status = 'charged_back'",
    "ALTER TABLE reconcile_watermark ADD COLUMN done_name text NOT NULL DEFAULT ''",
    # What was one line each is now two: the second goes on where the first was.
    """
    INSERT INTO reconcile_watermark (task, done_until)
    SELECT line.task, w.done_until FROM reconcile_watermark w
    JOIN (VALUES ('orders', 'slow_orders'), ('waiting', 'waiting_payments')) AS line (was, task) ON line.was = w.task
    ON CONFLICT DO NOTHING
    """,
    "CREATE INDEX foreign_reference_by_age ON foreign_reference (seen_at)",
)

COMMENTS = {
    "COLUMN payment_order.status_since": "When this row took its status; null: not written since there is this column",
    "COLUMN reconcile_watermark.done_until": "Unix seconds; all that was due up to then is done",
    "COLUMN reconcile_watermark.done_name": "Of the second after done_until, what is due is done up to this id",
}


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    for subject, comment in COMMENTS.items():
        op.execute(f"COMMENT ON {subject} IS '{comment}'")


def downgrade() -> None:
    op.execute("DROP INDEX foreign_reference_by_age")
    op.execute("DELETE FROM reconcile_watermark WHERE task IN ('slow_orders', 'waiting_payments')")
    op.execute("ALTER TABLE reconcile_watermark DROP COLUMN done_name")
    op.execute("COMMENT ON COLUMN reconcile_watermark.done_until IS 'Unix seconds; everything before is in the log'")
    op.execute("DROP INDEX payment_order_charged_back")
    op.execute("ALTER TABLE payment_order DROP COLUMN status_since")
