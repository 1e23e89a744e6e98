"""What verification asks PostgreSQL: pages of keys in one snapshot each, and rows that should not be there.

It never writes and never reads a table whole: that is `order_scan`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, text

from payonce.adapters.money_rules import MONEY_RULES
from payonce.adapters.order_scan import OrderScan, ScannedOrder
from payonce.adapters.postgres import Database
from payonce.ports import HOLDING_STATES, TopicPartition

_OWNERS = text("SELECT psp_id, order_id FROM psp_reference WHERE psp_id = ANY(:keys)")
_FACTS = text("SELECT order_id, CAST(facts AS text) FROM payment_order WHERE order_id = ANY(:keys)")
_WAITING = text("SELECT event_id FROM unresolved_event WHERE event_id = ANY(:keys)")
_FOREIGN = text("SELECT psp_id FROM foreign_reference WHERE psp_id = ANY(:keys)")
_PENDING = text("SELECT DISTINCT order_id FROM outbox WHERE order_id = ANY(:keys)")
_HANDED_OUT = text(
    """
    SELECT psp_id FROM psp_reference WHERE psp_id = ANY(:keys)
    UNION SELECT session_id FROM psp_registration WHERE session_id = ANY(:keys)
    """
)
_STATUSES = text("SELECT order_id, payment_order_status FROM payment_order WHERE order_id = ANY(:keys)")
_OUTBOX = text("SELECT count(*), CAST(extract(epoch FROM min(created_at)) * 1000 AS bigint) FROM outbox")
_POSITIONS = {
    "fold_position": text("SELECT topic, partition, next_offset FROM fold_position"),
    "ledger_position": text("SELECT topic, partition, next_offset FROM ledger_position"),
}


@dataclass(frozen=True, slots=True)
class Suspects:
    """Rows that break a rule: how many were looked at, how many break it, a few of them with what is wrong."""

    checked: int
    violations: int
    examples: Sequence[tuple[str, str]]


#: Name -> (rows looked at, the rows that break the rule as (subject, detail)).
_RULES = {
    "two holders": (
        "SELECT count(DISTINCT order_id) FROM psp_registration",
        """
        SELECT order_id, count(*) || ' attempts may be paid at once' FROM psp_registration
        WHERE state = ANY(:holding) GROUP BY order_id HAVING count(*) > 1
        """,
    ),
    "unknown order of a PSP id": (
        "SELECT count(*) FROM psp_reference",
        """
        SELECT psp_id, 'belongs to ' || order_id || ', which has no row' FROM psp_reference AS r
        WHERE NOT EXISTS (SELECT FROM payment_order AS o WHERE o.order_id = r.order_id)
        """,
    ),
    "unknown order of a timeline": (
        "SELECT count(*) FROM payment_event",
        """
        SELECT event_id, 'belongs to ' || order_id || ', which has no row' FROM payment_event AS e
        WHERE NOT EXISTS (SELECT FROM payment_order AS o WHERE o.order_id = e.order_id)
        """,
    ),
    "unknown order of the ledger": (
        "SELECT count(*) FROM psp_registration",
        """
        SELECT order_id, 'attempt ' || attempt || ' is in the ledger, and the order has no row'
        FROM psp_registration AS l
        WHERE last_try_at * 1000 < :older_than_ms
          AND NOT EXISTS (SELECT FROM payment_order AS o WHERE o.order_id = l.order_id)
        """,
    ),
    "order without terms": (
        "SELECT count(*) FROM payment_order",
        """
        SELECT order_id, 'its events came, its command never did' FROM payment_order
        WHERE client_id IS NULL AND created_at < to_timestamp(:older_than_ms / 1000.0)
        """,
    ),
    **MONEY_RULES,
}


class PageReads:
    """Reads in one snapshot. Blocking; for one thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def owners(self, psp_ids: Iterable[str]) -> Mapping[str, str]:
        """Return the order of each PSP id that is known."""
        return {row[0]: row[1] for row in self._rows(_OWNERS, psp_ids)}

    def facts(self, order_ids: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return the facts of each order that has a row."""
        return {order_id: orjson.loads(facts) for order_id, facts in self._rows(_FACTS, order_ids)}

    def waiting(self, event_ids: Iterable[str]) -> frozenset[str]:
        """Return which of the events wait for their order."""
        return frozenset(row[0] for row in self._rows(_WAITING, event_ids))

    def foreign(self, psp_ids: Iterable[str]) -> frozenset[str]:
        """Return which PSP ids the reconciler knows as another app's."""
        return frozenset(row[0] for row in self._rows(_FOREIGN, psp_ids))

    def pending(self, order_ids: Iterable[str]) -> frozenset[str]:
        """Return which orders have an announcement in the outbox."""
        return frozenset(row[0] for row in self._rows(_PENDING, order_ids))

    def handed_out(self, session_ids: Iterable[str]) -> frozenset[str]:
        """Return which sessions we have ever been given, so that a customer may have their page."""
        return frozenset(row[0] for row in self._rows(_HANDED_OUT, session_ids))

    def statuses(self, order_ids: Iterable[str]) -> dict[str, str]:
        """Return the status of each order that has a row."""
        return {row[0]: row[1] for row in self._rows(_STATUSES, order_ids)}

    def orders(self, order_ids: Iterable[str]) -> dict[str, ScannedOrder]:
        """Return the rows that there are."""
        return OrderScan(self._connection).orders_of(list(order_ids))

    def _rows(self, statement: Any, keys: Iterable[str]) -> Sequence[Sequence[Any]]:
        wanted = sorted(key for key in keys if "\0" not in key)  # no table holds one: whatever names it is not stored
        return self._connection.execute(statement, {"keys": wanted}).all() if wanted else ()


@contextmanager
def page_reads(database: Database) -> Iterator[PageReads]:
    """Open a snapshot for a page of keys. Raises StoreUnavailable."""
    with database.transaction() as connection:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        yield PageReads(connection)


def positions(database: Database, table: str) -> dict[TopicPartition, int]:
    """Return the next offsets in fold_position or ledger_position. Raises StoreUnavailable."""
    with database.transaction() as connection:
        return {TopicPartition(topic, partition): at for topic, partition, at in connection.execute(_POSITIONS[table])}


def outbox(database: Database) -> tuple[int, int | None]:
    """Return how many announcements wait, and since when the oldest does (unix milliseconds)."""
    with database.transaction() as connection:
        count, oldest = connection.execute(_OUTBOX).one()
        return int(count), oldest


def rules() -> tuple[str, ...]:
    """Return the names that `suspects` knows."""
    return tuple(_RULES)


def suspects(database: Database, rule: str, *, older_than_ms: int, examples: int) -> Suspects:
    """Return the rows that break a rule; what is younger is not held against it yet. Raises StoreUnavailable."""
    looked_at, broken = _RULES[rule]
    parameters = {"older_than_ms": older_than_ms, "holding": list(HOLDING_STATES), "examples": examples}
    # The rules are constants of this file.
    used = {name: value for name, value in parameters.items() if f":{name}" in broken}
    with database.transaction() as connection:
        checked = connection.execute(text(looked_at)).scalar_one()
        counted = connection.execute(text(f"SELECT count(*) FROM ({broken}) AS broken"), used)  # noqa: S608
        found = connection.execute(
            text(f"SELECT * FROM ({broken}) AS broken LIMIT :examples"),  # noqa: S608
            {**used, "examples": examples},
        )
        return Suspects(checked, counted.scalar_one(), [(str(subject), str(detail)) for subject, detail in found])
