"""One partition for as long as we hold it: what of it is open, when that is too much, and where the ledger has it.

Pure bookkeeping; nothing outlives a revoked assignment.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from payonce.ports import TopicPartition
from services.psp_worker.offsets import OpenOffsets
from services.psp_worker.slots import Slot

#: A partition with so many commands that are not finished is paused. One that waits is a task with its record: 16 KB.
UNFINISHED_MAX: Final = 5_000
#: So is one with so many open offsets. What is finished behind one that waits is a number (some 80 bytes), so there is
#: room for a day of a million orders: whoever waits for a proof or for a right of our key does not keep others out.
OPEN_OFFSETS_MAX: Final = 100_000
#: It is read again when it is down to this part.
_RESUMED_AT: Final = 0.5


@dataclass(eq=False, slots=True)
class Assignment:
    """One partition and one assignment of it."""

    partition: TopicPartition
    committed: int | None
    offsets: OpenOffsets = field(default_factory=OpenOffsets)
    running: dict[asyncio.Task[None], Slot] = field(default_factory=dict)
    #: Where ledger_position may stand: as we last read or wrote it, then what was written without an answer.
    possible: tuple[int | None, ...] = (None,)
    kept: int | None = None  # what we have stored and given to the group; after a reset the two may be equal at first
    is_open: bool = False
    _is_full: bool = False

    def opened(self, stored: int | None) -> None:
        """Note that reading begins, and where the ledger stands."""
        self.possible, self.is_open = (stored,), True

    def to_store(self) -> int | None:
        """Return the offset to store and commit now, None if there is nothing new."""
        committable = self.offsets.committable
        return None if committable == self.kept else committable

    def storing(self, next_offset: int) -> None:
        """Note that the ledger is told to stand there: until it answers, it may or may not."""
        self.possible = (*(each for each in self.possible if each != next_offset), next_offset)

    def stored(self, next_offset: int) -> None:
        """Note that the ledger stands there."""
        self.possible, self.kept = (next_offset,), next_offset

    def is_full(self) -> bool:
        """Return whether nothing more should be read now; once full, it stays so until there is room again."""
        part = max(len(self.offsets) / OPEN_OFFSETS_MAX, self.offsets.unfinished / UNFINISHED_MAX)
        self._is_full = part >= 1 or (self._is_full and part > _RESUMED_AT)
        return self._is_full
