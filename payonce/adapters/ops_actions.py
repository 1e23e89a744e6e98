"""The rows of ops_action, the audit chain: appended by one transaction at a time, never changed.

What payments.ops does not have yet, nobody else has seen: only that may get another number, after a restore.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from sqlalchemy import Connection, RowMapping, text

from payonce.adapters.advisory_locks import Lock, wait_for_transaction
from payonce.audit import naming
from payonce.ports.ops import Action, ChainedAction

_LAST = text("SELECT * FROM ops_action ORDER BY sequence DESC LIMIT 1")
_APPEND = text("""
    INSERT INTO ops_action (
        sequence, at, actor, action, subject, why, before_hash, after_hash, detail, prev_hash, hash)
    VALUES (
        :sequence, :at, :actor, :action, :subject, :why, :before_hash, :after_hash, CAST(:detail AS jsonb), :prev_hash,
        :hash)
""")
_OF = text("SELECT * FROM ops_action WHERE subject = :subject ORDER BY sequence DESC LIMIT :limit")
_BETWEEN = text("""
    SELECT * FROM ops_action
    WHERE sequence >= :first AND (CAST(:last AS bigint) IS NULL OR sequence <= :last)
    ORDER BY sequence
""")
_UNPUBLISHED = text("SELECT * FROM ops_action WHERE NOT published ORDER BY sequence LIMIT :limit")
_NEWEST_PUBLISHED = text("SELECT * FROM ops_action WHERE published ORDER BY sequence DESC LIMIT 1")
# By the hash too: after a restore the number may be another entry's.
_MARK = text("""
    UPDATE ops_action SET published = true
    FROM unnest(CAST(:sequences AS bigint[]), CAST(:hashes AS text[])) AS there (sequence, hash)
    WHERE ops_action.sequence = there.sequence AND ops_action.hash = there.hash
""")
_WITHDRAW = text("DELETE FROM ops_action WHERE NOT published")
# Reads every row: asked only of what lies on the topic and is no row, which takes a restore.
_TAKEN_UP = text("SELECT EXISTS (SELECT FROM ops_action WHERE detail @> CAST(:former AS jsonb))")
_ALL = text("SELECT * FROM ops_action ORDER BY sequence")


class ActionRows:
    """The part of ports.ops.OpsTransaction that concerns the audit chain."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def last_action(self) -> ChainedAction | None:
        wait_for_transaction(self._connection, Lock.AUDIT_CHAIN)  # until our own entry is appended
        row = self._connection.execute(_LAST).mappings().first()
        return None if row is None else _entry(row)

    def append_action(self, entry: ChainedAction) -> None:
        action = entry.action
        self._connection.execute(
            _APPEND,
            {
                "sequence": entry.sequence,
                "at": action.at,
                "actor": action.actor,
                "action": action.action,
                "subject": action.subject,
                "why": action.why,
                "before_hash": action.before_hash,
                "after_hash": action.after_hash,
                "detail": orjson.dumps(dict(action.detail)).decode(),
                "prev_hash": entry.prev_hash,
                "hash": entry.hash,
            },
        )

    def actions_of(self, subject: str, limit: int) -> Sequence[ChainedAction]:
        rows = self._connection.execute(_OF, {"subject": subject, "limit": limit}).mappings().all()
        return [_entry(row) for row in reversed(rows)]

    def actions_between(self, first: int, last: int | None = None) -> Sequence[ChainedAction]:
        rows = self._connection.execute(_BETWEEN, {"first": first, "last": last}).mappings()
        return [_entry(row) for row in rows]

    def unpublished_actions(self, limit: int) -> Sequence[ChainedAction]:
        return [_entry(row) for row in self._connection.execute(_UNPUBLISHED, {"limit": limit}).mappings()]

    def newest_published(self) -> ChainedAction | None:
        row = self._connection.execute(_NEWEST_PUBLISHED).mappings().first()
        return None if row is None else _entry(row)

    def mark_published(self, entries: Sequence[ChainedAction]) -> None:
        named = {"sequences": [entry.sequence for entry in entries], "hashes": [entry.hash for entry in entries]}
        self._connection.execute(_MARK, named)

    def withdraw_unpublished(self) -> None:
        self._connection.execute(_WITHDRAW)

    def has_taken_up(self, former_hash: str) -> bool:
        former = orjson.dumps(naming(former_hash)).decode()
        return bool(self._connection.execute(_TAKEN_UP, {"former": former}).scalar_one())


def read_chain(connection: Connection) -> tuple[list[ChainedAction], int]:
    """Return the whole chain as it is stored, oldest first, and the newest entry that was published (0: none)."""
    rows = connection.execute(_ALL).mappings().all()
    return [_entry(row) for row in rows], max((row["sequence"] for row in rows if row["published"]), default=0)


def _entry(row: RowMapping) -> ChainedAction:
    action = Action(
        at=row["at"],
        actor=row["actor"],
        action=row["action"],
        subject=row["subject"],
        why=row["why"],
        before_hash=row["before_hash"],
        after_hash=row["after_hash"],
        detail=row["detail"],
    )
    return ChainedAction(row["sequence"], action, row["prev_hash"], row["hash"])
