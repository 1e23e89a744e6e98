"""The tries of a RegisterPayment: one key, growing pauses, an end, and a crash at every step."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from payonce.domain.events import RegistrationFailed, TokenIssued
from services.psp_worker.exits import LedgerContradicted
from services.psp_worker.outcome import unknown
from tests.fakes.clock import START, simulated
from tests.fakes.gateway import Trouble
from tests.fakes.psp_worker import World, crash_everywhere, settled
from tests.fakes.registrations import register

HOUR = 3600


@pytest.mark.parametrize("kind", ["transient", "rate_limited"])
@pytest.mark.parametrize("takes_effect", [False, True])
def test_a_passing_failure_is_tried_again_under_the_same_key(kind: str, takes_effect: bool) -> None:
    world, command = World(), register()
    trouble = Trouble("transient" if kind == "transient" else "rate_limited", takes_effect=takes_effect)
    world.gateway.troubles.extend([trouble] * 3)
    simulated(world.handle(command))

    assert len({key for _, key in world.gateway.calls}) == 1
    assert len(world.gateway.calls) == 4
    assert len(world.gateway.sessions) == 1
    assert [type(outcome) for outcome in world.outcomes()] == [TokenIssued]


def test_tries_grow_apart_and_every_one_is_written_down_before_it_leaves() -> None:
    world, command = World(), register()
    world.gateway.troubles.extend([Trouble("transient")] * 8)
    simulated(world.handle(command))

    times = [at for at, _ in world.gateway.calls]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps == sorted(gaps)
    assert gaps[0] >= 0.5
    assert max(gaps) <= 30.2
    assert world.row(command).last_try_at == pytest.approx(START + times[-1], abs=0.2)
    assert world.row(command).first_try_at == START


def test_a_refusal_of_the_first_try_is_a_proof() -> None:
    world, command = World(), register()
    world.gateway.troubles.append(Trouble("permanent"))
    simulated(world.handle(command))

    (failed,) = world.outcomes()
    assert isinstance(failed, RegistrationFailed)
    assert failed.reason == "psp_refused"
    assert "HTTP 400" in failed.proof
    assert world.row(command).state == "failed"
    assert world.dead_letters() == ["psp_refused"]


def test_a_stale_command_fails_without_a_call() -> None:
    world, command = World(), register(issued_at=int(START) - 2 * HOUR, life_seconds=2 * HOUR + 34 * 60)
    simulated(world.handle(command))

    (failed,) = world.outcomes()
    assert isinstance(failed, RegistrationFailed)
    assert failed.reason == "stale"
    assert world.gateway.calls == []
    assert world.dead_letters() == []


def test_retries_end_when_the_session_would_expire_too_soon() -> None:
    world, command = World(), register(life_seconds=2 * HOUR)
    world.gateway.always = Trouble("transient")
    simulated(world.handle(command))

    (failed,) = world.outcomes()
    assert isinstance(failed, RegistrationFailed)
    assert failed.reason == "stale"
    last_call_at = world.gateway.calls[-1][0]
    assert last_call_at <= 2 * HOUR - 35 * 60
    assert last_call_at > 2 * HOUR - 35 * 60 - 31


def test_retries_end_when_the_key_may_be_forgotten() -> None:
    world, command = World(), register(life_seconds=24 * HOUR - 300)
    world.gateway.always = Trouble("transient")
    simulated(world.handle(command))

    assert [type(outcome) for outcome in world.outcomes()] == [RegistrationFailed]
    assert 22 * HOUR < world.gateway.calls[-1][0] <= 23 * HOUR + 1


def test_a_row_that_vanishes_ends_the_process() -> None:
    world, command = World(), register()
    world.gateway.latency_seconds = 1

    async def scenario() -> None:
        handling = asyncio.ensure_future(world.handle(command))
        await settled(lambda: world.gateway.calls)
        world.ledger.registrations.clear()
        with pytest.raises(LedgerContradicted):
            await handling

    simulated(scenario())
    assert world.outcomes() == []


def test_a_try_is_not_made_once_others_have_found_that_nobody_knows() -> None:
    """A process that had been frozen between two tries: the key may be forgotten by now."""
    world, command = World(), register()
    world.gateway.troubles.append(Trouble("transient"))

    async def scenario() -> None:
        handling = asyncio.ensure_future(world.handle(command))
        await settled(lambda: world.gateway.calls)
        await world.ledger.settle(unknown(world.row(command), "somebody else's finding"), expected=("calling",))
        await handling

    simulated(scenario())
    assert len(world.gateway.calls) == 1
    assert [type(outcome) for outcome in world.outcomes()] == [RegistrationFailed]


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize(
    "troubles",
    [
        [],
        [Trouble("transient", takes_effect=True)],
        [Trouble("transient")],
        [Trouble("permanent")],
        [Trouble("mismatch")],
    ],
)
def test_a_crash_at_any_step_loses_nothing_and_makes_nothing_twice(troubles: list[Trouble], after_effect: bool) -> None:
    """Wherever the process ends, the redelivered command ends in one session at most and a published outcome."""

    async def in_trouble(world: World) -> None:
        world.gateway.troubles.extend(troubles)

    command = register()
    worlds = crash_everywhere(in_trouble, command, after_effect=after_effect)
    assert len(worlds) >= 3
    for call, world in enumerate(worlds, 1):
        outcomes = world.outcomes()
        row = world.row(command)
        assert outcomes, f"crash at call {call}: no outcome"
        assert len(world.gateway.sessions) <= 1
        assert len(set(map(repr, outcomes))) == 1
        assert (row.state == "open") == isinstance(outcomes[0], TokenIssued)
        assert row.state in ("open", "failed")
        was_refused = isinstance(outcomes[0], RegistrationFailed) and outcomes[0].reason == "psp_refused"
        assert bool(world.dead_letters()) == was_refused
