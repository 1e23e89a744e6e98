"""How many commands may be in progress at once; one that waits gives its slot back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Slots:
    """A fair counting lock of which new work takes only what is free, so that returning work is never starved."""

    def __init__(self, limit: int, on_free: Callable[[], None] = lambda: None) -> None:
        self._free = limit
        self._on_free = on_free  # new work may start
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def free(self) -> int:
        """How many slots new work may take now."""
        return self._free

    def take(self) -> Slot:
        """Return a free slot, held. Only while `free` is positive."""
        assert self._free > 0, "no slot is free"
        self._free -= 1
        return Slot(self)

    async def _retake(self) -> None:
        if self._free > 0:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was given to us in the same moment
                self._give_back()
            raise

    def _give_back(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
        self._on_free()


class Slot:
    """One command's place. `waiting` while it is given back and its work does not go on without it."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._held = True
        self.waiting = False

    @asynccontextmanager
    async def given_back(self) -> AsyncIterator[None]:
        """Give the slot back for the length of the block and take one again after it, unless that is cancelled."""
        self.close()
        self.waiting = True
        try:
            yield
        except Exception:
            await self._take_again()
            raise
        await self._take_again()

    def goes_on(self) -> None:
        """Note that its work goes on while the slot is given back: who ends what waits must let it finish."""
        self.waiting = False

    def close(self) -> None:
        """Give the slot back for good. Idempotent."""
        if self._held:
            self._held = False
            self._slots._give_back()  # noqa: SLF001  (the two are one)

    async def _take_again(self) -> None:
        await self._slots._retake()  # noqa: SLF001  (the two are one)
        self._held = True
        self.waiting = False
