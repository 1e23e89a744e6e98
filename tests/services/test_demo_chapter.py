"""The demo's chapter of lives, at the real simulator: what a life meets, and what is told of one that cannot go on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from sandbox.demo.browser import Browser, PageMissing
from sandbox.demo.chapter import live_all
from sandbox.demo.client_app import ClientApp
from sandbox.demo.days import Days
from sandbox.demo.lives import Life
from sandbox.demo.living import Living
from sandbox.stripe_simulator.config import Config
from sandbox.stripe_simulator.control_client import Control
from sandbox.stripe_simulator.server import SimulatorServer
from sandbox.world import Addresses

DAY = 86_400


@pytest.fixture
def simulator() -> Iterator[SimulatorServer]:
    with SimulatorServer(Config()) as running:
        yield running


def addresses(simulator: SimulatorServer) -> Addresses:
    """A world of which only the PSP is there."""
    unused: dict[str, Any] = dict.fromkeys(Addresses.__dataclass_fields__, "http://127.0.0.1:1")
    return Addresses(**{**unused, "simulator_url": simulator.url})


async def test_lives_share_the_days_and_one_that_cannot_go_on_holds_nobody_up(simulator: SimulatorServer) -> None:
    seen = []

    async def waits(life: Living) -> None:
        began = await life.days.now()
        await life.days_pass(2)
        seen.append(int((await life.days.now() - began) // DAY))

    async def gives_up(_life: Living) -> None:
        raise PageMissing("no page")

    async def asks_for_nothing(life: Living) -> None:
        await life.days_pass(1)
        await life.at_the_psp(life.psp.expire, "cs_none")

    lives = [Life(each.__name__, each, "paid", ()) for each in (waits, gives_up, asks_for_nothing)]
    said: list[str] = []
    lived = await live_all(addresses(simulator), said.append, lives)

    assert seen == [2]
    assert [each.life for each in lived] == lives
    assert [each.trouble for each in lived] == ["", "no page", "404: no such session"]
    assert said == [
        "day  0  gives_up: no page",
        "day  1  asks_for_nothing: 404: no such session",
        "day  2  waits: paid",
    ]


async def test_a_status_that_does_not_come_is_told_with_the_one_that_is_there(simulator: SimulatorServer) -> None:
    class Shop(ClientApp):
        async def find(self, order_id: str) -> dict[str, Any]:
            return {"status": "processing", "amount_paid": 0}

    async with aiohttp.ClientSession() as http:
        shop, psp = Shop(http, "", "", ""), Control(simulator.url)
        life = Living(shop, Browser(http), psp, Days(psp, 1), "", "eur", patience_seconds=0.2)
        assert (await life.becomes("processing"))["amount_paid"] == 0
        with pytest.raises(PageMissing, match=r"it is processing and not .*'paid'"):
            await life.becomes("paid")
        with pytest.raises(PageMissing, match="'amount_paid': 4990"):
            await life.becomes("processing", amount_paid=4_990)


async def test_a_bug_in_a_life_is_not_taken_for_its_end(simulator: SimulatorServer) -> None:
    async def is_wrong(_life: Living) -> None:
        raise KeyError("a bug")

    with pytest.raises(ExceptionGroup) as caught:
        await live_all(addresses(simulator), lambda _: None, [Life("wrong", is_wrong, "paid", ())])

    assert caught.group_contains(KeyError)
