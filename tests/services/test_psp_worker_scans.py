"""How far back a scan looks for a session of which no answer told us."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.ports import Registration, SessionPage
from services.psp_worker.psp import Psp
from services.psp_worker.registration import entry_for
from services.psp_worker.request import registration_request
from services.psp_worker.resting import Rests
from services.psp_worker.scans import Scans
from tests.fakes.clock import START, simulated
from tests.fakes.gateway import MemoryGateway, Trouble
from tests.fakes.orders import cancel, refresh
from tests.fakes.psp_objects import open_session
from tests.fakes.psp_worker import World
from tests.fakes.registrations import register

FIRST = register()
HOUR = 3600
DAY = 24 * HOUR


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


def test_what_is_asked_about_a_cancellation_that_came_first_is_no_more_than_the_days_around_it() -> None:
    """A registration that an earlier ledger knew had come before it, and no session lives longer than a day."""
    world, cancelled = World(), cancel(issued_at=int(START) + 10)
    world.gateway = gateway = NotedTimes()

    async def scenario() -> None:
        await world.handle(cancelled)
        await asyncio.sleep(60 * DAY)
        await world.handle(refresh())

    simulated(scenario())
    assert gateway.times == [(cancelled.issued_at - DAY, cancelled.issued_at + DAY)]


@pytest.mark.parametrize("life_seconds", [2 * HOUR, 23 * HOUR])
def test_a_registration_that_an_earlier_ledger_knew_is_closed_although_its_cancellation_came_first(
    life_seconds: int,
) -> None:
    """Whatever their clocks say: the session may be young when the cancellation looks a day old."""
    world = World()
    command = register(issued_at=int(START) + DAY, life_seconds=life_seconds)

    async def scenario() -> None:
        await asyncio.sleep(DAY + 100)
        await world.handle(command)
        world.ledger.registrations.clear()
        await world.handle(cancel())
        assert len(world.gateway.open_sessions()) == 1
        await asyncio.sleep(60)
        await world.handle(command, seen_before=True)

    simulated(scenario())
    assert world.gateway.open_sessions() == []
    assert world.row(command).state == "cancelled"


class Sessions(MemoryGateway):
    """A PSP with these sessions only, (created, order id) each; counts the pages that are asked for."""

    def __init__(self, sessions: Iterable[tuple[int, str]], page_size: int = 100) -> None:
        super().__init__()
        self.pages = 0
        self.page_size = page_size
        for number, (created, order_id) in enumerate(sorted(sessions)):
            request = {"metadata": {"order_id": order_id, "attempt": "1"}, "expires_at": created + DAY}
            session = open_session(number, request, created=created)
            self.sessions[session.session_id] = session
            self._born[session.session_id] = number

    async def sessions_created(
        self, *, created_from: int, created_until: int, after: str | None, api_version: str
    ) -> SessionPage:
        self.pages += 1
        return await super().sessions_created(
            created_from=created_from, created_until=created_until, after=after, api_version=api_version
        )


def row_of(order_id: str, first_try_at: float, expires_at: int) -> Registration:
    """Return the row of an attempt that nobody knows the outcome of."""
    command = register(life_seconds=expires_at - int(START))
    row = entry_for(command, registration_request(command), now=START, suspect=False)
    return replace(row, order_id=order_id, state="unknown", first_try_at=first_try_at, last_try_at=first_try_at)


async def sighted(gateway: MemoryGateway, rows: list[Registration], *, every: bool = True) -> list[list[int]]:
    """Look for all the rows in one scan; return when the sessions were created that were found for each."""
    world = World()
    world.gateway = gateway
    worker, clock = world.worker(), world.clock
    psp = Psp(gateway, world.ledger, worker.pacer, worker.holds, clock, float, Rests(clock, float))
    scans = Scans(psp)
    sightings = await asyncio.gather(*[scans.find(row, every=every) for row in rows])
    return [[session.created for session in sighting.sessions] for sighting in sightings]


def test_an_old_replay_beside_an_order_of_today_reads_the_days_of_both_and_nothing_between() -> None:
    """A million a day between them would keep everyone's scan busy for most of a day."""
    now = int(START) + 2 * HOUR
    old = row_of("ord_old", now - 30 * DAY, now - 29 * DAY)
    new = row_of("ord_new", now - HOUR, now + 3 * HOUR)
    pages: list[int] = []
    for rows in ([old], [new], [old, new], [new, old]):
        gateway = Sessions((at, f"ord_{at}") for at in range(now - 40 * DAY, now, 60))

        async def scenario(gateway: Sessions = gateway, rows: list[Registration] = rows) -> None:
            await asyncio.sleep(2 * HOUR)
            await sighted(gateway, rows)

        simulated(scenario())
        pages.append(gateway.pages)

    old_alone, new_alone, both, turned = pages
    assert both == turned
    assert both <= old_alone + new_alone + 1


@given(
    created=st.lists(st.integers(-12 * DAY, 3 * HOUR), max_size=40),
    windows=st.lists(st.tuples(st.integers(-12 * DAY, 0), st.integers(HOUR, 23 * HOUR)), min_size=1, max_size=6),
    page_size=st.integers(1, 5),
    every=st.booleans(),
)
def test_whoever_shares_a_scan_finds_what_it_would_find_alone(
    created: list[int], windows: list[tuple[int, int]], page_size: int, every: bool
) -> None:
    """Sessions of the same second, at the edges, of the same order at several times: whatever is skipped for others."""
    rows = [
        row_of(f"ord_{number % 3}", START + first, int(START) + first + life)
        for number, (first, life) in enumerate(windows)
    ]
    sessions = [(int(START) + at, f"ord_{number % 3}") for number, at in enumerate(created)]

    async def scenario() -> None:
        await asyncio.sleep(3 * HOUR)
        together = await sighted(Sessions(sessions, page_size), rows, every=every)
        for row, found in zip(rows, together, strict=True):
            (alone,) = await sighted(Sessions(sessions, page_size), [row], every=every)
            assert set(alone) <= set(found) if every else bool(alone) <= bool(found)

    simulated(scenario())
