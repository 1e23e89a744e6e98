"""The rows of dead_letter, and what ops_console reads of other processes' tables beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from payonce.catalog import topic_of
from payonce.ports import TopicPartition
from payonce.ports.ops import Content, Edit, Letter, LetterFilter
from payonce.ports.ops_reads import REFUSALS, LedgerView, RefundView, TimelineLine

_PLAIN = (
    "letter_id",
    "origin",
    "dlt_topic",
    "dlt_partition",
    "dlt_offset",
    "original_topic",
    "order_id",
    "timestamp_ms",
    "event_type",
    "reason",
    "error",
    "attempts",
    "first_seen_at",
    "last_seen_at",
    "state",
    "state_since",
    "resolution",
)
_RENAMED = {"failed_group": "group", "record_key": "key", "record_value": "value"}
_EDIT = ("key", "value", "type", "by", "at", "reason", "hash", "is_money", "approved_by", "approved_at")
_SENT = {"amendment": "value", "amendment_key": "key", "amendment_type": "type"}
_COLUMNS = (
    *_PLAIN,
    *_RENAMED,
    "header_names",
    "header_values",
    "awaits",
    *_SENT,
    *(f"edit_{name}" for name in _EDIT),
)

_SAVE = text(
    f"""
    INSERT INTO dead_letter ({", ".join(_COLUMNS)})
    VALUES ({", ".join("CAST(:header_values AS bytea[])" if c == "header_values" else f":{c}" for c in _COLUMNS)})
    ON CONFLICT (letter_id) DO UPDATE
    SET {", ".join(f"{column} = EXCLUDED.{column}" for column in _COLUMNS[1:])}
    """  # noqa: S608  (column names are constants)
)
_WANTED = """
    (CAST(:order_id AS text) IS NULL OR order_id = :order_id)
    AND (CAST(:reason AS text) IS NULL OR reason = :reason)
    AND (CAST(:topic AS text) IS NULL OR :topic IN (original_topic, dlt_topic))
    AND (CAST(:group AS text) IS NULL OR failed_group = :group)
    AND (CAST(:state AS text) IS NULL OR state = :state)
    AND (CAST(:first_seen_before AS timestamptz) IS NULL OR first_seen_at < :first_seen_before)
    AND (CAST(:first_seen_after AS timestamptz) IS NULL OR first_seen_at >= :first_seen_after)
"""
_PAGE = text(f"""
    SELECT * FROM dead_letter
    WHERE {_WANTED}
      AND (CAST(:after AS text) IS NULL
           OR (first_seen_at, letter_id) > (SELECT first_seen_at, letter_id FROM dead_letter WHERE letter_id = :after))
    ORDER BY first_seen_at, letter_id
    LIMIT :limit
""")  # noqa: S608
_LOCK = text("SELECT * FROM dead_letter WHERE letter_id = ANY(:ids) ORDER BY letter_id FOR UPDATE")
_FROM = text("SELECT * FROM dead_letter WHERE origin = ANY(:origins) ORDER BY letter_id")
# Silence says nothing while the ledger itself does not know how the PSP left the order, of the letter's key or of what
# was sent. A refusal answers a command; of the other topics, the event that is awaited is the letter's own message,
# whatever it says.
_SETTLE = text("""
    UPDATE dead_letter
    SET state = CASE WHEN refused AND NOT told THEN 'open' ELSE 'resolved' END, state_since = :now,
        resolution = CASE WHEN told THEN 'timeline' WHEN refused THEN 'refused' ELSE 'silence' END
    FROM (SELECT replayed.letter_id,
                 EXISTS (SELECT FROM payment_event
                         WHERE event_id = ANY(replayed.awaits)
                           AND NOT (original_topic = :commands AND payment_event.event_type = ANY(:refusals))) AS told,
                 EXISTS (SELECT FROM payment_event
                         WHERE event_id = ANY(replayed.awaits)
                           AND original_topic = :commands AND payment_event.event_type = ANY(:refusals)) AS refused,
                 EXISTS (SELECT FROM psp_registration
                         WHERE psp_registration.order_id
                               IN (replayed.order_id, encode(replayed.amendment_key, 'escape'))
                           AND psp_registration.state = 'unknown') AS doubtful
          FROM dead_letter AS replayed WHERE state = 'replayed') AS outcome
    WHERE dead_letter.letter_id = outcome.letter_id AND state = 'replayed'
      AND (told OR refused OR state_since < :silent_since AND NOT doubtful)
    RETURNING state
""")
_OLDEST = text("""
    SELECT dlt_topic, dlt_partition, min(dlt_offset) FROM dead_letter
    WHERE state IN ('open', 'replayed') GROUP BY dlt_topic, dlt_partition
""")
_COUNTS = text("""
    SELECT original_topic, failed_group, reason, count(*) FROM dead_letter
    WHERE state = 'open' GROUP BY original_topic, failed_group, reason
""")
_LEDGER = text("""
    SELECT order_id, attempt, state, body_hash FROM psp_registration
    WHERE order_id = ANY(:order_ids) ORDER BY order_id, attempt
""")
_REFUNDS = text("""
    SELECT order_id, refund_reference, state, command_id FROM psp_refund
    WHERE order_id = ANY(:order_ids) ORDER BY order_id, refund_reference
""")
_TIMELINE = text("""
    SELECT event_id, event_type, occurred_at, topic, partition, "offset", effect, reason
    FROM payment_event WHERE order_id = :order_id
    ORDER BY occurred_at DESC, recorded_at DESC LIMIT :limit
