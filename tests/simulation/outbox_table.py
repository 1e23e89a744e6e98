"""The outbox on the simulated PostgreSQL: ports.Outbox, with the relay's lock that lives with its connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from payonce.ports import OutboxRow
from tests.simulation.database import Database
from tests.simulation.fold_tables import OUTBOX
from tests.simulation.network import Network
from tests.simulation.scheduler import Incarnation

T = TypeVar("T")
_RELAY_LOCK = 1


class SimulatedOutbox:
    """Implements ports.Outbox for one incarnation."""

    def __init__(self, database: Database, network: Network, owner: Incarnation) -> None:
        self._database = database
        self._network = network
        self._owner = owner

    async def acquire(self) -> bool:
        return await self._call(lambda: self._database.try_session_lock(self._owner, _RELAY_LOCK))

    async def oldest(self, limit: int) -> Sequence[OutboxRow]:
        def read() -> list[OutboxRow]:
            self._database.require_session_lock(self._owner, _RELAY_LOCK)
            return [row for _, row in sorted(self._database.tables.get(OUTBOX, {}).items())][:limit]

        return await self._call(read)

    async def delete(self, ids: Sequence[int]) -> None:
        def remove() -> None:
            self._database.require_session_lock(self._owner, _RELAY_LOCK)
            for row_id in ids:
                self._database.tables.get(OUTBOX, {}).pop(row_id, None)

        await self._call(remove)

    async def _call(self, effect: Callable[[], T]) -> T:
        return await self._network.call(self._owner, effect)
