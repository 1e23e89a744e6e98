"""The chapter in which days pass: every life of a payment at once, each told when it is over.

It moves the PSP's clock, so whatever can expire must have been settled before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import aiohttp

from sandbox.demo.browser import Browser, PageMissing
from sandbox.demo.client_app import ClientApp
from sandbox.demo.days import Days
from sandbox.demo.lives import LIVES, Life, Lived
from sandbox.demo.living import Living
from sandbox.stripe_simulator.control_client import Control, ControlError
from sandbox.world import Addresses


async def live_all(addresses: Addresses, say: Callable[[str], None], lives: Sequence[Life] = LIVES) -> list[Lived]:
    """Live all of them side by side and return them in their order. A life that cannot go on is told, not raised."""
    assert addresses.simulator_url is not None, "days pass at the simulator only"
    psp = Control(addresses.simulator_url)
    days = Days(psp, len(lives))
    await days.now()
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout) as http, asyncio.TaskGroup() as group:
        group.create_task(days.run())
        shop = ClientApp(http, addresses.api_url, addresses.api_key, f"{addresses.shop_url}/thanks")
        fields_url = f"{addresses.simulator_url}/elements/sessions"
        tasks = [
            group.create_task(_live(life, Living(shop, Browser(http), psp, days, fields_url, life.currency), say))
            for life in lives
        ]
    return [task.result() for task in tasks]


async def _live(life: Life, living: Living, say: Callable[[str], None]) -> Lived:
    trouble = ""
    try:
        await life.live(living)
    except (PageMissing, ControlError) as error:
        trouble = str(error)
    finally:
        living.days.leave()
    say(f"day {living.days.day:2}  {life.name}: {trouble or life.status}")
    return Lived(life, living.order_id, trouble)
