"""Clients and customers: orders placed once, twice and with another body; pages visited, paid, left open; new attempts.

They know payonce only by its API, and Stripe only by its pages.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from fastapi import Response

from payonce.codec import outgoing
from payonce.domain.commands import CancelPayment, Command, RefreshPayment, RefundPayment, RegisterPayment
from payonce.domain.terms import Terms, body_hash_of, order_id_of
from payonce.ports import PublishFailed
from services.checkout_api.checkout_page import checkout
from services.checkout_api.dependencies import SOURCE, Dependencies
from services.checkout_api.intake import first_command, terms_of
from services.checkout_api.orders import create_payment_order
from services.checkout_api.payloads import PaymentOrderRequest
from services.checkout_api.problems import Problem
from services.checkout_api.publishing import publish_within
from tests.simulation.dice import dice
from tests.simulation.processes import API_VERSION, LINKS, SESSION_LIFETIME_SECONDS, SHOP
from tests.simulation.world import Unanswered, World

_DAY = 86_400.0


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
        for _ in range(40):
            try:
                answer = await self._world.request(lambda parts: create_payment_order(body, SHOP, parts, None, None))
            except Problem as problem:
                if problem.status == 409:
                    return
            except Unanswered:
                pass
            else:
                assert answer.status_code in {200, 201, 202}
                order.accepted[body_hash_of(terms)] = None
                break
            await asyncio.sleep(rng.uniform(0.5, 30.0))
        else:
            return
        await self._customer(order, terms, rng)

    async def _impatient(self, order: Order, rng: random.Random) -> None:
        """Command attempts that may not be due: while the fold is behind, the worker alone can tell."""
        await asyncio.sleep(rng.choice((0.01, 1.0, 60.0, 3600.0)) * rng.uniform(0.5, 2.0))
        attempt = rng.choice((2, 2, 2, 3))
        await self._command(order, terms_of(order.bodies[0], SHOP), attempt)

    async def _cancels(self, order: Order, rng: random.Random) -> None:
        """Cancel an attempt at any time, perhaps before it is commanded."""
        await asyncio.sleep(rng.choice((0.0, 0.5, 60.0, 7200.0, 100_000.0)) * rng.random())
        await self._send(CancelPayment(order.order_id, rng.choice((1, 1, 1, 2)), self._now()))

    async def _refreshes(self, order: Order, rng: random.Random) -> None:
        """Ask what Stripe knows, as the reconciler does."""
        for number in range(rng.randint(1, 3)):
            await asyncio.sleep(rng.choice((0.5, 600.0, 90_000.0)) * rng.random())
            await self._send(RefreshPayment(order.order_id, f"r{number}", (), "a simulation", self._now(), API_VERSION))

    async def _asks_back(self, order_id: str, amount: int, rng: random.Random) -> None:
        """Ask for a refund, perhaps again, perhaps on other terms."""
        part = rng.choice((None, amount // 5, amount // 3, rng.randint(1, amount), amount + 1))
        refund = RefundPayment(order_id, "back", None, part, None, self._now(), API_VERSION)
        await self._send(refund)
        while rng.random() < 0.4:
            await asyncio.sleep(rng.choice((0.01, 60.0, 110_000.0)) * rng.random())
            again = replace(refund, issued_at=self._now(), amount=rng.choice((part, part, 7)))
            await self._send(again)

    async def _send(self, command: Command) -> None:
        await self._persistently(lambda: self._world.request(lambda parts: _publish(parts, command)))

    def _now(self) -> int:
        return int(self._world.clock.now())

    async def _command(self, order: Order, terms: Terms, attempt: int) -> None:
        await self._send(self.command(terms, attempt))
        order.attempts = max(order.attempts, attempt)

    def command(self, terms: Terms, attempt: int) -> RegisterPayment:
        """Return the command of an attempt as the API would issue it now."""
        first = first_command(
            terms,
            LINKS,
            issued_at=self._now(),
            lifetime_seconds=SESSION_LIFETIME_SECONDS,
            api_version=API_VERSION,
        )
        return replace(first, attempt=attempt)

    async def _persistently(self, request: Callable[[], Awaitable[object]]) -> None:
        for _ in range(40):
            try:
                await request()
            except (Unanswered, PublishFailed):
                await asyncio.sleep(self._rng.uniform(0.5, 20.0))
            else:
                return

    # -- customers

    async def _customer(self, order: Order, terms: Terms, rng: random.Random) -> None:
        body_hash = body_hash_of(terms)
        if rng.random() < 0.1:
            return  # never came
        for _ in range(rng.choice((2, 4, 10))):
            await asyncio.sleep(rng.choice((1.0, 1.0, 10.0, 600.0, 20_000.0, 90_000.0)) * rng.uniform(0.1, 1.5))
            location = await self._visit(order, body_hash)
            if location is None:
                continue
            if "stripe" in location:
                session_id = urlsplit(location).path.rpartition("/")[2]
                self._shown(order, session_id, body_hash)
                if await self._pay(session_id, rng):
                    return
            elif any(f"status={status}" in location for status in ("expired", "failed", "registration_failed")):
                if order.attempts < 3 and rng.random() < 0.7:
                    await self._command(order, terms, order.attempts + 1)
            else:
                return

    async def _visit(self, order: Order, body_hash: str) -> str | None:
        token = LINKS.token(order.order_id, body_hash)
        try:
            answer: Response = await self._world.request(lambda parts: checkout(order.order_id, parts, token, ""))
        except Unanswered:
            return None
        return answer.headers.get("location")

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


async def _publish(parts: Dependencies, command: Command) -> None:
    record = outgoing(command, at=parts.clock.now(), source=SOURCE)
    await publish_within(parts.producer, record, parts.publish_seconds)
