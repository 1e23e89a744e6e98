"""An earlier attempt before a new one, and sessions that contradict the ledger: never two open pages."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from payonce.domain.events import CommandRejected, RegistrationFailed, TokenIssued
from services.psp_worker.outcome import not_found
from services.psp_worker.request import registration_request
from tests.fakes.clock import simulated
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
from tests.fakes.log import command_record
from tests.fakes.psp_worker import World, settled
from tests.fakes.registrations import register


@pytest.mark.parametrize("what", HAPPENINGS)
def test_before_a_new_attempt_the_earlier_one_is_closed_or_keeps_the_order(what: Happening) -> None:
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        happen(world, what)
        await world.handle(SECOND)

    simulated(scenario())
    is_free = STATES[what] != "used"
    assert world.row(FIRST).state == STATES[what]
    assert world.row(SECOND).state == ("open" if is_free else "rejected")
    assert told(world) == ["TokenIssued", "TokenIssued" if is_free else "CommandRejected"]
    rejections = [outcome.reason for outcome in world.outcomes() if isinstance(outcome, CommandRejected)]
    assert rejections == ([] if is_free else ["order_used"])
    assert_one_page_at_most(world)


def test_an_attempt_that_was_used_and_failed_later_sets_the_order_free() -> None:
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        happen(world, "processing")
        await world.handle(SECOND)
        world.gateway.fail_payment("cs_test_1")
        await world.handle(register(attempt=3))

    simulated(scenario())
    assert [world.row(register(attempt=number)).state for number in (1, 2, 3)] == ["failed", "rejected", "open"]


def test_a_new_attempt_finds_the_session_of_an_unknown_one_and_closes_it() -> None:
    """Its token is told, for the command that made it; then it is closed."""
    world = World()

    async def scenario() -> None:
        await stop_while_unknown(world)
        world.gateway.bear(registration_request(FIRST))
        await world.handle(SECOND)

    simulated(scenario())
    assert told(world) == ["TokenIssued", "TokenIssued"]
    assert [world.row(FIRST).state, world.row(SECOND).state] == ["expired", "open"]
    assert_one_page_at_most(world)


def test_a_new_attempt_follows_once_the_absence_of_the_earlier_is_proven() -> None:
    world = World()

    async def scenario() -> None:
        await stop_while_unknown(world)
        await asyncio.sleep(331)
        await world.handle(SECOND)

    simulated(scenario())
    assert told(world) == ["RegistrationFailed", "TokenIssued"]
    assert [outcome.attempt for outcome in world.outcomes() if isinstance(outcome, RegistrationFailed)] == [1]


@pytest.mark.parametrize(
    "trouble", [Trouble("transient"), Trouble("transient", takes_effect=True), Trouble("permanent")]
)
def test_after_a_doubtful_answer_to_an_expiry_the_psp_is_asked_and_a_fresh_key_used(trouble: Trouble) -> None:
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        world.gateway.troubles_in["expire"].extend([trouble, trouble])
        await world.handle(SECOND)

    simulated(scenario())
    assert [world.row(FIRST).state, world.row(SECOND).state] == ["expired", "open"]
    operations = [operation for _, operation in world.gateway.asked]
    assert "session" in operations
    assert operations.count("expire") == (1 if trouble.takes_effect else 3)


def test_a_session_that_the_psp_does_not_know_is_left_to_people() -> None:
    """Perhaps the key belongs to another account: that proves nothing."""
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        world.gateway.sessions.clear()
        await world.handle(SECOND)

    simulated(scenario())
    assert world.dead_letters() == ["psp_refused"]
    assert world.row(FIRST).state == "open"
    assert 2 not in world.ledger.registrations[FIRST.order_id]


def test_a_session_that_comes_after_the_attempt_was_settled_without_it_is_closed_and_never_told() -> None:
    """A frozen process got its answer when the next owner had long proven that there is none."""
    world = World()
    world.gateway.latency_seconds = 2

    async def scenario() -> None:
        frozen = asyncio.ensure_future(world.handle(FIRST))
        await settled(lambda: world.gateway.calls)
        row = world.row(FIRST)
        failed = not_found(row, began_after=331, now=world.clock.now())
        await world.ledger.settle(failed, expected=("calling",))
        await frozen

    simulated(scenario())
    assert told(world) == ["RegistrationFailed"]
    assert world.gateway.open_sessions() == []
    assert len(world.gateway.sessions) == 1


def test_a_replay_of_a_finished_registration_after_everything_repeats_what_was_said() -> None:
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        await world.handle(SECOND)
        happen(world, "paid", "cs_test_2")
        replay = command_record(FIRST)
        await world.handle(replace(replay, headers=(*replay.headers, ("replay-for", b"psp_worker"))))

    simulated(scenario())
    first = [outcome for outcome in world.outcomes() if isinstance(outcome, TokenIssued) and outcome.attempt == 1]
    assert len(first) == 2
    assert first[0] == first[1]
    assert len(world.gateway.calls) == 2
