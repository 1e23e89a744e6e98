"""What is said again is the same event with the same time, whoever caused it to be said again, and however late.

The timeline knows an event by its id and its time: otherwise it would have a new line for every repetition.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import pytest

from payonce.domain.commands import Command
from tests.fakes.clock import simulated
from tests.fakes.gateway import Trouble
from tests.fakes.orders import cancel, cancel_subscription, refresh, refund
from tests.fakes.psp_worker import TOKENS, World
from tests.fakes.registrations import register

HOUR = 3_600.0


def times(world: World) -> dict[str, list[str]]:
    """Return the times of every event that was said: by type and id, in the order in which they were said."""
    found = defaultdict(list)
    for record in world.log.on(TOKENS):
        found[f"{record.header('ce_type')} {record.header('ce_id')}"].append(record.header("ce_time") or "")
    return dict(found)


def said(world: World, *commands: Command) -> dict[str, list[str]]:
    async def scenario() -> None:
        for command in commands:
            await world.handle(command)
            await asyncio.sleep(HOUR)

    simulated(scenario())
    return times(world)


@pytest.mark.parametrize(
    ("commands", "repeated"),
    [
        pytest.param([register()], "TokenIssued", id="a token"),
        pytest.param([register(), register(attempt=3)], "CommandRejected", id="a rejection"),
        pytest.param([register(), cancel()], "AttemptCancelled", id="a cancellation"),
        pytest.param([cancel(attempt=1)], "AttemptCancelled", id="a cancellation before its registration"),
        pytest.param([register(), refund()], "RefundRejected", id="a refund of nothing"),
        pytest.param([register(), cancel_subscription()], "CommandRejected", id="no subscription"),
        pytest.param([register(), refresh()], "PspSnapshot", id="a snapshot"),
    ],
)
def test_a_command_that_comes_again_repeats_its_events_time(commands: Sequence[Command], repeated: str) -> None:
    found = said(World(), *commands, commands[-1])

    [again] = [moments for name, moments in found.items() if repeated in name]
    assert len(again) > 1
    assert len(set(again)) == 1


def test_a_refresh_says_the_recorded_token_again_with_its_first_time() -> None:
    """Every order that is asked after says its token once more: a new line each time, if it had a new time."""
    found = said(World(), register(), *(refresh(refresh_id=f"day {day}") for day in range(3)))

    [token] = [moments for name, moments in found.items() if "TokenIssued" in name]
    assert len(token) == 4
    assert len(set(token)) == 1


@pytest.mark.parametrize("trouble", [Trouble("replayed_failure"), Trouble("transient", takes_effect=True)])
def test_an_outcome_that_took_some_asking_keeps_its_time(trouble: Trouble) -> None:
    world = World()
    world.gateway.troubles.append(trouble)

    found = said(world, register(), register(), refresh())

    [outcome] = [moments for name, moments in found.items() if "PspSnapshot" not in name]
    assert len(outcome) == 3
    assert len(set(outcome)) == 1
