"""One row per PSP worker process, moved on in each of its transactions: an older row shows a restored database."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE ledger_writer (
            writer uuid PRIMARY KEY,
            beat   bigint NOT NULL,
            at     timestamptz NOT NULL DEFAULT now()
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE ledger_writer")
