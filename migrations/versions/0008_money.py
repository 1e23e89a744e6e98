"""The fold's books: every movement of money and every invoice, and the deadlines of an order.

They follow from the facts of payment_order as its other columns do: `payonce recompute` fills them for the orders that
are there already, `payonce rebuild` makes them anew. No row refers to payment_order by a foreign key: the fold writes
all of them under the order's lock.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = (
    # ------------------------------------------------------------------ payment_movement
    """
    CREATE TABLE payment_movement (
        order_id    text        NOT NULL,
        psp_id      text        NOT NULL,
        kind        text        NOT NULL CHECK (kind IN ('charge', 'refund', 'dispute', 'reversal')),
        payment     text,
        amount      bigint      NOT NULL CHECK (amount <> 0 AND (amount > 0) = (kind IN ('charge', 'reversal'))),
        currency    text        NOT NULL,
        state       text        NOT NULL CHECK (state IN ('pending', 'settled', 'reversed')),
        psp_status  text        NOT NULL,
        reverses    text        CHECK (reverses IN ('refund', 'dispute')),
        occurred_at timestamptz,
        recorded_at timestamptz NOT NULL DEFAULT now(),
        updated_at  timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (order_id, psp_id, kind),
        CHECK ((kind = 'reversal') = (reverses IS NOT NULL))
    )
    """,
    "CREATE INDEX payment_movement_by_currency ON payment_movement (currency, occurred_at)",
    # ------------------------------------------------------------------ payment_invoice
    """
    CREATE TABLE payment_invoice (
        order_id        text        NOT NULL,
        invoice_id      text        NOT NULL,
        subscription    text,
        status          text        NOT NULL,
        period_start    timestamptz,
        period_end      timestamptz NOT NULL,
        amount_due      bigint,
        amount_paid     bigint      NOT NULL,
        currency        text,
        attempts        integer     NOT NULL,
        next_attempt_at timestamptz,
        billing_reason  text,
        recorded_at     timestamptz NOT NULL DEFAULT now(),
        updated_at      timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (order_id, invoice_id)
    )
    """,
    "CREATE INDEX payment_invoice_by_currency ON payment_invoice (currency, period_end)",
    "CREATE INDEX payment_invoice_open ON payment_invoice (next_attempt_at) WHERE status = 'open'",
    # ------------------------------------------------------------------ payment_order
    """
    ALTER TABLE payment_order
        ADD COLUMN evidence_due_by      timestamptz,
        ADD COLUMN current_period_end   timestamptz,
        ADD COLUMN cancel_at_period_end boolean,
        ADD COLUMN next_payment_attempt timestamptz,
        ALTER COLUMN attempt SET DEFAULT 1
    """,
    # What the facts of an order say of which nothing is known: a row that only a question about it has made.
    "UPDATE payment_order SET attempt = 1 WHERE attempt = 0",
    """
    CREATE INDEX payment_order_awaiting_evidence ON payment_order (evidence_due_by)
    WHERE evidence_due_by IS NOT NULL
    """,
)

COMMENTS = {
    "TABLE payment_movement": "Every movement of money of an order. Written by the fold alone",
    "COLUMN payment_movement.psp_id": "The payment, refund or dispute; a reversal has the id of what it reverses",
    "COLUMN payment_movement.kind": "charge +, refund -, dispute -, reversal + (of a failed refund, a won dispute)",
    "COLUMN payment_movement.payment": "The payment that it belongs to; null while that is not known",
    "COLUMN payment_movement.amount": "Minor units, signed from the shop''s side: the sum of all is what is left",
    "COLUMN payment_movement.state": "pending: may still go either way; settled; reversed: stands beside its reversal",
    "COLUMN payment_movement.psp_status": "The PSP''s word for it",
    "COLUMN payment_movement.reverses": "Of a reversal: refund or dispute",
    "COLUMN payment_movement.occurred_at": "When an event first told it; null if its facts are older than this table",
    "TABLE payment_invoice": "Every invoice of an order''s subscription. Written by the fold alone",
    "COLUMN payment_invoice.period_start": "Of the service that it bills, else the invoice''s own; null: not told",
    "COLUMN payment_invoice.amount_due": "Minor units; null: not told",
    "COLUMN payment_invoice.attempts": "How often the PSP has tried to collect it",
    "COLUMN payment_invoice.next_attempt_at": "When the PSP tries again, while it is open",
    "COLUMN payment_order.attempt": "The attempt that decides the status; 1 while none is known",
    "COLUMN payment_order.evidence_due_by": "The next deadline of a dispute that waits for the shop",
    "COLUMN payment_order.current_period_end": "Until when the live subscription is paid for",
    "COLUMN payment_order.cancel_at_period_end": "Whether it ends then; null: no live subscription",
    "COLUMN payment_order.next_payment_attempt": "When the PSP tries again to collect the latest invoice",
}


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    for subject, comment in COMMENTS.items():
        op.execute(f"COMMENT ON {subject} IS '{comment}'")


def downgrade() -> None:
    op.execute(
        """
        ALTER TABLE payment_order
            DROP COLUMN evidence_due_by,
            DROP COLUMN current_period_end,
            DROP COLUMN cancel_at_period_end,
            DROP COLUMN next_payment_attempt,
            ALTER COLUMN attempt SET DEFAULT 0
        """
    )
    for table in ("payment_invoice", "payment_movement"):
        op.execute(f"DROP TABLE {table}")
