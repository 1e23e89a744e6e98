"""ops_console's store on the simulated PostgreSQL: ports.ops.OpsStore, one transaction after the other.

Its tables are one row, so that they are committed, lost and restored with everything else; the ledger and the timelines
that it reads are the worker's and the fold's own.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from payonce.adapters.advisory_locks import Lock
from payonce.ports import TimelineEntry
from payonce.ports.ops import OpsTransaction
from payonce.ports.ops_reads import LedgerView, RefundView, TimelineLine
from tests.fakes.ops_store import MemoryOpsTransaction, Tables
from tests.simulation.database import Database, Statement, Transaction
from tests.simulation.fold_tables import TIMELINE
from tests.simulation.ledger_tables import REFUNDS, REGISTRATIONS
from tests.simulation.network import Network
from tests.simulation.scheduler import Incarnation

T = TypeVar("T")
OPS = "ops_console"
_ONLY_ROW = "tables"


class SimulatedOpsStore:
    """Implements ports.ops.OpsStore for one incarnation."""

    def __init__(self, database: Database, network: Network, owner: Incarnation) -> None:
        self._database = database
        self._network = network
        self._owner = owner

    async def run(self, work: Callable[[OpsTransaction], T]) -> T:
        def statement(transaction: Transaction) -> Statement[T]:
            yield (OPS, _ONLY_ROW)
            tables = self._opened(transaction)
            result = work(MemoryOpsTransaction(tables))
            transaction.writes[OPS, _ONLY_ROW] = tables
            return result

        opened = self._database.begin(self._owner)
        try:
            result = await self._database.run(opened, statement)
        except BaseException:
            await self._database.rollback(opened)
            raise
        await self._database.commit(opened)
        return result

    async def lead(self) -> bool:
        return await self._network.call(
            self._owner, lambda: self._database.try_session_lock(self._owner, Lock.OPS_LEAD)
        )

    def _opened(self, transaction: Transaction) -> Tables:
        """Return a copy of the tables to write into: rows are values, so a copy of the containers is one."""
        kept = self._database.get(transaction, OPS, _ONLY_ROW) or Tables()
        tables = Tables(
            letters=dict(kept.letters),
            positions=dict(kept.positions),
            replays=dict(kept.replays),
            items={name: list(items) for name, items in kept.items.items()},
            actions=list(kept.actions),
            published=set(kept.published),
        )
        for (order_id, attempt), row in self._database.rows(transaction, REGISTRATIONS):
            tables.ledger.setdefault(order_id, []).append(LedgerView(attempt, row.state, row.body_hash))
        for (order_id, reference), refund in self._database.rows(transaction, REFUNDS):
            tables.ledger.setdefault(order_id, []).append(RefundView(reference, refund.state, refund.command_id))
        for _, entry in self._database.rows(transaction, TIMELINE):
            tables.lines.setdefault(entry.order_id, []).append(_line(entry))
        return tables


def _line(entry: TimelineEntry) -> TimelineLine:
    topic, partition, offset = entry.position
    at = datetime.fromtimestamp(entry.occurred_at, UTC)
    return TimelineLine(entry.event_id, entry.event_type, at, topic, partition, offset, entry.effect, entry.reason)


def letters_of(database: Database) -> Tables:
    """Return what ops_console has written, as it is committed."""
    tables: Tables = database.tables.get(OPS, {}).get(_ONLY_ROW) or Tables()
    return tables
