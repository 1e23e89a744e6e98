"""A RegisterPayment on in-memory ports: its token, repeats, conflicts, replays, and what cannot be carried out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payonce.dead_letters import dead_letter
from payonce.domain.commands import RegisterPayment
from payonce.domain.events import CommandRejected, RegistrationFailed, TokenIssued
from payonce.domain.terms import Recurring
from payonce.ports import Record
from tests.fakes.clock import START, simulated
from tests.fakes.gateway import Trouble
from tests.fakes.log import command_record
from tests.fakes.psp_worker import World
from tests.fakes.registrations import register


def test_a_command_becomes_one_token() -> None:
    world, command = World(), register()
    simulated(world.handle(command))

    (token,) = world.outcomes()
    assert isinstance(token, TokenIssued)
    assert (token.order_id, token.attempt, token.command_id) == (command.order_id, 1, command.command_id)
    assert token.session_id == "cs_test_1"
    assert world.row(command).state == "open"
    assert world.dead_letters() == []


@pytest.mark.parametrize("times", [2, 5])
def test_the_same_command_again_repeats_its_outcome_without_a_call(times: int) -> None:
    world, command = World(), register()

    async def scenario() -> None:
        for _ in range(times):
            await world.handle(command)

    simulated(scenario())
    assert len(world.gateway.calls) == 1
    assert world.outcomes() == world.outcomes()[:1] * times


def test_another_body_for_the_same_attempt_is_rejected_and_stays_so() -> None:
    world, command, other = World(), register(), register(amount=1)

    async def scenario() -> None:
        await world.handle(command)
        await world.handle(other)
        await world.handle(other)

    simulated(scenario())
    _, once, again = world.outcomes()
    assert once == again
    assert isinstance(once, CommandRejected)
    assert (once.reason, once.body_hash) == ("body_mismatch", other.body_hash)
    assert len(world.gateway.calls) == 1


@pytest.mark.parametrize("attempt", [2, 7])
def test_an_attempt_that_does_not_follow_is_rejected(attempt: int) -> None:
    world = World()
    simulated(world.handle(register(attempt=attempt)))

    (rejected,) = world.outcomes()
    assert isinstance(rejected, CommandRejected)
    assert rejected.reason == "attempt_out_of_order"
    assert world.gateway.calls == []


def test_after_a_proven_failure_the_next_attempt_is_registered() -> None:
    world = World()
    world.gateway.troubles.append(Trouble("permanent"))

    async def scenario() -> None:
        await world.handle(register())
        await world.handle(register(attempt=2))

    simulated(scenario())
    assert [type(outcome) for outcome in world.outcomes()] == [RegistrationFailed, TokenIssued]


def test_a_replayed_dead_letter_repeats_its_outcome_and_does_not_come_back() -> None:
    world, command = World(), register()
    world.gateway.troubles.append(Trouble("permanent"))
    original = command_record(command)
    letter = dead_letter(original, reason="psp_refused", error="x", group="psp_worker", at=START)
    replay = replace(original, headers=(*letter.headers, ("replay-for", b"psp_worker")))

    async def scenario() -> None:
        await world.handle(original)
        await world.handle(replay)

    simulated(scenario())
    assert len(world.outcomes()) == 2
    assert world.dead_letters() == ["psp_refused"]
    assert len(world.gateway.calls) == 1


def without_interval(command: RegisterPayment) -> RegisterPayment:
    """A subscription as nobody can bill it."""
    return replace(command, terms=replace(command.terms, recurring=None))


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (Record("payments.commands", 0, 0, b"k", b"\xff"), "missing_type"),
        (replace(command_record(register()), value=b"{"), "not_json"),
        (replace(command_record(register()), value=b"{}"), "wrong_shape"),
        (replace(command_record(register()), key=b"ord_other"), "key_mismatch"),
        (
            replace(command_record(register()), headers=(("ce_type", b"payonce.RegisterPayment.v99"),)),
            "unknown_version",
        ),
        (replace(command_record(register()), headers=(("ce_type", b"payonce.NoSuchThing.v1"),)), "unknown_type"),
        (command_record(without_interval(register(recurring=Recurring("month")))), "unsupported"),
    ],
)
def test_what_cannot_be_carried_out_is_set_aside(record: Record, reason: str) -> None:
    world = World()
    simulated(world.handle(record))

    assert world.dead_letters() == [reason]
    assert world.outcomes() == []
    assert world.gateway.calls == []


def test_a_replay_for_another_group_is_acknowledged_unread() -> None:
    world = World()
    record = command_record(register())
    simulated(world.handle(replace(record, headers=(*record.headers, ("replay-for", b"status_processor")))))

    assert world.log.published == []
    assert world.ledger.registrations == {}
