"""One order with its client and its customer, up to the moment at which a race begins."""

from __future__ import annotations

import asyncio
import random
from urllib.parse import urlsplit

from payonce.domain.terms import body_hash_of, order_id_of
from services.checkout_api.intake import terms_of
from services.checkout_api.payloads import PaymentOrderRequest
from tests.simulation.client import TAKEN, Client
from tests.simulation.process import SHOP
from tests.simulation.shop import Order
from tests.simulation.world import World


class Runner:
    """The order, and what is done to it."""

    def __init__(self, world: World, number: int, rng: random.Random) -> None:
        body = PaymentOrderRequest(
            reference=f"R-{number}",
            amount=rng.randint(100, 9999),
            currency="EUR",
            payment_type="SALE",
            payment_method="APM",
            redirect_url="https://shop.example/thanks",
        )
        self.world = world
        self.rng = rng
        self.client = Client(world, rng)
        self.amount = body.amount
        self.terms = terms_of(body, SHOP)
        self.order = Order(number, 0.0, [body], order_id_of(SHOP.id, body.reference), {})

    async def place(self) -> None:
        """Have the order accepted."""
        assert await self.client.place(self.order.bodies[0]) in TAKEN
        self.order.accepted[body_hash_of(self.terms)] = None

    async def page(self) -> str | None:
        """Return the session whose page the checkout link leads to, once it does; None if it is long in coming."""
        for _ in range(60):
            location = await self.client.visit(self.order.order_id, body_hash_of(self.terms))
            if location is not None and "stripe" in location:
                return urlsplit(location).path.rpartition("/")[2]
            if location is not None:
                return None
            await asyncio.sleep(1.0)
        return None

    async def gap(self) -> None:
        """Let so little time pass that it matters: from nothing to some seconds."""
        await asyncio.sleep(self.rng.choice((0.0, 0.003, 0.03, 0.3, 3.0)) * self.rng.random())

    async def meanwhile(self) -> None:
        """Let as much time pass as a command takes until it has its effect at Stripe, more or less."""
        await asyncio.sleep(self.rng.choice((0.0, 2.0, 5.0, 5.0)) * self.rng.random())

    async def pay(self, session_id: str) -> str | None:
        """Pay if the page still takes money; return the payment. A delayed method comes to its end within minutes."""
        psp = self.world.psp
        if not psp.is_payable(session_id):
            return None
        is_delayed = self.rng.random() < 0.2
        intent_id = psp.pay(session_id, is_delayed=is_delayed)
        if is_delayed:
            await asyncio.sleep(self.rng.choice((0.5, 300.0)) * self.rng.random())
            psp.settle(intent_id, succeeds=self.rng.random() < 0.5)
        return intent_id

    async def paid(self) -> str | None:
        """Place the order and pay it at once; return the payment, None if there was no page."""
        await self.place()
        session_id = await self.page()
        return None if session_id is None else self.world.psp.pay(session_id)
