"""Back-pressure: full partitions, refused credentials, PostgreSQL or Kafka away pause reading; nothing is lost."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from payonce.domain.events import TokenIssued
from services.psp_worker import assignment
from services.psp_worker.assembly import Worker
from tests.fakes.gateway import Trouble
from tests.fakes.psp_worker import FakeMember, World, partition, records, settled
from tests.fakes.psp_worker_member import opened, with_worker
from tests.fakes.registrations import register


def test_too_many_unfinished_commands_pause_their_partition_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment, "UNFINISHED_MAX", 10)

    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0, 1)
        world.gateway.latency_seconds = 5
        worker.intake.received(records(register(f"A-{i}") for i in range(10)))
        worker.intake.received(records([register("B")], number=1))
        assert member.paused == {partition(0)}
        await settled(lambda: len(world.outcomes()) == 11)
        assert member.paused == frozenset()

    with_worker(scenario)


def test_one_command_that_waits_does_not_keep_the_others_of_its_partition_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is finished behind it is only counted, up to a bound of its own; then it is read on from half of that."""
    monkeypatch.setattr(assignment, "UNFINISHED_MAX", 10)
    monkeypatch.setattr(assignment, "OPEN_OFFSETS_MAX", 40)

    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0)
        waiting = register("waiting")
        world.gateway.troubles_of[f"{waiting.order_id}:register:1"] = deque([Trouble("transient")] * 60)
        worker.intake.received(records([waiting]))
        for number in range(39):
            assert member.paused == frozenset()
            worker.intake.received(records([register(f"A-{number}")], start=number + 1))
            await settled(lambda number=number: len(world.outcomes()) == number + 1)
        assert member.paused == {partition(0)}
        world.gateway.troubles_of.clear()
        await settled(lambda: not member.paused)
        assert len(world.outcomes()) == 40

    with_worker(scenario)


def test_refused_credentials_pause_everything_and_one_call_probes_them() -> None:
    """Nothing is dead-lettered, nothing is decided, one call in 30 s goes out; then everything resumes by itself."""

    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0, 1)
        world.gateway.away = Trouble("configuration")
        worker.intake.received(records(register(f"A-{i}") for i in range(20)))
        await settled(lambda: member.paused == {partition(0), partition(1)})
        await asyncio.sleep(60)
        calls_before = len(world.gateway.calls)
        await asyncio.sleep(3000)
        assert len(world.gateway.calls) - calls_before == pytest.approx(100, abs=1)
        assert world.log.published == []
        worker.intake.assigned({partition(2): None})
        assert partition(2) in member.paused
        world.gateway.away = None
        await settled(lambda: len(world.outcomes()) == 20)
        assert member.paused == frozenset()
        assert {type(outcome) for outcome in world.outcomes()} == {TokenIssued}

    with_worker(scenario)


def test_the_next_call_takes_the_probe_over_when_its_partition_is_revoked() -> None:
    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0, 1)
        world.gateway.away = Trouble("configuration")
        worker.intake.received(records([register("A")]))
        await settled(lambda: member.paused)
        worker.intake.received(records([register("B")], number=1))
        await worker.intake.revoked([partition(0)])
        await asyncio.sleep(100)
        assert member.paused == {partition(1)}
        world.gateway.away = None
        await settled(lambda: len(world.outcomes()) == 1)
        assert member.paused == frozenset()

    with_worker(scenario)


def test_postgresql_away_pauses_everything_and_nothing_is_lost() -> None:
    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0)
        world.ledger.away = True
        worker.intake.received(records(register(f"A-{i}") for i in range(50)))
        await asyncio.sleep(3600)
        assert member.paused == {partition(0)}
        assert world.gateway.calls == []
        world.ledger.away = False
        await settled(lambda: len(world.outcomes()) == 50)
        assert member.paused == frozenset()
        assert world.dead_letters() == []

    with_worker(scenario)


def test_after_an_outage_calls_do_not_come_in_a_burst() -> None:
    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0)
        world.ledger.away = True
        worker.intake.received(records(register(f"A-{i}") for i in range(100)))
        await asyncio.sleep(300)
        world.ledger.away = False
        await settled(lambda: len(world.outcomes()) == 100)
        times = [at for at, _ in world.gateway.calls]
        assert max(sum(1 for other in times if at <= other < at + 0.999) for at in times) <= 20

    with_worker(scenario)


def test_a_delivery_report_that_fails_is_waited_for() -> None:
    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0)
        world.log.failures = 3
        worker.intake.received(records([register()]))
        await settled(lambda: member.paused == {partition(0)})
        await settled(world.outcomes)
        assert len(world.gateway.calls) == 1
        assert member.paused == frozenset()

    with_worker(scenario)
