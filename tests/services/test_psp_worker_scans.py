"""How far back a scan looks for a session of which no answer told us."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from payonce.ports import SessionPage
from tests.fakes.clock import START, simulated
from tests.fakes.gateway import MemoryGateway, Trouble
from tests.fakes.orders import cancel, refresh
from tests.fakes.psp_worker import World, settled
from tests.fakes.registrations import register

FIRST = register()
HOUR = 3600


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


class NotedTimes(MemoryGateway):
    """Notes of which times its sessions are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[tuple[int, int]] = []

    async def sessions_created(
        self, *, created_from: int, created_until: int, after: str | None, api_version: str
    ) -> SessionPage:
        self.times.append((created_from, created_until))
        return await super().sessions_created(
            created_from=created_from, created_until=created_until, after=after, api_version=api_version
        )


@pytest.mark.parametrize("days", [1, 60])
def test_what_is_asked_about_a_failed_attempt_later_is_no_more_than_the_day_it_could_be_born_in(days: int) -> None:
    """A dispute months later reads the order again: not all the sessions since then."""
    world, command = World(), register(life_seconds=23 * HOUR)
    world.gateway = gateway = NotedTimes()
    gateway.troubles.append(Trouble("mismatch"))

    async def scenario() -> None:
        await world.handle(command)
        assert world.row(command).state == "failed"
        await asyncio.sleep(days * 24 * HOUR)
        gateway.times.clear()
        await world.handle(refresh())

    simulated(scenario())
    assert gateway.times == [(command.expires_at - 24 * HOUR, command.expires_at)]


def test_searches_that_share_a_scan_share_the_longest_time_of_them() -> None:
    """One was cancelled before its command came: nobody knows how long a session of it would live."""
    world, other, cancelled = World(), register("B", life_seconds=23 * HOUR), cancel("C")
    world.gateway = gateway = NotedTimes()
    gateway.troubles.append(Trouble("mismatch"))

    async def scenario() -> None:
        await world.handle(other)
        await world.handle(cancelled)
        await asyncio.sleep(3 * 24 * HOUR)
        gateway.times.clear()
        worker = world.worker()
        gateway.latency_seconds = 1
        first = asyncio.ensure_future(world.handle(refresh("B"), worker=worker))
        await settled(lambda: gateway.times)
        more = [world.handle(refresh(name), worker=worker) for name in ("B", "C")]
        await asyncio.gather(first, *more)

    simulated(scenario())
    alone, shared = gateway.times
    assert alone[1] == other.expires_at
    assert shared[0] <= alone[0]
    assert shared[1] >= int(START) + 3 * 24 * HOUR
