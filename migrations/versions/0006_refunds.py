"""The PSP worker's memory of refunds: one row per refund reference of an order, entered before money can move.

`request` is json, not jsonb: every try sends the same parameters in the same order.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE psp_refund (
            order_id         text NOT NULL,
            refund_reference text NOT NULL,
            command_id       text NOT NULL,
            payment          text,
            amount           bigint CHECK (amount >= 1),
            payment_intent   text,
            idempotency_key  text NOT NULL,
            api_version      text NOT NULL,
            request          json NOT NULL,
            first_try_at     double precision NOT NULL,
            last_try_at      double precision NOT NULL,
            state            text NOT NULL CHECK (state IN ('calling', 'unknown', 'accepted', 'rejected')),
            refund_id        text,
            outcome_type     text,
            outcome_body     bytea,
            proof            text,
            PRIMARY KEY (order_id, refund_reference),
            -- whoever reads a settled row repeats its outcome
            CHECK (state IN ('calling', 'unknown') OR (outcome_type IS NOT NULL AND outcome_body IS NOT NULL)),
            CHECK (state <> 'accepted' OR refund_id IS NOT NULL)
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE psp_refund")
