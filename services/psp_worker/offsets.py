"""Which offset of a partition may be committed: everything before it is finished. Pure bookkeeping."""

from __future__ import annotations

from collections import deque


class OpenOffsets:
    """The offsets really delivered in one assignment, in order, and which of them are finished.

    Never "+1" from the last commit: transaction markers and compaction leave holes in the log.
    """

    def __init__(self) -> None:
        self._open: deque[int] = deque()
        self._finished: set[int] = set()
        self._last: int | None = None
        self.committable: int | None = None  # the offset to commit, None before anything is finished

    def __len__(self) -> int:
        return len(self._open)

    @property
    def unfinished(self) -> int:
        """How many of the open ones are not finished."""
        return len(self._open) - len(self._finished)

    def delivered(self, offset: int) -> None:
        """Note an offset that was handed to us. They only grow within an assignment."""
        assert self._last is None or offset > self._last, f"offset {offset} after {self._last}"
        self._last = offset
        self._open.append(offset)

    def finished(self, offset: int) -> None:
        """Note that all effects of a delivered offset are durable. In any order."""
        self._finished.add(offset)
        while self._open and self._open[0] in self._finished:
            done = self._open.popleft()
            self._finished.discard(done)
            self.committable = done + 1
