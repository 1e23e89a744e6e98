"""The reconciler's overdue orders on fakes, and what it asks after them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from payonce.codec import decode
from payonce.domain.commands import RefreshPayment
from payonce.ports import Mark
from services.reconciler.overdue_orders import ORDERS_TASK, SLOW_ORDERS_TASK, OverdueOrders
from services.reconciler.rate import Rate
from tests.fakes.clock import START, LoopClock
from tests.fakes.log import as_read
from tests.fakes.reconciler import FakeReconcilerStore, ReconcilerTables, SteppedLog

NOW = int(START)
HOUR, DAY = 3_600, 86_400


def order_id(number: int = 0) -> str:
    return "ord_" + "abcdefghij"[number % 10] * 20 + "abcdefghij"[number // 10 % 10] * 6


@dataclass
class World:
    tables: ReconcilerTables = field(default_factory=ReconcilerTables)
    log: SteppedLog = field(default_factory=SteppedLog)
    per_second: float = 100
    asks_after: dict[str, int] = field(default_factory=dict)

    def begins_at(self, at: int) -> None:
        """Let everything that was due up to then be done."""
        self.tables.watermarks = {ORDERS_TASK: Mark(at), SLOW_ORDERS_TASK: Mark(at)}

    def process(self) -> OverdueOrders:
        """A new process that holds the lock, a second after its last round."""
        store, clock = FakeReconcilerStore(self.tables), LoopClock()
        self.tables.holder = store
        rate = Rate(clock, per_second=self.per_second, first_seconds=1)
        return OverdueOrders(
            store, self.log, clock, rate=rate, asks_after=self.asks_after, api_version="2026-10-28.endive"
        )

    def asked(self) -> list[RefreshPayment]:
        messages = [decode(as_read(record)) for record in self.log.records]
        return [message for message in messages if isinstance(message, RefreshPayment)]


async def for_a_while(world: World, seconds: int, every: int = 60) -> list[tuple[int, str]]:
    """Do rounds in one process; return when which order was asked after."""
    process, clock, asked = world.process(), LoopClock(), []
    for _ in range(0, seconds, every):
        before = len(world.log.records)
        await process.run_once()
        asked += [(int(clock.now()), command.order_id) for command in world.asked()[before:]]
        await asyncio.sleep(every)
    return asked
