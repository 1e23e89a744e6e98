"""The load: orders that are registered and paid, each through the public API and the simulator's control door."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass

import aiohttp

from sandbox.world import Addresses

_CREATED = 201
_OK = 200


class LoadFailed(Exception):
    """An order did not get its token: the figures would be of something else."""


@dataclass(frozen=True, slots=True)
class Registered:
    """An order whose token is stored, and how long that took from the POST."""

    order_id: str
    session_id: str
    token_seconds: float


class Load:
    """Places orders and pays them; one HTTP connection pool."""

    def __init__(self, http: aiohttp.ClientSession, addresses: Addresses) -> None:
        self._http = http
        self._addresses = addresses
        self._headers = {"Authorization": f"Bearer {addresses.api_key}", "Prefer": "wait=20"}

    async def register(self) -> Registered:
        """Place one order and wait until its token is stored. Raises LoadFailed."""
        body = {
            "reference": f"bench-{secrets.token_hex(8)}",
            "amount": 1_000,
            "currency": "eur",
            "payment_type": "SALE",
            "payment_method": "APM",
            "redirect_url": f"{self._addresses.shop_url}/thanks",
        }
        started = time.perf_counter()
        url = f"{self._addresses.api_url}/v1/payment-orders"
        async with self._http.post(url, json=body, headers=self._headers) as answer:
            document = await answer.json()
        if answer.status != _CREATED:
            raise LoadFailed(f"{answer.status}: {document}")
        session_id = document["hosted_page_url"].rstrip("/").rpartition("/")[2]
        return Registered(document["id"], session_id, time.perf_counter() - started)

    async def pay(self, session_id: str) -> None:
        """Let the customer of a session pay by card. Raises LoadFailed."""
        url = f"{self._addresses.simulator_url}/_control/sessions/{session_id}/pay"
        async with self._http.post(url, json={"method": "card"}) as answer:
            if answer.status != _OK:
                raise LoadFailed(f"{answer.status}: {await answer.text()}")

    async def one(self) -> Registered:
        """Register and pay one order."""
        registered = await self.register()
        await self.pay(registered.session_id)
        return registered


async def at_rate(load: Load, *, per_second: float, seconds: float) -> list[Registered]:
    """Place and pay orders at a steady rate, whatever their latency; return them in order of completion."""
    done: list[Registered] = []

    async def one() -> None:
        done.append(await load.one())

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(per_second * seconds)):
            await asyncio.sleep(max(0.0, started + number / per_second - time.perf_counter()))
            group.create_task(one())
    return done


async def flat_out(load: Load, *, orders: int, at_once: int) -> list[Registered]:
    """Place and pay that many orders, `at_once` in progress at any time."""
    left = iter(range(orders))

    async def customer() -> list[Registered]:
        return [await load.one() for _ in left]

    async with asyncio.TaskGroup() as group:
        customers = [group.create_task(customer()) for _ in range(at_once)]
    return [order for each in customers for order in each.result()]
