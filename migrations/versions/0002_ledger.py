"""The PSP worker's memory: what was asked of the PSP, and how far its commands are read.

`request` is json, not jsonb: every try sends the same parameters in the same order.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE psp_registration (
            order_id        text NOT NULL,
            attempt         integer NOT NULL CHECK (attempt >= 1),
            body_hash       text NOT NULL,
            command_id      text NOT NULL,
            idempotency_key text NOT NULL,
            api_version     text NOT NULL,
            request         json NOT NULL,
            first_try_at    double precision NOT NULL,
            last_try_at     double precision NOT NULL,
            expires_at      bigint NOT NULL,
            state           text NOT NULL CHECK (state IN
                ('calling', 'open', 'unknown', 'used', 'expired', 'cancelled', 'rejected', 'failed')),
            session_id      text,
            outcome_type    text,
            outcome_body    bytea,
            proof           text,
            PRIMARY KEY (order_id, attempt),
            -- whoever reads a settled row repeats its outcome
            CHECK (state = 'calling' OR (outcome_type IS NOT NULL AND outcome_body IS NOT NULL))
        )
        """
    )
    # Two payable sessions of one order cannot even be written down.
    op.execute(
        """
        CREATE UNIQUE INDEX psp_registration_one_holder ON psp_registration (order_id)
        WHERE state IN ('calling', 'open', 'unknown', 'used')
        """
    )
    op.execute(
        """
        CREATE TABLE ledger_position (
            topic       text NOT NULL,
            partition   integer NOT NULL,
            next_offset bigint NOT NULL,
            PRIMARY KEY (topic, partition)
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE ledger_position")
    op.execute("DROP TABLE psp_registration")
