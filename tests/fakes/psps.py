"""A gateway together with the customer's side of what is behind it: for the suite that fake and real one must pass."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import count

import pytest

from payonce.adapters.stripe import StripeGateway
from payonce.domain.commands import RegisterPayment
from payonce.domain.terms import Recurring
from payonce.ports import GatewayFailure, PaymentGateway, Session
from services.psp_worker.request import registration_request
from tests.fakes.registrations import register

VERSION = "2026-10-28.endive"
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Psp:
    """A gateway, and the customer's side of what is behind it."""

    gateway: PaymentGateway
    pay: Callable[[str], object]
    pay_later: Callable[[str], object]
    fail: Callable[[str], object]
    subscription_of: Callable[[str], str]

    async def subscribed(self) -> tuple[str, Session]:
        """A subscription that lives, and the session that began it."""
        session = await self.registered(payment_type="RECC", recurring=Recurring("month"))
        paid = await self.customer(self.pay, session)
        if isinstance(self.gateway, StripeGateway):
            return await asyncio.to_thread(self.subscription_of, session.session_id), paid
        return self.subscription_of(session.session_id), paid

    async def registered(self, **changes: object) -> Session:
        """The session of an order with some of its terms changed."""
        command = new_command(**changes)
        answer = await self.gateway.register(
            registration_request(command), idempotency_key=f"{command.order_id}:register:1", api_version=VERSION
        )
        return answer.session

    async def customer(self, does: Callable[[str], object], session: Session) -> Session:
        """Let the customer do something, and return the session as it is then."""
        await asyncio.to_thread(does, session.session_id) if isinstance(self.gateway, StripeGateway) else does(
            session.session_id
        )
        return await self.gateway.session(session.session_id, api_version=VERSION)


def new_command(**changes: object) -> RegisterPayment:
    """A registration of a fresh order with some of its terms changed."""
    command = register(f"contract-{next(_numbers)}", issued_at=int(time.time()))
    return replace(command, terms=replace(command.terms, **changes))  # type: ignore[arg-type]


async def failure_of(call: Awaitable[object]) -> GatewayFailure:
    """How a call fails, which it must."""
    with pytest.raises(GatewayFailure) as caught:
        await call
    return caught.value
