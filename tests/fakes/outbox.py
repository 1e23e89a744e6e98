"""The outbox in memory: several relays share its rows, one at a time holds the lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from payonce.ports import OutboxRow, StoreUnavailable


@dataclass(slots=True)
class OutboxTable:
    """The rows, and which relay holds the lock."""

    rows: dict[int, OutboxRow] = field(default_factory=dict)
    holder: object | None = None

    def add(self, order_id: str, body: bytes) -> OutboxRow:
        """Append a row."""
        row = OutboxRow(max(self.rows, default=0) + 1, order_id, body)
        self.rows[row.id] = row
        return row

    def break_connections(self) -> None:
        """Make the holder lose its lock, as a restart of the database does."""
        self.holder = None


@dataclass(slots=True, eq=False)
class FakeOutbox:
    """Implements ports.Outbox."""

    table: OutboxTable
    unavailable: bool = False

    async def acquire(self) -> bool:
        self._require_database()
        if self.table.holder is None:
            self.table.holder = self
        return self.table.holder is self

    async def oldest(self, limit: int) -> Sequence[OutboxRow]:
        self._require_lock()
        return [self.table.rows[row_id] for row_id in sorted(self.table.rows)[:limit]]

    async def delete(self, ids: Sequence[int]) -> None:
        self._require_lock()
        for row_id in ids:
            self.table.rows.pop(row_id, None)

    def close(self) -> None:
        """Give the lock back."""
        if self.table.holder is self:
            self.table.holder = None

    def _require_database(self) -> None:
        if self.unavailable:
            raise StoreUnavailable("away")

    def _require_lock(self) -> None:
        self._require_database()
        if self.table.holder is not self:
            raise StoreUnavailable("the lock is lost")
