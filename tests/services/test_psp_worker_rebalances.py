"""Partitions that come and go, and the end of the process: what is finished is committed, nothing else."""

from __future__ import annotations

import asyncio

import pytest

from payonce.domain.events import RegistrationFailed
from payonce.ports import OutgoingRecord
from services.psp_worker.assembly import Worker
from tests.fakes.gateway import Trouble
from tests.fakes.psp_worker import FakeMember, World, partition, records, settled
from tests.fakes.psp_worker_member import opened, with_worker
from tests.fakes.registrations import register


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


@pytest.mark.parametrize("rounds", range(4))
@pytest.mark.parametrize("amount", [1, 1999], ids=["of the same order", "of another order"])
def test_a_command_that_is_lost_before_its_first_step_gives_its_lane_and_slot_back(amount: int, rounds: int) -> None:
    """A command ends and makes room for the next, which is cancelled so many rounds of the loop later."""
    first, after = register("A"), register("A" if amount == 1 else "B", amount=amount)

    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0)
        report: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        publish = world.log.publish

        async def reported(record: OutgoingRecord) -> None:
            await publish(record)
            await report

        world.log.publish = reported  # type: ignore[method-assign]
        worker.intake.received(records([first, after]))
        await settled(world.outcomes)
        report.set_result(None)
        for _ in range(rounds):
            await asyncio.sleep(0)
        await asyncio.ensure_future(worker.intake.lost([partition(0)]))
        await opened(worker, member, 0)
        worker.intake.received(records([first, after]))
        await asyncio.sleep(60)
        await worker.intake.run_once()

        assert member.committed() == {partition(0): 2}

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


def test_committing_ends_with_its_round_when_the_process_is_asked_to_stop() -> None:
    """A round that is cut off would leave a transaction behind of which nobody knows where it put the ledger."""

    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0)
        world.ledger.slow_seconds = 1
        committing = asyncio.ensure_future(worker.intake.run())
        worker.intake.received(records([register("A")]))
        await settled(world.outcomes)
        await asyncio.sleep(0.6)  # its transaction is on the way
        world.gateway.latency_seconds = 1
        worker.intake.received(records([register("B")], start=1))
        await settled(lambda: len(world.gateway.calls) == 2)
        await worker.intake.drain(8)
        await committing

        assert member.committed() == world.ledger.offsets == {partition(0): 2}

    with_worker(scenario)
