"""A second set of the fold's tables beside the live ones, and the statements that put its content in their place.

The live tables stay where they are, with their grants and whatever depends on them: only rows that differ are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, text

from payonce.adapters.advisory_locks import Lock, try_for_transaction
from payonce.adapters.migrations import upgrade
from payonce.adapters.postgres import Database
from payonce.ports import PositionMoved, TopicPartition

SCHEMA = "rebuild"

_HOLD_WRITERS = text(
    """
    LOCK TABLE payment_order, payment_movement, payment_invoice, payment_event, psp_reference, unresolved_event,
        fold_position IN EXCLUSIVE MODE
    """
)
_POSITIONS = text("SELECT topic, partition, next_offset FROM fold_position")
_DELETE_ORDERS = text("DELETE FROM payment_order WHERE order_id = ANY(:order_ids)")
#: `rebuild` is SCHEMA.
_REPLACE = (
    # Rows of orders that there are have been written with their order.
    """
    DELETE FROM payment_movement AS live
    WHERE NOT EXISTS (SELECT FROM payment_order AS o WHERE o.order_id = live.order_id)
    """,
    """
    DELETE FROM payment_invoice AS live
    WHERE NOT EXISTS (SELECT FROM payment_order AS o WHERE o.order_id = live.order_id)
    """,
    """
    DELETE FROM psp_reference AS live
    WHERE NOT EXISTS (SELECT FROM rebuild.psp_reference AS made WHERE made.psp_id = live.psp_id)
    """,
    """
    INSERT INTO psp_reference AS live (psp_id, order_id, payment)
    SELECT psp_id, order_id, payment FROM rebuild.psp_reference
    ON CONFLICT (psp_id) DO UPDATE SET order_id = EXCLUDED.order_id, payment = EXCLUDED.payment
    WHERE live.order_id <> EXCLUDED.order_id OR live.payment IS NULL
    """,
    # The timeline keeps when and with what effect an event came first; it must name the events that there are.
    """
    DELETE FROM payment_event AS live
    WHERE NOT EXISTS (
        SELECT FROM rebuild.payment_event AS made
        WHERE made.event_id = live.event_id AND made.occurred_at = live.occurred_at)
    """,
    """
    INSERT INTO payment_event AS live (
        event_id, occurred_at, order_id, event_type, topic, partition, "offset", effect, reason)
    SELECT event_id, occurred_at, order_id, event_type, topic, partition, "offset", effect, reason
    FROM rebuild.payment_event
    ON CONFLICT (event_id, occurred_at) DO UPDATE SET
        order_id = EXCLUDED.order_id, event_type = EXCLUDED.event_type, topic = EXCLUDED.topic,
        partition = EXCLUDED.partition, "offset" = EXCLUDED."offset", effect = EXCLUDED.effect,
        reason = EXCLUDED.reason
    WHERE live.order_id <> EXCLUDED.order_id OR live.event_type <> EXCLUDED.event_type
    """,
    """
    DELETE FROM unresolved_event AS live
    WHERE NOT EXISTS (SELECT FROM rebuild.unresolved_event AS made WHERE made.event_id = live.event_id)
    """,
    "INSERT INTO unresolved_event SELECT * FROM rebuild.unresolved_event ON CONFLICT DO NOTHING",
)


class RebuildRefused(Exception):
    """It cannot be done now, and nothing was changed: the message says what to do first."""


@contextmanager
def only_rebuild(database: Database) -> Iterator[None]:
    """Be the one rebuild on this database for as long as the block. Raises RebuildRefused, StoreUnavailable."""
    with database.transaction() as connection:
        if not try_for_transaction(connection, Lock.REBUILD):
            raise RebuildRefused("another rebuild is running on this database")
        yield


def make_tables(database: Database, database_url: str) -> None:
    """Make empty tables of the newest revision in a schema of their own. Blocking; what an earlier run left is gone."""
    drop_tables(database)
    with database.transaction() as connection:
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
    upgrade(database_url, schema=SCHEMA)


def drop_tables(database: Database) -> None:
    """Remove that schema and all that is in it. Idempotent."""
    with database.transaction() as connection:
        connection.execute(text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))


def hold_writers(connection: Connection, positions: dict[TopicPartition, int]) -> None:
    """Keep every other writer out until the transaction ends; readers go on.

    Raises RebuildRefused while a status_processor is running, PositionMoved if the rows are not at these positions.
    """
    if not try_for_transaction(connection, Lock.RELAY):
        raise RebuildRefused("a status_processor is running: stop all of them, then try again")
    connection.execute(_HOLD_WRITERS)
    now = {TopicPartition(topic, partition): at for topic, partition, at in connection.execute(_POSITIONS)}
    if now != positions:
        raise PositionMoved("a status_processor has folded since the comparison: stop all of them, then try again")


def delete_orders(connection: Connection, order_ids: Sequence[str]) -> None:
    """Remove rows of orders that no record names."""
    connection.execute(_DELETE_ORDERS, {"order_ids": sorted(order_ids)})


def replace_beside_orders(connection: Connection) -> None:
    """Make PSP ids, timeline and waiting events of the live tables what the rebuilt ones hold.

    Money of orders that have no row goes, too.
    """
    for statement in _REPLACE:
        connection.execute(text(statement))
