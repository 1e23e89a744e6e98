"""A fold on fakes, with what its tests ask of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from payonce.codec import decode_body
from payonce.domain.events import OrderStatusChanged
from payonce.ports import OutgoingRecord
from services.status_processor.fold import Fold
from services.status_processor.result import FoldResult
from tests.fakes.fold_store import FakeFoldStore
from tests.fakes.log import MemoryLog
from tests.fakes.virtual_clock import VirtualClock
from tests.services.status_processor_records import Life, Log


@dataclass(slots=True)
class FoldOnFakes:
    """One process's fold; `crashed` is the next incarnation on the same tables."""

    store: FakeFoldStore = field(default_factory=FakeFoldStore)
    letters: MemoryLog = field(default_factory=MemoryLog)
    log: Log = field(default_factory=Log)
    fold: Fold = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget everything that is only in memory."""
        self.fold = Fold(self.store, self.letters, VirtualClock(), group="status_processor", livemode=False)

    async def run(self, *records: OutgoingRecord) -> FoldResult:
        """Append the records to the log and fold them as one batch."""
        return await self.fold.run_once(self.log.append(records))

    async def run_each(self, records: Iterable[OutgoingRecord]) -> None:
        """Fold every record as a batch of its own."""
        for record in records:
            await self.run(record)

    def columns(self, life: Life) -> dict[str, Any]:
        """Return the order's public columns."""
        return self.store.tables.orders[life.order_id][1]

    def status(self, life: Life) -> str:
        """Return the order's status."""
        return str(self.columns(life)["payment_order_status"])

    def rows(self) -> dict[str, tuple[Any, Any]]:
        """Return facts and columns of every order: what must not depend on order and repetition."""
        return {order_id: (facts, columns) for order_id, (facts, columns, _) in self.store.tables.orders.items()}

    def announced(self) -> list[OrderStatusChanged]:
        """Return the announcements in the order of the outbox."""
        messages = [decode_body("OrderStatusChanged", row.body) for row in self.store.tables.outbox]
        return [message for message in messages if isinstance(message, OrderStatusChanged)]

    def dead(self) -> list[tuple[str, str]]:
        """Return topic and reason of every dead letter."""
        return [(letter.topic, dict(letter.headers)["dlt-reason"].decode()) for letter in self.letters.published]

    def effects(self) -> dict[str, str]:
        """Return the timeline: event id to effect."""
        return {entry.event_id: entry.effect for entry in self.store.tables.timeline.values()}
