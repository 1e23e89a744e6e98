"""The world around the processes: what is outside them, who restarts them, and when everything is quiet."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from payonce.ports import Record
from services.checkout_api.dependencies import Dependencies
from tests.simulation.database import Database
from tests.simulation.dice import dice
from tests.simulation.fold_tables import OUTBOX, PARKED, REFERENCES
from tests.simulation.groups import Group
from tests.simulation.log import Log, Unreliable
from tests.simulation.network import Network
from tests.simulation.news import News
from tests.simulation.process import EXPECTED_ENDS, Process
from tests.simulation.processes import GROUPS, KINDS
from tests.simulation.psp import Psp
from tests.simulation.scheduler import LoopClock, VirtualLoop

T = TypeVar("T")

EPOCH = 1_900_000_000.0
_REQUEST_SECONDS = 30.0
#: A sweep comes every 30 s, and its process may be frozen for a while or just beginning.
_CHORES_SECONDS = 90.0
#: The longest that anything may take to settle after the last fault is over.
QUIET_SECONDS = 6 * 3600.0


class Unanswered(Exception):
    """A request to the API broke off: nobody knows what became of it."""


class World:
    """Everything of one run. The seed decides all that is random."""

    def __init__(self, seed: int) -> None:
        self.epoch = EPOCH
        self.loop = VirtualLoop()  # type: ignore[abstract]  # the rest is never asked for
        self.rng = dice(f"{seed} world")
        self.network = Network(self.loop, dice(f"{seed} network"))
        self.clock = LoopClock(self.loop, EPOCH)
        self.database = Database(self.network, dice(f"{seed} database"), EPOCH)
        self.log = Log(self.network, EPOCH)
        self.publishing = Unreliable()
        self.psp = Psp(self.loop, self.clock, dice(f"{seed} psp"))
        self.groups = {
            name: Group(
                name,
                topics,
                self.log,
                self.loop,
                dice(f"{seed} {name}"),
                is_eager=name == "status_processor",
            )
            for name, topics in GROUPS.items()
        }
        self.skews: dict[str, float] = {}
        self.processes: dict[str, Process] = {}
        self.wanted: dict[str, None] = {}
        self.violations: list[str] = []
        self.requests = 0
        self.was_restored = False
        self.newer: dict[str, None] = {}  # processes of the next version
        self._trace = hashlib.sha256()
        self.log.listeners.append(self._note)
        self.restless_until = 0.0  # until then nothing is skipped: chores that come round must see what happened
        self.news = News(self)
        self.loop.idle = self._may_time_fly
        self.loop.on_skip = self.news.passed_over
        self.publishing.on_vanished = self.news.vanished

    # -- processes

    def launch(self, name: str) -> None:
        """Start a process of the kind that its name begins with, and keep it running."""
        self.wanted[name] = None
        self._start(name)

    def kill(self, name: str) -> None:
        """SIGKILL; its supervisor starts it again."""
        process = self.processes.get(name)
        if process is not None and process.owner.is_alive:
            process.owner.kill()
            self.loop.later(self.rng.uniform(0.2, 3.0), self._start, name)

    def freeze(self, name: str, seconds: float) -> None:
        """SIGSTOP, and SIGCONT later."""
        process = self.processes.get(name)
        if process is not None:
            process.owner.freeze()
            process.fall_silent()
            self.loop.later(seconds, process.owner.revive)

    def retire(self, name: str) -> None:
        """SIGTERM for good; after its grace it is killed."""
        self.wanted.pop(name, None)
        process = self.processes.get(name)
        if process is not None and process.owner.is_alive:
            process.owner.start(process.stop()).add_done_callback(lambda _: process.owner.kill())
            self.loop.later(30.0, process.owner.kill)

    def named(self, kind: str) -> list[str]:
        """Return the names of the wanted processes of a kind."""
        return [name for name in self.wanted if name.startswith(kind)]

    def ended(self, process: Process, error: BaseException) -> None:
        """Take note of a process that has ended itself."""
        if not isinstance(error, EXPECTED_ENDS):
            self.violations.append(f"{process.name} crashed: {type(error).__name__}: {error}")
        self.trace("ended", process.name, type(error).__name__)
        self.kill(process.name)

    def _start(self, name: str) -> None:
        current = self.processes.get(name)
        if name in self.wanted and (current is None or not current.owner.is_alive):
            kind = name.rstrip("0123456789")
            self.processes[name] = KINDS[kind](self, name)
            self.processes[name].start()

    # -- requests to the API

    async def request(self, handler: Callable[[Dependencies], Coroutine[Any, Any, T]]) -> T:
        """Let the API handle a request and return its answer. Raises Unanswered, and what the handler raises."""
        return await self.ask("api", handler)

    async def ask(self, kind: str, handler: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        """Let a process of this kind handle a request over its parts. Raises as `request` does."""
        asked = self.processes.get(self.rng.choice(self.named(kind) or [""]))
        parts = getattr(asked, "parts", None)
        if asked is None or asked.owner.state != "running" or parts is None:
            await asyncio.sleep(0.1)
            raise Unanswered
        self.requests += 1
        try:
            answer = asked.owner.start(handler(parts))
            await asyncio.wait([answer], timeout=_REQUEST_SECONDS)
        finally:
            self.requests -= 1
        if not answer.done():
            raise Unanswered
        return answer.result()

    # -- quiet

    def _may_time_fly(self) -> bool:
        return self.loop.time() > self.restless_until and not self.news.is_overdue() and self.is_quiet()

    def is_quiet(self) -> bool:
        """Return whether nobody has anything to do before the next event of the outside."""
        return (
            self.requests == 0
            and self.database.is_up
            and self.log.is_up
            and not self.database.tables.get(OUTBOX)
            and all(group.is_settled for group in self._groups_at_work())
            and not self._is_someone_awaited()
        )

    def _groups_at_work(self) -> Iterator[Group]:
        """Yield the groups that have members; ops_console may be down, and its topics wait."""
        yield from (group for name, group in self.groups.items() if name != "ops_console" or self.named("ops"))

    def stir(self) -> None:
        """Let every chore come round at least once before time is skipped again."""
        self.restless_until = self.loop.time() + _CHORES_SECONDS

    async def settle(self) -> bool:
        """Wait until it has been quiet for a while; False if that never comes."""
        until = self.loop.time() + QUIET_SECONDS
        quiet = 0
        await asyncio.sleep(max(0.0, self.restless_until - self.loop.time()))
        while self.loop.time() < until:
            await asyncio.sleep(20.0)
            quiet = quiet + 1 if self.is_quiet() and not self.news.is_awaited() else 0
            if quiet == 3:
                return True
        return False

    def _is_someone_awaited(self) -> bool:
        known = self.database.tables.get(REFERENCES, {})
        parked = self.database.tables.get(PARKED, {})
        return any(psp_id in known for event in parked.values() for psp_id in event.references)

    # -- the trace

    def trace(self, *what: object) -> None:
        """Add to the run's fingerprint: two runs of one seed must not differ in it."""
        self._trace.update(repr((round(self.loop.time(), 9), *what)).encode())

    def fingerprint(self) -> str:
        """Return the digest of everything that was traced."""
        return self._trace.hexdigest()[:16]

    def _note(self, record: Record) -> None:
        self.trace("log", record.topic, record.partition, record.offset, record.value)
