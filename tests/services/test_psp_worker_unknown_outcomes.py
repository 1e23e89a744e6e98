"""A RegisterPayment of which nobody knows what became: the PSP is asked until it is found or proven absent."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from payonce.domain.events import CommandRejected, RegistrationFailed, TokenIssued
from services.psp_worker.request import registration_request
from tests.fakes.clock import simulated
from tests.fakes.gateway import Trouble
from tests.fakes.psp_worker import World, settled
from tests.fakes.registrations import register

HOUR = 3600


@pytest.mark.parametrize(
    "troubles",
    [
        [Trouble("transient", takes_effect=True), Trouble("permanent")],
        [Trouble("rate_limited"), Trouble("permanent")],
        [Trouble("mismatch")],
        [Trouble("replayed_failure")],
        [Trouble("transient"), Trouble("replayed_failure")],
    ],
)
def test_an_answer_that_proves_nothing_makes_us_ask(troubles: list[Trouble]) -> None:
    """Found: the token, without another call. Not found in a scan that began late enough: failed, and proven."""
    world, command = World(), register()
    world.gateway.troubles.extend(troubles)
    simulated(world.handle(command))

    (outcome,) = world.outcomes()
    made = bool(world.gateway.sessions)
    assert isinstance(outcome, TokenIssued if made else RegistrationFailed)
    assert made == troubles[0].takes_effect
    assert world.row(command).state == ("open" if made else "failed")
    assert len(world.gateway.calls) == len(troubles)
    assert world.dead_letters() == []


def test_a_proof_of_absence_is_a_scan_that_began_five_minutes_after_the_last_try() -> None:
    world, command = World(), register()
    world.gateway.troubles.append(Trouble("replayed_failure"))
    simulated(world.handle(command))

    (failed,) = world.outcomes()
    assert isinstance(failed, RegistrationFailed)
    assert failed.reason == "not_found"
    assert "330 s after the last try" in failed.proof
    scans = [at for at, operation in world.gateway.asked if operation == "sessions_created"]
    assert len(scans) == 2, "one at once, since a customer waits; one that proves"
    assert scans[-1] >= world.gateway.calls[-1][0] + 300


def test_a_session_that_is_born_while_we_wait_for_the_proof_is_found() -> None:
    """A 500 was saved for the key, and the session appeared two minutes later."""
    world, command = World(), register()
    world.gateway.troubles.append(Trouble("replayed_failure"))

    async def scenario() -> None:
        handling = asyncio.ensure_future(world.handle(command))
        await asyncio.sleep(120)
        world.gateway.bear(registration_request(command))
        await handling

    simulated(scenario())
    (token,) = world.outcomes()
    assert isinstance(token, TokenIssued)
    assert token.session_id == world.row(command).session_id == "cs_test_1"


def test_all_orders_that_wait_share_their_scans() -> None:
    """Forty orders ask within a few seconds: the list is read a few times, not eighty."""
    world = World()
    world.gateway.page_size = 10
    commands = [register(f"A-{number}") for number in range(40)]
    for command in commands[::2]:
        key = f"{command.order_id}:register:1"
        world.gateway.troubles_of[key] = deque([Trouble("transient", takes_effect=True), Trouble("replayed_failure")])
    for command in commands[1::2]:
        world.gateway.troubles_of[f"{command.order_id}:register:1"] = deque([Trouble("replayed_failure")])

    async def scenario() -> None:
        worker = world.worker()
        await asyncio.gather(*(world.handle(command, worker=worker) for command in commands))

    simulated(scenario())
    states = [world.row(command).state for command in commands]
    assert states == ["open", "failed"] * 20
    assert len(world.gateway.sessions) == 20
    pages = sum(1 for _, operation in world.gateway.asked if operation == "sessions_created")
    assert pages < 40


def test_other_orders_sessions_in_the_list_are_nobodys_find() -> None:
    world, command, other = World(), register("mine"), register("other")
    key = f"{command.order_id}:register:1"
    world.gateway.troubles_of[key] = deque([Trouble("replayed_failure")])

    async def scenario() -> None:
        await world.handle(other)
        world.gateway.bear({**registration_request(other), "metadata": {}})
        await world.handle(command)

    simulated(scenario())
    assert world.row(command).state == "failed"
    assert world.row(other).session_id == "cs_test_1"


def test_an_unknown_attempt_lets_no_other_pass_before_it_is_settled() -> None:
    """Two payable sessions of one order cannot come to be: the later attempt is rejected, for ever."""
    world, first, second = World(), register(), register(attempt=2)

    async def scenario() -> None:
        handling = asyncio.ensure_future(world.handle(first))
        world.gateway.troubles.append(Trouble("mismatch"))
        await settled(lambda: world.ledger.registrations and world.row(first).state == "unknown")
        await world.handle(second)
        await world.handle(second)
        await handling
        await world.handle(second)
        await world.handle(register(attempt=3))

    simulated(scenario())
    rejections = [outcome for outcome in world.outcomes() if isinstance(outcome, CommandRejected)]
    assert len(rejections) == 3
    assert len(set(map(repr, rejections))) == 1
    assert rejections[0].reason == "previous_unresolved"
    assert len(world.gateway.open_sessions()) == 1, "the third attempt follows a proven failure"


@pytest.mark.parametrize("is_known_there", [False, True])
def test_a_command_older_than_a_key_lives_is_asked_about_not_called(is_known_there: bool) -> None:
    """It may be the replay of something long forgotten by ledger and PSP: a call could make a second page."""
    world, command = World(), register(life_seconds=24 * HOUR - 300)

    async def scenario() -> None:
        if is_known_there:
            world.gateway.bear(registration_request(command))
        await asyncio.sleep(24 * HOUR)
        await world.handle(command)

    simulated(scenario())
    (outcome,) = world.outcomes()
    assert isinstance(outcome, TokenIssued if is_known_there else RegistrationFailed)
    assert world.gateway.calls == []


def test_a_command_the_group_had_passed_before_is_called_but_its_refusal_proves_nothing() -> None:
    """The database came back from an older backup: somebody may have called before."""
    world, command = World(), register()
    world.gateway.troubles.append(Trouble("permanent"))
    simulated(world.handle(command, seen_before=True))

    assert world.row(command).first_try_at == command.issued_at
    (failed,) = world.outcomes()
    assert isinstance(failed, RegistrationFailed)
    assert failed.reason == "not_found", "only after asking"