""")
_POSITIONS = text("SELECT topic, partition, next_offset FROM dead_letter_position")
_ADVANCE = text("""
    INSERT INTO dead_letter_position (topic, partition, next_offset) VALUES (:topic, :partition, :next_offset)
    ON CONFLICT (topic, partition) DO UPDATE
    SET next_offset = greatest(dead_letter_position.next_offset, EXCLUDED.next_offset)
""")


class LetterRows:
    """The part of ports.ops.OpsTransaction that concerns letters."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def letters(self, wanted: LetterFilter, *, limit: int, after: str | None = None) -> Sequence[Letter]:
        names = LetterFilter.__dataclass_fields__
        filters = {name: getattr(wanted, name) for name in names}
        rows = self._connection.execute(_PAGE, {**filters, "after": after, "limit": limit}).mappings()
        return [_letter(row) for row in rows]

    def lock_letters(self, letter_ids: Sequence[str]) -> Mapping[str, Letter]:
        rows = self._connection.execute(_LOCK, {"ids": sorted(set(letter_ids))}).mappings()
        return {row["letter_id"]: _letter(row) for row in rows}

    def save_letters(self, letters: Sequence[Letter]) -> None:
        if letters:
            ordered = sorted(letters, key=lambda letter: letter.letter_id)
            self._connection.execute(_SAVE, [_columns(letter) for letter in ordered])

    def letters_from(self, origins: Sequence[str]) -> Sequence[Letter]:
        rows = self._connection.execute(_FROM, {"origins": sorted(set(origins))}).mappings()
        return [_letter(row) for row in rows]

    def settle_replayed(self, *, now: datetime, silent_since: datetime) -> int:
        rule = {"commands": topic_of("RegisterPayment"), "refusals": list(REFUSALS)}
        states = self._connection.execute(_SETTLE, {"now": now, "silent_since": silent_since, **rule}).scalars()
        return sum(state == "resolved" for state in states)

    def oldest_unresolved(self) -> Mapping[TopicPartition, int]:
        rows = self._connection.execute(_OLDEST)
        return {TopicPartition(topic, partition): offset for topic, partition, offset in rows}

    def counts(self) -> Mapping[tuple[str, str, str], int]:
        rows = self._connection.execute(_COUNTS)
        return {(topic, group, reason): count for topic, group, reason, count in rows}

    def ledger_of(self, order_ids: Sequence[str]) -> Mapping[str, Sequence[LedgerView | RefundView]]:
        found: dict[str, list[LedgerView | RefundView]] = {}
        wanted = {"order_ids": sorted(set(order_ids))}
        for order_id, *attempt in self._connection.execute(_LEDGER, wanted):
            found.setdefault(order_id, []).append(LedgerView(*attempt))
        for order_id, *refund in self._connection.execute(_REFUNDS, wanted):
            found.setdefault(order_id, []).append(RefundView(*refund))
        return found

    def timeline(self, order_id: str, limit: int) -> Sequence[TimelineLine]:
        rows = self._connection.execute(_TIMELINE, {"order_id": order_id, "limit": limit}).all()
        return [TimelineLine(*row) for row in reversed(rows)]

    def positions(self) -> Mapping[TopicPartition, int]:
        rows = self._connection.execute(_POSITIONS)
        return {TopicPartition(topic, partition): offset for topic, partition, offset in rows}

    def advance(self, offsets: Mapping[TopicPartition, int]) -> None:
        rows = [
            {"topic": place.topic, "partition": place.partition, "next_offset": offset}
            for place, offset in sorted(offsets.items())
        ]
        if rows:
            self._connection.execute(_ADVANCE, rows)


def _columns(letter: Letter) -> dict[str, Any]:
    edit, sent = letter.edit, letter.amendment
    return {
        **{name: getattr(letter, name) for name in _PLAIN},
        **{column: getattr(letter, name) for column, name in _RENAMED.items()},
        "header_names": [name for name, _ in letter.headers],
        "header_values": [value for _, value in letter.headers],
        "awaits": list(letter.awaits),
        **{column: getattr(sent, name) if sent else None for column, name in _SENT.items()},
        **{f"edit_{name}": getattr(edit, name) if edit else None for name in _EDIT},
    }


def _letter(row: RowMapping) -> Letter:
    return Letter(
        **{name: row[name] for name in _PLAIN},
        group=row["failed_group"],
        key=_bytes(row["record_key"]),
        value=_bytes(row["record_value"]),
        headers=tuple(zip(row["header_names"], map(_bytes, row["header_values"]), strict=True)),
        awaits=tuple(row["awaits"]),
        amendment=_amendment(row),
        edit=_edit(row),
    )


def _amendment(row: RowMapping) -> Content | None:
    """Return what was sent last; where there is no body, nothing was, since no message of any topic is without."""
    if row["amendment"] is None:
        return None
    return Content(_bytes(row["amendment_key"]), _bytes(row["amendment"]), row["amendment_type"])


def _edit(row: RowMapping) -> Edit | None:
    if row["edit_hash"] is None:
        return None
    fields = {name: row[f"edit_{name}"] for name in _EDIT}
    return Edit(**{**fields, "key": _bytes(fields["key"]), "value": _bytes(fields["value"])})


def _bytes(stored: Any) -> Any:  # a memoryview, or None; headers may be null too
    return None if stored is None else bytes(stored)
