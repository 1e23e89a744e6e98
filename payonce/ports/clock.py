"""Time, handed in so that it can be moved."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Time, handed in so that it can be moved."""

    def now(self) -> float:
        """Return unix seconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back and count suspension."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""
        ...
