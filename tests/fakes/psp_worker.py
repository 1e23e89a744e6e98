"""The PSP worker on in-memory ports that outlive it, so that it can crash and start again."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, cast

from payonce.domain.commands import Command, RegisterPayment
from payonce.ports import Ledger, LogProducer, PaymentGateway, Record, Registration, TopicPartition
from services.psp_worker.assembly import Ports, Worker, assemble
from services.psp_worker.slots import Slots
from services.psp_worker.work import Work
from tests.fakes.clock import LoopClock, simulated
from tests.fakes.gateway import MemoryGateway
from tests.fakes.ledger import MemoryLedger
from tests.fakes.log import MemoryLog, command_record

TOKENS = "payments.tokens"
COMMANDS_DLT = "payments.commands.dlt"
PARTITIONS = 12


class Crash(Exception):
    """The process ends here, as a SIGKILL would end it."""


class CrashPoint:
    """Ends the process at its n-th port call, before or after the call's effect; never without a number."""

    def __init__(self, call: int | None = None, *, after_effect: bool = False) -> None:
        self._left = call
        self._after_effect = after_effect
        self.passed = 0

    def before(self) -> None:
        """Count a port call that is about to be made."""
        self.passed += 1
        if self.passed == self._left and not self._after_effect:
            raise Crash

    def after(self) -> None:
        """Its effect has been made."""
        if self.passed == self._left and self._after_effect:
            raise Crash


class World:
    """Ledger, PSP and log; and one incarnation of the worker at a time."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.gateway = MemoryGateway()
        self.log = MemoryLog()
        self.clock = LoopClock()
        self.polled = True

    def worker(
        self, crash: CrashPoint | None = None, *, limit_per_second: float = 25.0, concurrency: int = 128
    ) -> Worker:
        """Return a fresh incarnation that holds every partition. Call it inside the loop."""
        point = crash or CrashPoint()
        ports = Ports(
            gateway=cast("PaymentGateway", _Crashing(self.gateway, point)),
            ledger=cast("Ledger", _Crashing(self.ledger, point, free=("positions", "advance"))),
            log=cast("LogProducer", _Crashing(self.log, point)),
            clock=self.clock,
            last_poll_at=lambda: self.clock.monotonic() if self.polled else float("-inf"),
            jitter=lambda: 1.0,
        )
        worker = assemble(ports, limit_per_second=limit_per_second, partitions=PARTITIONS, concurrency=concurrency)
        worker.pacer.hold(PARTITIONS)
        return worker

    async def handle(self, what: Command | Record, *, worker: Worker | None = None, seen_before: bool = False) -> None:
        """Let a worker handle one command to its end."""
        record = what if isinstance(what, Record) else command_record(what)
        await (worker or self.worker()).commands.handle(Work(record, Slots(1).take(), seen_before))

    def row(self, command: RegisterPayment) -> Registration:
        """Return the ledger's row of the command's attempt."""
        return self.ledger.registrations[command.order_id][command.attempt]

    def outcomes(self) -> list[object]:
        """Return what was published on payments.tokens."""
        return self.log.messages(TOKENS)

    def dead_letters(self) -> list[str]:
        """Return the reasons of the dead letters."""
        return [record.header("dlt-reason") or "" for record in self.log.on(COMMANDS_DLT)]


class FakeMember:
    """The GroupMember port: notes what it is asked."""

    def __init__(self) -> None:
        self.opened: dict[TopicPartition, int | None] = {}
        self.paused: frozenset[TopicPartition] = frozenset()
        self.commits: list[dict[TopicPartition, int]] = []

    def open(self, partition: TopicPartition, offset: int | None) -> None:
        self.opened[partition] = offset

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        self.paused = partitions

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.commits.append(dict(offsets))

    def committed(self) -> dict[TopicPartition, int]:
        """Return the last committed offset of each partition."""
        return {name: offset for commit in self.commits for name, offset in commit.items()}


async def settled(condition: Any) -> None:
    """Wait in jumping time until the condition holds; fail after a simulated day."""
    for _ in range(864_000):
        if condition():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it never came true")


def partition(number: int = 0) -> TopicPartition:
    """Return a partition of the commands."""
    return TopicPartition("payments.commands", number)


def records(commands: Iterable[Command], *, number: int = 0, start: int = 0) -> list[Record]:
    """Return the commands as records of one partition."""
    return [command_record(command, partition=number, offset=start + i) for i, command in enumerate(commands)]


class _Crashing:
    """A port whose every call may be where the process ends; but for those that are `free`."""

    def __init__(self, target: Any, crash: CrashPoint, free: tuple[str, ...] = ()) -> None:
        self._target = target
        self._crash = crash
        self._free = free

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)
        return method if name in self._free else partial(self._call, method)

    async def _call(self, method: Any, *args: Any, **named: Any) -> Any:
        self._crash.before()
        try:
            return await method(*args, **named)
        finally:
            self._crash.after()


def crash_everywhere(
    prepare: Callable[[World], Awaitable[None]], command: Command, *, after_effect: bool
) -> list[World]:
    """Run the command once for each port call that it makes, crash there, deliver it again; return the worlds."""
    worlds: list[World] = []
    for call in itertools.count(1):
        world, point = World(), CrashPoint(call, after_effect=after_effect)
        if not simulated(_crashed_and_redelivered(world, command, prepare, point)):
            break
        worlds.append(world)
    return worlds


async def _crashed_and_redelivered(
    world: World, command: Command, prepare: Callable[[World], Awaitable[None]], point: CrashPoint
) -> bool:
    await prepare(world)
    crashed = False
    try:
        await world.handle(command, worker=world.worker(point))
    except Crash:
        crashed = True
    await world.handle(command)
    return crashed


async def opened(world: World, **how: int) -> tuple[Worker, FakeMember]:
    """Return a worker with one open partition, and a pace that has begun."""
    worker, member = world.worker(**how), FakeMember()  # type: ignore[arg-type]
    worker.intake.attach(member)
    worker.intake.assigned({partition(): None})
    await settled(lambda: partition() in member.opened)
    worker.pacer.hold(12)
    await asyncio.sleep(3)
    return worker, member
