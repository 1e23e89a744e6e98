"""In order per key, side by side otherwise: which command may start next. Pure bookkeeping."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
    """One queue per key; at most one item of a key is out at a time, and keys take turns as they become ready."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, deque[T]] = {}
        self._ready: deque[Hashable] = deque()
        self._out: set[Hashable] = set()

    def add(self, key: Hashable, item: T) -> None:
        """Queue an item behind the others of its key."""
        queue = self._queues.setdefault(key, deque())
        queue.append(item)
        if len(queue) == 1 and key not in self._out:
            self._ready.append(key)

    def next(self) -> tuple[Hashable, T] | None:
        """Take out the next item whose key is idle, or None. Its key is busy until `done`."""
        while self._ready:
            key = self._ready.popleft()
            queue = self._queues.get(key)
            if not queue or key in self._out:
                continue  # its items were dropped meanwhile, perhaps replaced: `done` brings the key back
            item = queue.popleft()
            self._out.add(key)
            return key, item
        return None

    def done(self, key: Hashable) -> None:
        """Note that the item of this key that was out has ended, one way or another."""
        self._out.remove(key)
        if self._queues.get(key):
            self._ready.append(key)
        else:
            self._queues.pop(key, None)

    def drop(self, unwanted: Callable[[T], bool]) -> None:
        """Forget the items that have not started and are unwanted."""
        for key, queue in list(self._queues.items()):
            kept = deque(item for item in queue if not unwanted(item))
            if kept:
                self._queues[key] = kept
            else:
                del self._queues[key]
