"""What is read becomes running commands, finished ones become commits; a bug or another writer ends the process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

import pytest

from payonce.domain.events import CommandRejected, TokenIssued
from payonce.ports import PositionMoved, StoreUnavailable, TopicPartition
from services.psp_worker.assembly import Worker
from tests.fakes.gateway import Trouble
from tests.fakes.psp_worker import FakeMember, World, partition, records, settled
from tests.fakes.psp_worker_member import opened, with_worker
from tests.fakes.registrations import register


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


@pytest.mark.parametrize("is_stored", [True, False])
def test_a_lost_answer_to_a_commit_is_no_other_writer(is_stored: bool) -> None:
    """Until PostgreSQL answers again, the ledger may stand at any of the positions that it was told."""

    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0)
        advance = world.ledger.advance

        async def unanswered(offsets: Mapping[TopicPartition, int], **named: Any) -> None:
            if is_stored:
                await advance(offsets, **named)
            raise StoreUnavailable("the connection broke in COMMIT")

        for number in range(3):
            world.ledger.advance = unanswered if number < 2 else advance  # type: ignore[method-assign]
            worker.intake.received(records([register(f"A-{number}")], start=number))
            await settled(lambda number=number: len(world.outcomes()) == number + 1)
            await asyncio.sleep(1)
            assert await worker.intake.run_once() == (0 if number < 2 else 1)

        assert member.committed() == world.ledger.offsets == {partition(0): 3}

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
