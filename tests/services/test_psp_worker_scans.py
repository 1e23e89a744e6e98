"""How far back a scan looks for a session of which no answer told us."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.fakes.clock import simulated
from tests.fakes.psp_worker import World
from tests.fakes.registrations import register

FIRST = register()


@pytest.mark.parametrize("seconds_ahead", [0, 300, 3000])
def test_a_forgotten_registration_is_found_although_the_clock_that_dated_it_was_ahead(seconds_ahead: int) -> None:
    """Else its attempt would be said to have failed, and another one could be paid beside it. Found by the simulation.

    The ledger comes back from a backup, and the key is too old: the PSP's list alone can tell.
    """
    world = World()
    ahead = replace(
        FIRST, issued_at=FIRST.issued_at + seconds_ahead, expires_at=FIRST.issued_at + seconds_ahead + 82_500
    )

    async def scenario() -> None:
        await world.handle(ahead)
        world.gateway.pay("cs_test_1", "paid")
        world.ledger.registrations.clear()
        await asyncio.sleep(30 * 3600)
        await world.handle(ahead, seen_before=True)

    simulated(scenario())
    assert {type(outcome).__name__ for outcome in world.outcomes()} == {"TokenIssued"}
    assert world.row(ahead).state == "open"
