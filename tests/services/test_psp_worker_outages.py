"""The PSP away, refusing, or failing one order only: who waits, who is told, and what is never dead-lettered."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from dataclasses import replace

import pytest

from payonce.dead_letters import dead_letter
from payonce.domain.commands import Command
from payonce.domain.events import RegistrationFailed, RegistrationStuck, TokenIssued
from services.psp_worker.assembly import Worker
from tests.fakes.clock import START, simulated
from tests.fakes.gateway import Trouble
from tests.fakes.log import command_record
from tests.fakes.orders import cancel, refresh, refund
from tests.fakes.psp_worker import FakeMember, World, partition, records, settled
from tests.fakes.registrations import register

MINUTE = 60.0


def attached(world: World, **how: float) -> tuple[Worker, FakeMember]:
    worker, member = world.worker(**how), FakeMember()  # type: ignore[arg-type]
    worker.intake.attach(member)
    return worker, member


async def opened(worker: Worker, member: FakeMember) -> None:
    worker.intake.assigned({partition(): None})
    await settled(lambda: partition() in member.opened)
    worker.pacer.hold(12)
    await asyncio.sleep(3)


def key_of(reference: str) -> str:
    return f"{register(reference).order_id}:register:1"


def busiest_second(times: list[float]) -> int:
    return max((sum(1 for other in times if at <= other < at + 1 - 1e-6) for at in times), default=0)


def test_an_hour_without_the_psp_dead_letters_nothing_and_drains_within_the_budget() -> None:
    world = World()

    async def scenario() -> None:
        worker, member = attached(world)
        await opened(worker, member)
        world.gateway.away = Trouble("transient")
        worker.intake.received(records(register(f"A-{i}", life_seconds=23 * 3600) for i in range(300)))
        await settled(lambda: member.paused)
        await asyncio.sleep(5 * MINUTE)
        before = len(world.gateway.asked)
        await asyncio.sleep(3600)
        assert member.paused == {partition()}
        assert not worker.intake.failed.done()
        assert len(world.gateway.asked) - before < 130, "one canary every half minute, nothing else"
        assert {operation for _, operation in world.gateway.asked[before:]} == {"canary"}
        assert world.log.published == []
        world.gateway.away = None
        back_at = asyncio.get_running_loop().time()
        await settled(lambda: len(world.outcomes()) == 300)
        assert asyncio.get_running_loop().time() - back_at < 2 * MINUTE
        await settled(lambda: not member.paused)

    simulated(scenario())
    assert {type(outcome) for outcome in world.outcomes()} == {TokenIssued}
    assert world.dead_letters() == []
    assert busiest_second([at for at, _ in world.gateway.calls]) <= 25
    assert busiest_second([at for at, _ in world.gateway.asked]) <= 25


def test_a_few_failures_between_successes_hold_nothing() -> None:
    world = World()

    async def scenario() -> None:
        worker, member = attached(world)
        await opened(worker, member)
        for number in range(0, 40, 4):
            world.gateway.troubles_of[key_of(f"A-{number}")] = deque([Trouble("transient")])
        worker.intake.received(records(register(f"A-{i}") for i in range(40)))
        held = []
        while len(world.outcomes()) < 40:
            held.append(bool(member.paused))
            await asyncio.sleep(0.05)
        assert not any(held)

    simulated(scenario())


def test_whoever_waits_for_the_psp_gives_a_revocation_no_delay_and_the_next_goes_on_probing() -> None:
    world = World()

    async def scenario() -> None:
        worker, member = attached(world)
        await opened(worker, member)
        worker.intake.assigned({partition(1): None})
        await settled(lambda: partition(1) in member.opened)
        world.gateway.away = Trouble("transient")
        worker.intake.received(records(register(f"A-{i}") for i in range(6)))
        worker.intake.received(records([register("B")], number=1))
        await settled(lambda: member.paused == {partition(), partition(1)})
        await asyncio.sleep(100)
        began = asyncio.get_running_loop().time()
        await worker.intake.revoked([partition()])
        assert asyncio.get_running_loop().time() - began < 1
        await asyncio.sleep(300)
        world.gateway.away = None
        await settled(world.outcomes)
        assert member.paused == frozenset()

    simulated(scenario())


# ------------------------------------------------------------------------------------------ stuck


async def others_succeed(world: World, worker: Worker, seconds: float) -> None:
    for number in itertools.count():
        if asyncio.get_running_loop().time() > seconds:
            return
        await world.handle(register(f"other-{number}"), worker=worker)
        await asyncio.sleep(5)


def test_one_order_that_keeps_failing_while_others_succeed_is_left_to_people_after_ten_minutes() -> None:
    world, command = World(), register("stuck")
    world.gateway.troubles_of[key_of("stuck")] = deque([Trouble("transient")] * 500)

    async def scenario() -> float:
        worker = world.worker()
        others = asyncio.ensure_future(others_succeed(world, worker, 3600))
        await world.handle(command, worker=worker)
        ended = asyncio.get_running_loop().time()
        others.cancel()
        return ended

    ended = simulated(scenario())
    assert 10 * MINUTE <= ended <= 11.5 * MINUTE
    stuck = [outcome for outcome in world.outcomes() if isinstance(outcome, RegistrationStuck)]
    assert [outcome.reason for outcome in stuck] == ["retries_exhausted"]
    assert world.dead_letters() == ["retries_exhausted"]
    assert world.row(command).state == "unknown", "a new attempt must settle it first"


@pytest.mark.parametrize("is_there", [False, True])
def test_a_replay_of_a_stuck_order_settles_it(is_there: bool) -> None:
    """30 hours later: nothing is called again, whatever was made is found."""
    world, command = World(), register("stuck")
    trouble = Trouble("transient", takes_effect=is_there)
    world.gateway.troubles_of[key_of("stuck")] = deque([trouble] * 500)
    original = command_record(command)
    letter = dead_letter(original, reason="retries_exhausted", error="x", group="psp_worker", at=START)
    replay = replace(original, headers=(*letter.headers, ("replay-for", b"psp_worker")))

    async def scenario() -> int:
        worker = world.worker()
        others = asyncio.ensure_future(others_succeed(world, worker, 700))
        await world.handle(original, worker=worker)
        await others
        await asyncio.sleep(30 * 3600)
        calls = len(world.gateway.calls)
        world.gateway.forget_keys()
        await world.handle(replay)
        await world.handle(replay)
        return len(world.gateway.calls) - calls

    assert simulated(scenario()) == 0
    mine = [type(each) for each in world.outcomes() if each.order_id == command.order_id]  # type: ignore[attr-defined]
    final = TokenIssued if is_there else RegistrationFailed
    assert mine == [RegistrationStuck, final, final]
    assert world.dead_letters() == ["retries_exhausted"]


def test_nobody_is_stuck_because_the_psp_was_away() -> None:
    """An hour of silence, then everybody succeeds but for one more failure of the one that waited longest."""
    world, command = World(), register("old")

    async def scenario() -> None:
        worker = world.worker()
        world.gateway.away = Trouble("transient")
        waiting = asyncio.ensure_future(world.handle(command, worker=worker))
        await asyncio.sleep(3600)
        world.gateway.troubles_of[key_of("old")] = deque([Trouble("transient")] * 3)
        world.gateway.away = None
        await asyncio.gather(waiting, *(world.handle(register(f"A-{i}"), worker=worker) for i in range(10)))

    simulated(scenario())
    assert {type(outcome) for outcome in world.outcomes()} == {TokenIssued}
    assert world.dead_letters() == []


@pytest.mark.parametrize("command", [cancel("stuck"), refresh("stuck"), refund("stuck")])
def test_other_commands_that_keep_failing_are_dead_letters_too(command: Command) -> None:
    world = World()

    async def scenario() -> None:
        worker = world.worker()
        await world.handle(register("stuck"), worker=worker)
        for operation in ("expire", "session", "object"):
            world.gateway.troubles_in[operation] = deque([Trouble("transient")] * 500)
        others = asyncio.ensure_future(others_succeed(world, worker, 3600))
        await world.handle(command, worker=worker)
        others.cancel()

    simulated(scenario())
    assert world.dead_letters() == ["retries_exhausted"]
    assert world.row(register("stuck")).state == "open"


# ------------------------------------------------------------------------------------------ refused


def test_a_refusal_that_the_canary_does_not_meet_is_that_orders_own() -> None:
    world, command = World(), register()
    world.gateway.troubles.append(Trouble("configuration", http_status=403))
    simulated(world.handle(command))

    (failed,) = world.outcomes()
    assert isinstance(failed, RegistrationFailed)
    assert (failed.reason, "HTTP 403" in failed.proof) == ("psp_refused", True)
    assert [operation for _, operation in world.gateway.asked] == ["register", "canary"]
    assert world.dead_letters() == ["psp_refused"]


def test_many_orders_refused_in_a_row_are_our_configuration_after_all() -> None:
    """A key that may read but not write: the canary is fine, and thousands would be dead letters."""
    world = World()

    async def scenario() -> None:
        worker, member = attached(world)
        await opened(worker, member)
        world.gateway.always = Trouble("configuration", http_status=403)
        worker.intake.received(records(register(f"A-{i}") for i in range(50)))
        await asyncio.sleep(60)
        before = len(world.gateway.calls)
        await asyncio.sleep(1000)
        assert len(world.gateway.calls) - before <= 40, "one at a time, every half minute"
        assert len(world.dead_letters()) <= 2
        world.gateway.always = None
        await settled(lambda: len(world.outcomes()) == 50)

    simulated(scenario())
    assert len(world.dead_letters()) <= 2


def test_a_canary_without_an_answer_decides_nothing() -> None:
    world, command = World(), register()
    world.gateway.troubles.append(Trouble("configuration"))
    world.gateway.troubles_in["canary"].append(Trouble("transient"))
    simulated(world.handle(command))

    assert [type(outcome) for outcome in world.outcomes()] == [TokenIssued]
    assert world.dead_letters() == []
