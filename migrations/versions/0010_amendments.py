"""The key and the type of what was last sent in a dead letter's place, beside its body.

No row is written: the new columns are null in the rows that there are. Nothing is sent without a type, so beside a body
null means "nobody wrote it down": the console takes the letter's own key and type then, wants every edit approved, and
counts the body as a refund if it could be one, until the next replay fills them in. The version before writes the body
alone: a row that it sends for after a rollback keeps the key and type of the sending before.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

COMMENTS = {
    "COLUMN dead_letter.amendment": "Body of what was last sent in its place: a new attempt, or its edit",
    "COLUMN dead_letter.amendment_key": "Key of the record whose body is in amendment",
    "COLUMN dead_letter.amendment_type": "Its ce_type; null beside a body: sent before there was this column",
}


def upgrade() -> None:
    op.execute("ALTER TABLE dead_letter ADD COLUMN amendment_key bytea, ADD COLUMN amendment_type text")
    for subject, comment in COMMENTS.items():
        quoted = comment.replace("'", "''")
        op.execute(f"COMMENT ON {subject} IS '{quoted}'")


def downgrade() -> None:
    op.execute("ALTER TABLE dead_letter DROP COLUMN amendment_key, DROP COLUMN amendment_type")
    op.execute(
        "COMMENT ON COLUMN dead_letter.amendment IS "
        "'Body of the last new attempt sent for it, sent again while it is usable'"
    )
