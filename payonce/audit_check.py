"""A live system's audit chain: `ops_action` in PostgreSQL against its anchor, payments.ops in Kafka. Reads only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from payonce.adapters.kafka.reader import LogReader
from payonce.adapters.ops_actions import read_chain
from payonce.adapters.postgres import Database
from payonce.audit import TOPIC, BrokenChain, check_against_topic, entry_of, former_hashes
from payonce.ports import Record
from payonce.ports.ops import ChainedAction

_NAME = "payonce verify audit"


@dataclass(frozen=True, slots=True)
class AuditChecked:
    """An unbroken chain: how many entries the table and the topic hold. They differ by what is just being published.

    `renumbered`: how many of them are deeds that had another number before PostgreSQL was restored.
    """

    table: int
    topic: int
    renumbered: int = 0


def check_audit(bootstrap_servers: str, database_url: str) -> AuditChecked:
    """Recompute the whole chain from the table and compare it with the topic. Blocking.

    Raises BrokenChain at the first broken entry; StoreUnavailable or LogAway when a part is away.
    """
    # The table on both sides of the topic: what it called published before must be there, and what is there by then
    # must be in the table.
    _, published_up_to = _chain(database_url)
    anchored = [_entry(number, record) for number, record in enumerate(_records(bootstrap_servers), start=1)]
    stored, _ = _chain(database_url)
    table, topic = check_against_topic(stored, anchored, published_up_to=published_up_to)
    return AuditChecked(table, topic, renumbered=sum(bool(former_hashes(entry)) for entry in stored))


def _chain(database_url: str) -> tuple[list[ChainedAction], int]:
    database = Database(database_url, application_name=_NAME, pool_size=1)
    try:
        with database.transaction() as connection:
            return read_chain(connection)
    finally:
        database.dispose()


def _records(bootstrap_servers: str) -> Iterator[Record]:
    with LogReader(bootstrap_servers, client_id="payonce-verify-audit") as reader:
        bounds = reader.bounds([TOPIC])
        starts = {place: start for place, (start, _) in bounds.items()}
        ends = {place: end for place, (_, end) in bounds.items()}
        for batch in reader.read(starts, ends):
            yield from batch


def _entry(number: int, record: Record) -> ChainedAction:
    try:
        return entry_of(record.value or b"")
    except (KeyError, TypeError, ValueError, json.JSONDecodeError) as error:
        raise BrokenChain(number, f"is no audit entry on {TOPIC} at offset {record.offset}") from error
