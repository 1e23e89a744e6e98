"""The orders of a demo, placed at a steady rate, each followed by its customer."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field

import aiohttp

from sandbox.demo.behaviours import Behaviour, crowd
from sandbox.demo.browser import PATIENCE_SECONDS, RELOAD_SECONDS, Browser, PageMissing
from sandbox.demo.client_app import ClientApp
from sandbox.demo.customers import act
from sandbox.demo.summary import Placed
from sandbox.world import Addresses

_AMOUNTS = (4_990, 1_250, 12_000, 799, 25_900)
#: Card payments work in any currency; the bank methods of the crowd are euro methods. KWD has three decimals.
_CARD_CURRENCIES = ("eur", "jpy", "usd", "kwd", "eur")
_ANY_CURRENCY = (Behaviour.PAYS_BY_CARD, Behaviour.PAYS_AFTER_3DS, Behaviour.DECLINED_THEN_PAYS, Behaviour.ABANDONS)
_LEFT_OPEN = (Behaviour.ABANDONS, Behaviour.DECLINED_GIVES_UP)


@dataclass(slots=True)
class Traffic:
    """What has happened so far: for the progress display and the summary.

    A customer whose patience ends is noted in `gave_up`; without that list, it ends the run.
    """

    wanted: int
    patience_seconds: float = PATIENCE_SECONDS
    reload_seconds: float = RELOAD_SECONDS
    most_connections: int = 200
    gave_up: list[str] | None = None
    placed: list[Placed] = field(default_factory=list)
    placed_at: dict[str, float] = field(default_factory=dict)
    accepted_seconds: list[float] = field(default_factory=list)
    page_seconds: list[float] = field(default_factory=list)

    async def run(self, addresses: Addresses, *, orders_per_second: float) -> None:
        """Place every order and let every customer act. Raises an ExceptionGroup of PageMissing."""
        timeout = aiohttp.ClientTimeout(total=20)
        connector = aiohttp.TCPConnector(limit=self.most_connections)
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector) as http,
            asyncio.TaskGroup() as customers,
        ):
            thanks = f"{addresses.shop_url}/thanks"
            shop = ClientApp(
                http,
                addresses.api_url,
                addresses.api_key,
                thanks,
                patience_seconds=self.patience_seconds,
                repeat_seconds=self.reload_seconds,
            )
            started = time.monotonic()
            for number, behaviour in enumerate(crowd(self.wanted)):
                await asyncio.sleep(max(0.0, started + number / orders_per_second - time.monotonic()))
                customers.create_task(self._patiently(number, behaviour, shop, http, addresses))

    async def _patiently(
        self, number: int, behaviour: Behaviour, shop: ClientApp, http: aiohttp.ClientSession, addresses: Addresses
    ) -> None:
        try:
            await self._one(number, behaviour, shop, http, addresses)
        except PageMissing as error:
            if self.gave_up is None:
                raise
            self.gave_up.append(f"{behaviour.value}: {error}")

    async def _one(
        self, number: int, behaviour: Behaviour, shop: ClientApp, http: aiohttp.ClientSession, addresses: Addresses
    ) -> None:
        amount, currency = _price(number, behaviour)
        started = time.monotonic()
        order = await shop.place(f"demo-{number}-{secrets.token_hex(4)}", amount, currency)
        self.placed.append(Placed(order.order_id, behaviour, amount, currency))
        self.placed_at[order.order_id] = started
        self.accepted_seconds.append(order.latency_seconds)
        browser = Browser(http, self.patience_seconds, self.reload_seconds)
        page = await browser.open_until_elsewhere(order.checkout_url)
        self.page_seconds.append(time.monotonic() - started)
        await act(behaviour, browser, page)
        if behaviour in _LEFT_OPEN:
            await self._let_it_expire(http, addresses, page.url)

    async def _let_it_expire(self, http: aiohttp.ClientSession, addresses: Addresses, page_url: str) -> None:
        """Stripe expires an open session when its time has come; the simulator does so on request."""
        session_id = page_url.rstrip("/").rpartition("/")[2]
        url = f"{addresses.simulator_url}/_control/sessions/{session_id}/expire"
        deadline, done = time.monotonic() + self.patience_seconds, {200}
        while True:
            try:
                async with http.post(url, json={}) as answer:
                    if answer.status in done:
                        return
                    raise PageMissing(f"{session_id} did not expire: {answer.status} {await answer.text()}")
            except (aiohttp.ClientError, TimeoutError) as error:
                if time.monotonic() > deadline:
                    raise PageMissing(f"the simulator did not answer when asked to expire {session_id}") from error
            done.add(409)  # it has expired if only the answer was lost
            await asyncio.sleep(self.reload_seconds)


def _price(number: int, behaviour: Behaviour) -> tuple[int, str]:
    currency = _CARD_CURRENCIES[number % len(_CARD_CURRENCIES)] if behaviour in _ANY_CURRENCY else "eur"
    amount = _AMOUNTS[number % len(_AMOUNTS)]
    return (amount * 10 if currency == "kwd" else amount), currency


def percentile(values: list[float], share: float) -> float:
    """Return the value below which that share lies (0 when there is none)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
