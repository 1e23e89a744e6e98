"""The paths to a client's orders: newest first, all of them or those in one status.

`created_at` and `order_id` never change. A change of status leaves its place in the table anyway, for the index of
unfinished orders, so the second index costs one entry more per change and no more than that.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INDEXES = (
    "CREATE INDEX payment_order_by_client ON payment_order (client_id, created_at, order_id)",
    """
    CREATE INDEX payment_order_by_client_status
    ON payment_order (client_id, payment_order_status, created_at, order_id)
    """,
)


def upgrade() -> None:
    for index in INDEXES:
        op.execute(index)


def downgrade() -> None:
    op.execute("DROP INDEX payment_order_by_client_status")
    op.execute("DROP INDEX payment_order_by_client")
