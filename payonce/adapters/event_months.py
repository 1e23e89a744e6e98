"""The months of the timeline: payment_event is partitioned by the event's own time, and this makes coming months.

Events outside the months that exist are kept in the default partition and move when their month is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, text

from payonce.adapters.advisory_locks import Lock, wait_for_transaction


def make_months(connection: Connection, *, ahead: int) -> Sequence[str]:
    """Make the partitions of the database's present month and of `ahead` more; return the new ones' names.

    Blocking, idempotent; processes that do it at once take turns. Readers and writers of the default partition wait
    for the moment in which a month is attached.
    """
    wait_for_transaction(connection, Lock.MONTHS)
    now = connection.execute(text("SELECT now()")).scalar_one()
    assert isinstance(now, datetime)
    return [name for name, first, end in months(now, ahead) if _make(connection, name, first, end)]


def months(now: datetime, ahead: int) -> Iterator[tuple[str, datetime, datetime]]:
    """Yield (table, first instant, first instant after) of the month of `now` (aware) and of the `ahead` following."""
    here = now.astimezone(UTC)
    for index in range(here.year * 12 + here.month - 1, here.year * 12 + here.month + ahead):
        first, end = _first_of(index), _first_of(index + 1)
        yield f"payment_event_{first:%Y_%m}", first, end


def _first_of(month_index: int) -> datetime:
    return datetime(month_index // 12, month_index % 12 + 1, 1, tzinfo=UTC)


def _make(connection: Connection, name: str, first: datetime, end: datetime) -> bool:
    exists = connection.execute(text("SELECT to_regclass(:name) IS NOT NULL"), {"name": name}).scalar_one()
    if exists:
        return False
    window = {"first": first, "end": end}
    # A partition cannot be attached while the default one holds rows that belong into it.
    connection.execute(text("LOCK TABLE payment_event_default IN ACCESS EXCLUSIVE MODE"))
    connection.execute(text(f"CREATE TABLE {name} (LIKE payment_event INCLUDING ALL)"))
    moved = "DELETE FROM payment_event_default WHERE occurred_at >= :first AND occurred_at < :end RETURNING *"
    # The name is made of a year and a month.
    connection.execute(text(f"WITH moved AS ({moved}) INSERT INTO {name} SELECT * FROM moved"), window)  # noqa: S608
    connection.execute(
        text(f"ALTER TABLE payment_event ATTACH PARTITION {name} FOR VALUES FROM (:first) TO (:end)"), window
    )
    return True
