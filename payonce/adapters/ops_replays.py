"""The rows of replay and replay_item: selections of dead letters on their way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

from sqlalchemy import Connection, RowMapping, text

from payonce.ports import OutgoingRecord
from payonce.ports.ops import ItemState, Replay, ReplayItem, ReplayState

_INSERT = text("""
    INSERT INTO replay (replay_id, started_by, started_at, why, state, ended_at, cancelled_by)
    VALUES (:replay_id, :started_by, :started_at, :why, :state, :ended_at, :cancelled_by)
""")
_INSERT_ITEMS = text("""
    INSERT INTO replay_item (replay_id, number, letter_id, state)
    SELECT :replay_id, number, letter_id, 'waiting'
    FROM unnest(CAST(:letter_ids AS text[])) WITH ORDINALITY AS item (letter_id, number)
""")
_ONE = text("SELECT * FROM replay WHERE replay_id = :replay_id FOR UPDATE")
_NEWEST_FIRST = text("""
    SELECT * FROM replay
    WHERE (CAST(:state AS text) IS NULL OR state = :state)
      AND (CAST(:after AS text) IS NULL
           OR (started_at, replay_id) < (SELECT started_at, replay_id FROM replay WHERE replay_id = :after))
    ORDER BY started_at DESC, replay_id DESC LIMIT :limit
""")
# A record that is prepared is sent even after a cancellation: its letter says so already.
_RUNNING = text("""
    SELECT * FROM replay
    WHERE state = 'running'
       OR state = 'cancelled' AND EXISTS (
           SELECT FROM replay_item WHERE replay_item.replay_id = replay.replay_id AND replay_item.state = 'prepared')
    ORDER BY started_at, replay_id LIMIT 1
    FOR UPDATE
""")
_SAVE = text("""
    UPDATE replay SET state = :state, ended_at = :ended_at, cancelled_by = :cancelled_by WHERE replay_id = :replay_id
""")
_NEXT = text("""
    SELECT * FROM replay_item WHERE replay_id = :replay_id AND state IN ('prepared', 'waiting')
    ORDER BY state = 'prepared' DESC, number LIMIT 1
""")
_SAVE_ITEM = text("""
    UPDATE replay_item
    SET state = :state, detail = :detail, topic = :topic, record_key = :record_key, record_value = :record_value,
        header_names = :header_names, header_values = CAST(:header_values AS bytea[])
    WHERE replay_id = :replay_id AND number = :number
""")
_ITEM_COUNTS = text("SELECT state, count(*) FROM replay_item WHERE replay_id = :replay_id GROUP BY state")
_SKIPPED = text("""
    SELECT * FROM replay_item WHERE replay_id = :replay_id AND state = 'skipped' ORDER BY number LIMIT :limit
""")


class ReplayRows:
    """The part of ports.ops.OpsTransaction that concerns replays."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert_replay(self, replay: Replay, letter_ids: Sequence[str]) -> None:
        self._connection.execute(_INSERT, asdict(replay))
        self._connection.execute(_INSERT_ITEMS, {"replay_id": replay.replay_id, "letter_ids": list(letter_ids)})

    def replay(self, replay_id: str) -> Replay | None:
        row = self._connection.execute(_ONE, {"replay_id": replay_id}).mappings().first()
        return None if row is None else Replay(**row)

    def replays(self, *, limit: int, state: ReplayState | None = None, after: str | None = None) -> Sequence[Replay]:
        asked = {"limit": limit, "state": state, "after": after}
        return [Replay(**row) for row in self._connection.execute(_NEWEST_FIRST, asked).mappings()]

    def running_replay(self) -> Replay | None:
        row = self._connection.execute(_RUNNING).mappings().first()
        return None if row is None else Replay(**row)

    def save_replay(self, replay: Replay) -> None:
        self._connection.execute(_SAVE, asdict(replay))

    def next_item(self, replay_id: str) -> ReplayItem | None:
        row = self._connection.execute(_NEXT, {"replay_id": replay_id}).mappings().first()
        return None if row is None else _item(row)

    def save_item(self, item: ReplayItem) -> None:
        self._connection.execute(_SAVE_ITEM, _columns(item))

    def item_counts(self, replay_id: str) -> Mapping[ItemState, int]:
        rows = self._connection.execute(_ITEM_COUNTS, {"replay_id": replay_id})
        return {cast("ItemState", state): count for state, count in rows}

    def skipped_items(self, replay_id: str, limit: int) -> Sequence[ReplayItem]:
        rows = self._connection.execute(_SKIPPED, {"replay_id": replay_id, "limit": limit}).mappings()
        return [_item(row) for row in rows]


def _columns(item: ReplayItem) -> dict[str, Any]:
    record = item.record
    return {
        "replay_id": item.replay_id,
        "number": item.number,
        "state": item.state,
        "detail": item.detail,
        "topic": record.topic if record else None,
        "record_key": record.key if record else None,
        "record_value": record.value if record else None,
        "header_names": [name for name, _ in record.headers] if record else None,
        "header_values": [value for _, value in record.headers] if record else None,
    }


def _item(row: RowMapping) -> ReplayItem:
    return ReplayItem(row["replay_id"], row["number"], row["letter_id"], row["state"], row["detail"], _record(row))


def _record(row: RowMapping) -> OutgoingRecord | None:
    if row["topic"] is None:
        return None
    return OutgoingRecord(
        topic=row["topic"],
        key=_bytes(row["record_key"]),
        value=_bytes(row["record_value"]),
        headers=tuple(zip(row["header_names"], map(_bytes, row["header_values"]), strict=True)),
    )


def _bytes(stored: Any) -> Any:  # a memoryview, or None
    return None if stored is None else bytes(stored)
