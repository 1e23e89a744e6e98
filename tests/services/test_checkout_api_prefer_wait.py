"""`Prefer: wait=N`: the answer is held until the token is stored, and never shows the page of another body."""

from __future__ import annotations

from dataclasses import replace

from tests.fakes.checkout_api import PAGE, World, row, terms
from tests.fakes.virtual_clock import START


async def test_wait_ends_with_the_page_as_soon_as_the_token_is_stored() -> None:
    world = World()
    world.clock.later(2.5, lambda: world.orders.put(row("registered")))

    answer = await world.post(prefer="wait=10")

    assert answer.status_code == 201
    assert answer.json()["hosted_page_url"] == PAGE
    assert answer.headers["preference-applied"] == "wait=10"
    assert world.clock.now() - START < 3.5


async def test_wait_sees_a_change_whose_word_was_lost() -> None:
    """A waiter reads again every second, whatever it has heard."""
    world = World()
    world.clock.later(2.5, lambda: world.orders.put(row("registered"), silently=True))

    answer = await world.post(prefer="wait=10")

    assert answer.status_code == 201


async def test_wait_that_ends_in_vain_is_a_202() -> None:
    world = World()
    world.orders.put(row("created"))

    answer = await world.post(prefer="respond-async, wait=600")

    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "wait=30"
    assert world.clock.now() - START == 30


async def test_wait_never_shows_the_page_of_another_body() -> None:
    """Both bodies were accepted before the database knew either; the other one came first in the log."""
    world = World()
    world.clock.later(1, lambda: world.orders.put(row("registered", terms(amount=1))))

    answer = await world.post(prefer="wait=10")

    assert answer.status_code == 409
    assert PAGE not in answer.text


async def test_wait_ends_at_once_when_the_other_body_turns_out_to_be_first() -> None:
    world = World()
    world.clock.later(1.5, lambda: world.orders.put(row("created", terms(amount=1))))

    answer = await world.post(prefer="wait=30")

    assert answer.status_code == 409
    assert world.clock.now() - START < 2.5


async def test_who_waits_is_let_go_when_the_process_is_about_to_end() -> None:
    world = World()
    world.clock.later(2.5, world.dependencies.stop_waiting)

    answer = await world.post(prefer="wait=30")

    assert answer.status_code == 202
    assert world.clock.now() - START <= 4


async def test_wait_goes_on_while_only_the_token_and_not_the_body_is_known() -> None:
    world = World()
    world.clock.later(1, lambda: world.orders.put(replace(row("registered"), body_hash=None, client_id=None)))

    answer = await world.post(prefer="wait=3")

    assert answer.status_code == 202


async def test_postgresql_that_comes_back_while_waiting_gives_the_page() -> None:
    world = World()
    world.orders.healthy = False

    def back() -> None:
        world.orders.healthy = True
        world.orders.put(row("registered"), silently=True)

    world.clock.later(3, back)

    assert (await world.post(prefer="wait=10")).status_code == 201
