"""Clients and customers: orders placed once, twice and with another body; pages visited, paid, left open; new attempts.

They know payonce only by its API, and Stripe only by its pages.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from payonce.domain.commands import CancelPayment, RefreshPayment, RefundPayment
from payonce.domain.terms import Terms, body_hash_of, order_id_of
from services.checkout_api.intake import terms_of
from services.checkout_api.payloads import PaymentOrderRequest
from tests.simulation.client import TAKEN, Client
from tests.simulation.dice import dice
from tests.simulation.process import API_VERSION, SHOP
from tests.simulation.world import World

_DAY = 86_400.0
_CONFLICT = 409


@dataclass(slots=True)
class Order:
    """An order as its shop knows it."""

    number: int
    starts_at: float
    bodies: list[PaymentOrderRequest]
    order_id: str
    accepted: dict[str, None]  # hashes of the bodies that were answered 2xx
    attempts: int = 1
    is_shown: bool = False


class Shop:
    """All clients and all customers of a run."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._rng = dice(f"{seed} shop")
        self.orders = [self._order(number) for number in range(self._rng.choice((1, 2, 2, 3, 3, 4, 6)))]
        self._client = Client(world, dice(f"{seed} client"))
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Let everybody begin."""
        for order in self.orders:
            self._do(self._life(order, dice(self._rng.random())))

    async def closed(self) -> None:
        """Return when nobody wants anything any more."""
        while self._tasks:
            tasks, self._tasks = self._tasks, []
            await asyncio.gather(*tasks)

    def burst(self, count: int) -> None:
        """Place many orders at this moment."""
        for _ in range(count):
            order = self._order(len(self.orders))
            order.starts_at = 0.0
            self.orders.append(order)
            self._do(self._life(order, dice(self._rng.random())))

    def _order(self, number: int) -> Order:
        rng = self._rng
        starts_at = rng.uniform(0.0, 60.0) if rng.random() < 0.8 else rng.uniform(0.0, 2 * _DAY)
        amount = rng.randint(100, 9999)
        refused = rng.random() < 0.06
        body = PaymentOrderRequest(
            reference=f"R-{number}",
            amount=amount,
            currency="EUR",
            payment_type="SALE",
            payment_method="APM",
            redirect_url="https://shop.example/thanks",
            description="refuse me" if refused else None,
        )
        bodies = [body]
        if rng.random() < 0.12:
            bodies.append(body.model_copy(update={"amount": amount + 1}))
        return Order(number, starts_at, bodies, order_id_of(SHOP.id, body.reference), {})

    def _do(self, work: Any) -> None:
        self._tasks.append(self._world.loop.create_task(work))

    # -- clients

    async def _life(self, order: Order, rng: random.Random) -> None:
        await asyncio.sleep(order.starts_at)
        for body in order.bodies:
            self._do(self._place(order, body, dice(rng.random())))
            if rng.random() < 0.15:
                self._do(self._place(order, body, dice(rng.random())))  # two clicks
            await asyncio.sleep(rng.choice((0.0, 0.05, 5.0)))
        for errand in (self._impatient, self._cancels, self._refreshes):
            if rng.random() < 0.2:
                self._do(errand(order, dice(rng.random())))

    async def _place(self, order: Order, body: PaymentOrderRequest, rng: random.Random) -> None:
        terms = terms_of(body, SHOP)
        status = await self._client.place(body)
        if status == _CONFLICT or not status:
            return
        assert status in TAKEN
        order.accepted[body_hash_of(terms)] = None
        await self._customer(order, terms, rng)

    async def _impatient(self, order: Order, rng: random.Random) -> None:
        """Ask for attempts that may not be due, or command them: the worker alone can tell while the fold is behind."""
        await asyncio.sleep(rng.choice((0.01, 1.0, 60.0, 3600.0)) * rng.uniform(0.5, 2.0))
        attempt = rng.choice((2, 2, 2, 3))
        if rng.random() < 0.3:
            await self._client.attempt(order.order_id, attempt, wait=rng.random() < 0.5)
        else:
            await self._command(order, terms_of(order.bodies[0], SHOP), attempt)

    async def _cancels(self, order: Order, rng: random.Random) -> None:
        """Cancel an attempt at any time, perhaps before it is commanded."""
        await asyncio.sleep(rng.choice((0.0, 0.5, 60.0, 7200.0, 100_000.0)) * rng.random())
        if rng.random() < 0.5:
            await self._client.cancel(order.order_id, rng.choice((None, 1, 2)), wait=rng.random() < 0.5)
        else:
            await self._client.send(CancelPayment(order.order_id, rng.choice((1, 1, 1, 2)), self._client.now()))

    async def _refreshes(self, order: Order, rng: random.Random) -> None:
        """Ask what Stripe knows, as the reconciler does."""
        for number in range(rng.randint(1, 3)):
            await asyncio.sleep(rng.choice((0.5, 600.0, 90_000.0)) * rng.random())
            now = self._client.now()
            await self._client.send(RefreshPayment(order.order_id, f"r{number}", (), "a simulation", now, API_VERSION))

    async def _asks_back(self, order_id: str, amount: int, rng: random.Random) -> None:
        """Ask for a refund, perhaps again, perhaps on other terms, perhaps past the API."""
        part = rng.choice((None, amount // 5, amount // 3, rng.randint(1, amount), amount + 1))
        await self._ask_back(order_id, part, rng)
        while rng.random() < 0.4:
            await asyncio.sleep(rng.choice((0.01, 60.0, 110_000.0)) * rng.random())
            await self._ask_back(order_id, rng.choice((part, part, 7)), rng)

    async def _ask_back(self, order_id: str, amount: int | None, rng: random.Random) -> None:
        if amount != 0 and rng.random() < 0.5:
            await self._client.refund(order_id, "back", amount)
        else:
            refund = RefundPayment(order_id, "back", None, amount, None, self._client.now(), API_VERSION)
            await self._client.send(refund)

    async def _command(self, order: Order, terms: Terms, attempt: int) -> None:
        await self._client.send(self._client.registration(terms, attempt))
        order.attempts = max(order.attempts, attempt)

    async def _retries(self, order: Order, terms: Terms, rng: random.Random) -> None:
        """Try again after the order was not paid, as a shop does: the API says whether it may."""
        if rng.random() < 0.5:
            await self._command(order, terms, order.attempts + 1)
        elif await self._client.attempt(order.order_id, order.attempts + 1) in TAKEN:
            order.attempts += 1

    # -- customers

    async def _customer(self, order: Order, terms: Terms, rng: random.Random) -> None:
        body_hash = body_hash_of(terms)
        if rng.random() < 0.1:
            return  # never came
        for _ in range(rng.choice((2, 4, 10))):
            await asyncio.sleep(rng.choice((1.0, 1.0, 10.0, 600.0, 20_000.0, 90_000.0)) * rng.uniform(0.1, 1.5))
            location = await self._client.visit(order.order_id, body_hash)
            if location is None:
                continue
            if "stripe" in location:
                session_id = urlsplit(location).path.rpartition("/")[2]
                self._shown(order, session_id, body_hash)
                if await self._pay(session_id, rng):
                    return
            elif any(f"status={status}" in location for status in ("expired", "failed", "registration_failed")):
                if order.attempts < 3 and rng.random() < 0.7:
                    await self._retries(order, terms, rng)
            else:
                return

    def _shown(self, order: Order, session_id: str, body_hash: str) -> None:
        order.is_shown = True
        record = self._world.psp.sessions[session_id]
        if record.metadata["order_id"] != order.order_id or record.metadata["body_hash"] != body_hash:
            self._world.violations.append(f"the page of another body was shown: {session_id} for order {order.number}")

    async def _pay(self, session_id: str, rng: random.Random) -> bool:
        psp = self._world.psp
        await asyncio.sleep(rng.choice((1.0, 30.0, 3000.0)) * rng.uniform(0.1, 2.0))
        if not psp.is_payable(session_id) or rng.random() < 0.25:
            return False
        is_delayed = rng.random() < 0.3
        other = 77 if rng.random() < 0.03 else None
        intent_id = psp.pay(session_id, is_delayed=is_delayed, other_amount=other)
        if is_delayed:
            await asyncio.sleep(rng.uniform(1.0, 2 * _DAY))
            succeeds = rng.random() < 0.6
            psp.settle(intent_id, succeeds=succeeds)
            if not succeeds:
                return False
        await self._aftermath(intent_id, rng)
        return True

    async def _aftermath(self, intent_id: str, rng: random.Random) -> None:
        psp = self._world.psp
        amount = psp.intents[intent_id]["amount"]
        if rng.random() < 0.45:
            self._do(self._asks_back(psp.intents[intent_id]["metadata"]["order_id"], amount, dice(rng.random())))
        elif rng.random() < 0.3:
            await asyncio.sleep(rng.choice((0.001, 5.0, 5000.0)))
            part = amount if rng.random() < 0.5 else rng.randint(1, amount)
            refund_id = psp.refund(intent_id, part)
            await asyncio.sleep(rng.choice((0.001, 5.0, 5000.0)))
            psp.end_refund(refund_id, succeeds=rng.random() < 0.8, fails_later=rng.random() < 0.3)
        if rng.random() < 0.2:
            await asyncio.sleep(rng.choice((0.001, 5.0, 5000.0)))
            dispute_id = psp.dispute(intent_id)
            await asyncio.sleep(rng.choice((0.001, 5.0, 5000.0)))
            if rng.random() < 0.8:
                psp.close_dispute(dispute_id, is_won=rng.random() < 0.5)
