"""What is read becomes running commands, finished ones become commits: rebalances, back-pressure, outages, stopping."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import pytest

from payonce.domain.events import CommandRejected, RegistrationFailed, TokenIssued
from payonce.ports import PositionMoved
from services.psp_worker import intake as intake_module
from services.psp_worker.assembly import Worker
from tests.fakes.clock import simulated
from tests.fakes.gateway import Trouble
from tests.fakes.psp_worker import FakeMember, World, partition, records, settled
from tests.fakes.registrations import register

Scenario = Callable[[World, Worker, FakeMember], Awaitable[None]]


def with_worker(scenario: Scenario, *, concurrency: int = 128) -> None:
    """Run the scenario on a worker that is attached to a fake member."""

    async def run() -> None:
        world, member = World(), FakeMember()
        worker = world.worker(concurrency=concurrency)
        worker.intake.attach(member)
        await scenario(world, worker, member)

    simulated(run())


async def opened(worker: Worker, member: FakeMember, *numbers: int, committed: int | None = None) -> None:
    names = [partition(number) for number in numbers]
    member.opened.clear()
    worker.intake.assigned(dict.fromkeys(names, committed))
    await settled(lambda: all(name in member.opened for name in names))


def test_finished_commands_are_committed_and_the_ledger_knows_first() -> None:
    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0)
        worker.intake.received(records(register(f"A-{i}") for i in range(5)))
        await settled(lambda: len(world.outcomes()) == 5)
        world.ledger.away = True
        assert await worker.intake.run_once() == 0
        assert member.commits == []
        world.ledger.away = False
        assert await worker.intake.run_once() == 1
        assert await worker.intake.run_once() == 0

        assert world.ledger.offsets == member.committed() == {partition(): 5}

    with_worker(scenario)


def test_the_commands_of_one_order_run_in_the_order_of_the_log() -> None:
    """Two bodies for one attempt: the first in the log wins, however slow it is, and others are not held up."""

    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0)
        world.gateway.troubles.extend([Trouble("transient")] * 3)
        worker.intake.received(records([register("A"), register("A", amount=1), register("B")]))
        await settled(lambda: len(world.outcomes()) == 3)

        by_order = {order: [o for o in world.outcomes() if o.order_id == order] for order in world.ledger.registrations}  # type: ignore[attr-defined]
        assert [type(o) for o in by_order[register("A").order_id]] == [TokenIssued, CommandRejected]
        assert [type(o) for o in by_order[register("B").order_id]] == [TokenIssued]

    with_worker(scenario)


def test_a_waiting_command_gives_its_slot_back_but_keeps_its_offset() -> None:
    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0)
        slow = register("slow")
        world.gateway.troubles_of[f"{slow.order_id}:register:1"] = deque([Trouble("transient")] * 6)
        worker.intake.received(records([slow, *(register(f"A-{i}") for i in range(3))]))
        await settled(lambda: len(world.outcomes()) == 3)
        await worker.intake.run_once()
        assert member.committed() == {}
        await settled(lambda: len(world.outcomes()) == 4)
        await worker.intake.run_once()

        assert world.outcomes()[-1].order_id == slow.order_id  # type: ignore[attr-defined]
        assert member.committed() == {partition(): 4}

    with_worker(scenario, concurrency=1)


def test_a_ledger_behind_the_group_is_followed_back() -> None:
    """The database came back from an older backup: read again from where it stands, as commands seen before."""

    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        world.ledger.offsets[partition(0)] = 3
        world.ledger.offsets[partition(1)] = 9
        worker.intake.assigned({partition(0): 5, partition(1): 9, partition(2): None, partition(3): 7})
        await settled(lambda: len(member.opened) == 4)
        from_the_first = {partition(2): None, partition(3): 0}  # the backup is older than the ledger's first position
        assert member.opened == {partition(0): 3, partition(1): None, **from_the_first}
        world.gateway.troubles.append(Trouble("permanent"))
        worker.intake.received(records([register("lost")], start=4))
        await settled(world.outcomes)

        (failed,) = world.outcomes()
        assert isinstance(failed, RegistrationFailed)
        assert failed.reason == "not_found", "a refusal proves nothing for a command seen before"

    with_worker(scenario)


def test_what_a_reset_brings_again_is_committed_again() -> None:
    """The group was sent back to the beginning, the ledger was not: reading up to where it stands must be committed."""

    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        world.ledger.offsets[partition()] = 2
        await opened(worker, member, 0)
        worker.intake.received(records([register("A"), register("B")]))
        await settled(lambda: len(world.outcomes()) == 2)
        await asyncio.sleep(1)
        await worker.intake.run_once()

        assert member.committed() == {partition(): 2}

    with_worker(scenario)


def test_records_of_partitions_that_are_not_open_are_dropped() -> None:
    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        worker.intake.received(records([register()]))
        world.ledger.away = True
        worker.intake.assigned({partition(0): None})
        await asyncio.sleep(120)
        worker.intake.received(records([register()]))
        assert member.opened == {}
        world.ledger.away = False
        await settled(lambda: member.opened)
        await asyncio.sleep(60)

        assert world.ledger.registrations == {}
        assert await worker.intake.run_once() == 0

    with_worker(scenario)


def test_a_revoked_partition_waits_for_its_calls_and_commits_what_is_finished() -> None:
    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0, 1, committed=None)
        world.gateway.latency_seconds = 3
        worker.intake.received(records([register("A"), register("B")]))
        worker.intake.received(records([register("C")], number=1))
        await settled(lambda: len(world.gateway.calls) == 3)

        assert await worker.intake.revoked([partition(0)]) == {partition(0): 2}
        assert world.ledger.offsets == {partition(0): 2}
        await settled(lambda: len(world.outcomes()) == 3)
        await worker.intake.run_once()
        assert member.committed() == {partition(1): 1}

    with_worker(scenario)


def test_a_revoked_partition_waits_five_seconds_at_most_and_leaves_the_rest_to_the_next_owner() -> None:
    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0)
        worker.intake.received(records([register("done")]))
        await settled(world.outcomes)
        world.gateway.latency_seconds = 14
        worker.intake.received(records([register("slow"), register("slow", attempt=2)], start=1))
        await settled(lambda: len(world.gateway.calls) == 2)
        began = asyncio.get_running_loop().time()

        assert await worker.intake.revoked([partition(0)]) == {partition(0): 1}
        assert asyncio.get_running_loop().time() - began < 7
        world.gateway.latency_seconds = 0
        await opened(worker, member, 0, committed=1)
        worker.intake.received(records([register("slow")], start=1))
        await settled(lambda: len(world.outcomes()) == 2)
        assert len(world.gateway.sessions) == 2

    with_worker(scenario)


@pytest.mark.parametrize("trouble", ["slow", "away"])
def test_a_revocation_does_not_wait_for_postgresql_and_commits_nothing_unstored(trouble: str) -> None:
    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0)
        worker.intake.received(records([register()]))
        await settled(world.outcomes)
        world.ledger.slow_seconds = 60 if trouble == "slow" else 0
        world.ledger.away = trouble == "away"
        committing = asyncio.ensure_future(worker.intake.run())
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()

        assert await worker.intake.revoked([partition(0)]) == {}
        assert asyncio.get_running_loop().time() - began < 4
        assert member.commits == []
        committing.cancel()

    with_worker(scenario)


def test_a_command_that_waits_for_its_next_try_does_not_delay_a_revocation() -> None:
    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0)
        world.gateway.always = Trouble("transient")
        worker.intake.received(records([register()]))
        await settled(lambda: len(world.gateway.calls) >= 7)
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()

        assert await worker.intake.revoked([partition(0)]) == {}
        assert asyncio.get_running_loop().time() - began < 1

    with_worker(scenario)


def test_a_lost_partition_is_forgotten_without_a_word() -> None:
    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0)
        world.gateway.latency_seconds = 1
        worker.intake.received(records([register()]))
        await settled(lambda: world.gateway.calls)
        await worker.intake.lost([partition(0)])
        await asyncio.sleep(60)

        assert world.outcomes() == []
        assert await worker.intake.run_once() == 0
        assert world.ledger.offsets == {}
        assert not worker.intake.failed.done()

    with_worker(scenario)


def test_too_many_open_offsets_pause_their_partition_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "OPEN_OFFSETS_MAX", 10)

    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0, 1)
        world.gateway.latency_seconds = 5
        worker.intake.received(records(register(f"A-{i}") for i in range(10)))
        worker.intake.received(records([register("B")], number=1))
        assert member.paused == {partition(0)}
        await settled(lambda: len(world.outcomes()) == 11)
        assert member.paused == frozenset()

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


def test_a_position_that_somebody_else_moved_ends_the_process() -> None:
    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0)
        worker.intake.received(records([register()]))
        await settled(world.outcomes)
        world.ledger.offsets[partition(0)] = 77
        with pytest.raises(PositionMoved):
            await worker.intake.run()
        assert member.commits == []

    with_worker(scenario)


def test_a_bug_in_a_command_ends_the_process_and_commits_nothing_past_it() -> None:
    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0)
        world.gateway.register = None  # type: ignore[method-assign, assignment]
        worker.intake.received(records([register()]))
        await settled(worker.intake.failed.done)
        assert isinstance(worker.intake.failed.exception(), TypeError)
        assert await worker.intake.run_once() == 0

    with_worker(scenario)


def test_stopping_finishes_running_calls_and_takes_nothing_more() -> None:
    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0)
        world.gateway.latency_seconds = 2
        worker.intake.received(records(register(f"A-{i}") for i in range(3)))
        await settled(lambda: len(world.gateway.calls) == 3)
        draining = asyncio.ensure_future(worker.intake.drain(8))
        await asyncio.sleep(0)
        worker.intake.received(records([register("late")], start=3))
        await draining

        assert len(world.outcomes()) == 3
        assert member.committed() == {partition(0): 3}
        assert member.paused == {partition(0)}
        assert await worker.intake.revoked([partition(0)]) == {partition(0): 3}

    with_worker(scenario)
