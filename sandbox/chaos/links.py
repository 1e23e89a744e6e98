"""All links of a world in one thread: made while the world starts, disturbed while it runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from sandbox.chaos.proxy import Link
from sandbox.chaos.weather import Weather
from sandbox.stack.cache import Cache
from sandbox.stack.ports import PortLease

T = TypeVar("T")
_ANSWER_SECONDS = 30.0


class Links:
    """Thread-safe, blocking; only inside a `with` block."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._links: dict[str, Link] = {}
        self._ports = PortLease(Cache.of_user())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for link in self._links.values():
            self._await(link.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._ports.release()

    @property
    def names(self) -> tuple[str, ...]:
        """The links that the world asked for."""
        return tuple(sorted(self._links))

    def detour(self, name: str, port: int) -> int:
        """Put a link in front of a server's port and return the link's own."""
        assert name not in self._links, f"{name} has a link already"
        listening = self._ports.take()
        self._links[name] = self._await(_opened(port, listening))
        return listening

    def change(self, name: str, weather: Weather) -> None:
        """Change one link's weather at once."""
        self._await(_calling(lambda: self._links[name].change(weather)))

    def cut(self, name: str) -> int:
        """Reset every connection through one link; return how many there were."""
        return self._await(_calling(self._links[name].cut))

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_ANSWER_SECONDS)


async def _opened(target_port: int, listening: int) -> Link:
    link = Link(target_port)
    await link.open(listening)
    return link


async def _calling(work: Callable[[], T]) -> T:
    return work()
