"""Tables of ops_console: the index of the dead-letter topics, what was done about them, replays under way.

They are backed up, not rebuilt: what people did is nowhere else. A letter's bytes are kept here too, so that deleting
old records from its topic never loses one.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = (
    # ------------------------------------------------------------------ dead_letter
    """
    CREATE TABLE dead_letter (
        letter_id       text PRIMARY KEY,
        origin          text        NOT NULL,
        failed_group    text        NOT NULL,
        dlt_topic       text        NOT NULL,
        dlt_partition   integer     NOT NULL,
        dlt_offset      bigint      NOT NULL,
        original_topic  text        NOT NULL,
        order_id        text,
        record_key      bytea,
        record_value    bytea,
        header_names    text[]      NOT NULL,
        header_values   bytea[]     NOT NULL,
        timestamp_ms    bigint      NOT NULL,
        event_type      text,
        reason          text        NOT NULL,
        error           text        NOT NULL,
        attempts        integer     NOT NULL,
        first_seen_at   timestamptz NOT NULL,
        last_seen_at    timestamptz NOT NULL,
        state           text        NOT NULL CHECK (state IN ('open', 'replayed', 'resolved', 'discarded')),
        state_since     timestamptz NOT NULL,
        resolution      text,
        awaits          text[]      NOT NULL DEFAULT '{}',
        amendment       bytea,
        edit_key        bytea,
        edit_value      bytea,
        edit_type       text,
        edit_by         text,
        edit_at         timestamptz,
        edit_reason     text,
        edit_hash       text,
        edit_is_money   boolean,
        edit_approved_by text,
        edit_approved_at timestamptz,
        UNIQUE (origin, failed_group)
    )
    """,
    "CREATE INDEX dead_letter_by_order ON dead_letter (order_id)",
    "CREATE INDEX dead_letter_by_state ON dead_letter (state, first_seen_at, letter_id)",
    "CREATE INDEX dead_letter_by_position ON dead_letter (dlt_topic, dlt_partition, dlt_offset)",
    # ------------------------------------------------------------------ dead_letter_position
    """
    CREATE TABLE dead_letter_position (
        topic       text    NOT NULL,
        partition   integer NOT NULL,
        next_offset bigint  NOT NULL,
        PRIMARY KEY (topic, partition)
    )
    """,
    # ------------------------------------------------------------------ replay, replay_item
    """
    CREATE TABLE replay (
        replay_id    text PRIMARY KEY,
        started_by   text        NOT NULL,
        started_at   timestamptz NOT NULL,
        why          text        NOT NULL,
        state        text        NOT NULL CHECK (state IN ('running', 'finished', 'cancelled')),
        ended_at     timestamptz,
        cancelled_by text
    )
    """,
    "CREATE INDEX replay_running ON replay (started_at, replay_id) WHERE state = 'running'",
    """
    CREATE TABLE replay_item (
        replay_id     text    NOT NULL REFERENCES replay,
        number        integer NOT NULL,
        letter_id     text    NOT NULL REFERENCES dead_letter,
        state         text    NOT NULL CHECK (state IN ('waiting', 'prepared', 'sent', 'skipped')),
        detail        text,
        topic         text,
        record_key    bytea,
        record_value  bytea,
        header_names  text[],
        header_values bytea[],
        PRIMARY KEY (replay_id, number),
        UNIQUE (replay_id, letter_id)
    )
    """,
    "CREATE INDEX replay_item_by_letter ON replay_item (letter_id)",
    # ------------------------------------------------------------------ ops_action
    """
    CREATE TABLE ops_action (
        sequence    bigint PRIMARY KEY,
        at          timestamptz NOT NULL,
        actor       text        NOT NULL,
        action      text        NOT NULL,
        subject     text        NOT NULL,
        why         text        NOT NULL,
        before_hash text,
        after_hash  text,
        detail      jsonb       NOT NULL DEFAULT '{}',
        prev_hash   text        NOT NULL,
        hash        text        NOT NULL,
        published   boolean     NOT NULL DEFAULT false
    )
    """,
    "CREATE INDEX ops_action_unpublished ON ops_action (sequence) WHERE NOT published",
    "CREATE INDEX ops_action_by_subject ON ops_action (subject, sequence)",
)

COMMENTS = {
    "TABLE dead_letter": "A message that was set aside: one row per (first origin, group that failed)",
    "COLUMN dead_letter.letter_id": "dl_ + base32 of SHA-256(origin, NUL, group)",
    "COLUMN dead_letter.origin": "topic/partition/offset of the first original",
    "COLUMN dead_letter.dlt_offset": "With topic and partition: the newest letter in its dead-letter topic",
    "COLUMN dead_letter.order_id": "The record's key where it is readable: an order id, or a PSP id on webhooks",
    "COLUMN dead_letter.record_value": "The original bytes, as the newest letter carries them",
    "COLUMN dead_letter.attempts": "How often it has failed; grows only when a replay comes back",
    "COLUMN dead_letter.resolution": "Why a letter is resolved: the timeline shows it, or nothing came back",
    "COLUMN dead_letter.awaits": "Any of these event ids in the timeline shows that the replay was taken in",
    "COLUMN dead_letter.amendment": "Body of the last new attempt sent for it, sent again while it is usable",
    "COLUMN dead_letter.edit_value": "The pending edit; its columns are null without one",
    "COLUMN dead_letter.edit_hash": "SHA-256 of what was edited: an approval names it",
    "COLUMN dead_letter.edit_is_money": "It touches money: a second person must approve before a replay",
    "TABLE dead_letter_position": "How far each dead-letter partition is indexed, written with the rows",
    "TABLE replay": "A selection of dead letters being sent again, at a bounded rate, by one process at a time",
    "TABLE replay_item": "One letter of a replay; the record is frozen before it is sent, so a crash repeats it",
    "TABLE ops_action": "Who did what, when and why; each row chained by SHA-256 to the one before. Never updated",
    "COLUMN ops_action.hash": "Of every column but published, prev_hash included",
    "COLUMN ops_action.published": "Whether payments.ops has it; the only column that ever changes",
}


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    for subject, comment in COMMENTS.items():
        quoted = comment.replace("'", "''")
        op.execute(f"COMMENT ON {subject} IS '{quoted}'")


def downgrade() -> None:
    for table in ("ops_action", "replay_item", "replay", "dead_letter_position", "dead_letter"):
        op.execute(f"DROP TABLE {table}")
