"""New attempts and cancellations against crashes and payments at any moment: never two open pages."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.domain.commands import CancelPayment, RegisterPayment
from payonce.domain.events import AttemptCancelled, RegistrationFailed, TokenIssued
from services.psp_worker.request import registration_request
from tests.fakes.clock import START, simulated
from tests.fakes.gateway import Trouble
from tests.fakes.happenings import (
    FIRST,
    HAPPENINGS,
    SECOND,
    STATES,
    Happening,
    assert_one_page_at_most,
    happen,
    stop_while_unknown,
    told,
)
from tests.fakes.orders import cancel
from tests.fakes.psp_worker import World, crash_everywhere
from tests.fakes.registrations import register


@pytest.mark.parametrize("what", HAPPENINGS)
@pytest.mark.parametrize("command", [SECOND, cancel()])
@pytest.mark.parametrize("after_effect", [False, True])
def test_a_crash_at_any_step_of_settling_is_harmless(
    command: RegisterPayment | CancelPayment, what: Happening, after_effect: bool
) -> None:
    async def prepare(world: World) -> None:
        await world.handle(FIRST)
        happen(world, what)

    worlds = crash_everywhere(prepare, command, after_effect=after_effect)
    assert len(worlds) >= 3
    for world in worlds:
        answers = [outcome for outcome in world.outcomes()[1:] if outcome.command_id == command.command_id]  # type: ignore[attr-defined]
        assert answers
        assert len(set(map(repr, answers))) == 1
        assert world.row(FIRST).state == STATES[what]
        assert_one_page_at_most(world)


@pytest.mark.parametrize("minutes_ahead", [36, 90])
def test_a_new_attempt_is_dated_and_judged_by_when_its_predecessor_was_settled(minutes_ahead: int) -> None:
    """It says when its try leaves; what became too late meanwhile is no refusal of the PSP's."""
    world, second = World(), register(attempt=2, life_seconds=minutes_ahead * 60)
    world.gateway.troubles_in["expire"].extend([Trouble("transient")] * 14)

    async def scenario() -> None:
        await world.handle(FIRST)
        await world.handle(second)

    simulated(scenario())
    closed_at = max(at for at, operation in world.gateway.asked if operation == "expire")
    assert closed_at > 60
    assert world.row(second).last_try_at >= START + closed_at
    assert [key for _, key in world.gateway.calls].count(f"{second.order_id}:register:2") == (minutes_ahead == 90)
    said = world.outcomes()[-1]
    assert isinstance(said, TokenIssued if minutes_ahead == 90 else RegistrationFailed)
    assert world.dead_letters() == []


@pytest.mark.parametrize("command", [SECOND, cancel()])
@pytest.mark.parametrize("is_born", [False, True])
@pytest.mark.parametrize("after_effect", [False, True])
def test_a_crash_at_any_step_of_asking_is_harmless(
    command: RegisterPayment | CancelPayment, is_born: bool, after_effect: bool
) -> None:
    async def prepare(world: World) -> None:
        await stop_while_unknown(world)
        if is_born:
            world.gateway.bear(registration_request(FIRST))
        await asyncio.sleep(400)

    worlds = crash_everywhere(prepare, command, after_effect=after_effect)
    assert len(worlds) >= 3
    for world in worlds:
        assert world.row(FIRST).state == ("expired" if is_born else "failed")
        assert told(world)[-1] == ("TokenIssued" if command is SECOND else "AttemptCancelled")
        assert_one_page_at_most(world)


TROUBLES = st.sampled_from(
    [
        Trouble("transient"),
        Trouble("transient", takes_effect=True),
        Trouble("rate_limited"),
        Trouble("replayed_failure"),
    ]
)


@settings(deadline=None, max_examples=150)
@given(
    commands=st.lists(st.sampled_from([FIRST, SECOND, register(attempt=3), cancel(), cancel(attempt=2)]), max_size=7),
    paid_at=st.lists(st.tuples(st.floats(0, 30), st.sampled_from(["paid", "processing", "free"])), max_size=4),
    troubles=st.lists(st.tuples(st.sampled_from(["register", "expire", "session"]), TROUBLES), max_size=5),
    latency=st.sampled_from([0.0, 0.3, 2.0]),
)
def test_whenever_the_customer_pays_there_is_one_charge_at_most_and_it_is_known(
    commands: list[RegisterPayment | CancelPayment],
    paid_at: list[tuple[float, str]],
    troubles: list[tuple[str, Trouble]],
    latency: float,
) -> None:
    """New attempts and cancellations against payments at any moment, while calls fail and answers are lost."""
    world = World()
    world.gateway.latency_seconds = latency
    for operation, trouble in troubles:
        world.gateway.troubles_in[operation].append(trouble)

    async def customer() -> None:
        for seconds, how in sorted(paid_at):
            await asyncio.sleep(max(0.0, seconds - asyncio.get_running_loop().time()))
            for session in world.gateway.open_sessions():
                world.gateway.pay(session.session_id, how)  # type: ignore[arg-type]
            assert_one_page_at_most(world)

    async def scenario() -> None:
        paying = asyncio.ensure_future(customer())
        for command in commands:
            await world.handle(command)
            assert_one_page_at_most(world)
        await paying

    simulated(scenario())
    assert_one_page_at_most(world)
    cancelled = {outcome.attempt for outcome in world.outcomes() if isinstance(outcome, AttemptCancelled)}
    for session in world.gateway.sessions.values():
        if session.metadata["attempt"] in {str(attempt) for attempt in cancelled}:
            assert session.status == "expired", "what was called cancelled took no money"
