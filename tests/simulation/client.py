"""A shop's back end and its customers' browsers: requests to the API, asked again until they are answered.

They know payonce only by its API. What is put straight into the log is what other processes of ours could put there.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from fastapi import Response

from payonce.codec import outgoing
from payonce.domain.commands import Command, RegisterPayment
from payonce.domain.terms import Terms
from payonce.ports import PublishFailed
from payonce.problem_documents import Problem
from services.checkout_api.attempts import cancel_attempt, create_attempt
from services.checkout_api.checkout_page import checkout
from services.checkout_api.dependencies import SOURCE, Dependencies
from services.checkout_api.intake import first_command
from services.checkout_api.orders import create_payment_order
from services.checkout_api.payloads import PaymentOrderRequest
from services.checkout_api.publishing import publish_within
from services.checkout_api.refunds import create_refund
from services.checkout_api.requests import AttemptRequest, CancelRequest, RefundRequest
from tests.simulation.process import API_VERSION, LINKS, SESSION_LIFETIME_SECONDS, SHOP
from tests.simulation.world import Unanswered, World

_TRIES = 40
#: From here on an answer says nothing about the request: it is made again.
_SERVER_ERROR = 500
#: Answers that take a request on, or find it done.
TAKEN = frozenset({200, 201, 202})
#: Not folded yet.
_UNKNOWN = 404

Handler = Callable[[Dependencies], Coroutine[Any, Any, Response]]


class Client:
    """Asks the API. Every answer is an HTTP status; 0 when there was none in all the tries."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world = world
        self._rng = rng

    async def place(self, body: PaymentOrderRequest) -> int:
        """POST an order."""
        return await self._until_answered(lambda parts: create_payment_order(body, SHOP, parts, None, None))

    async def attempt(self, order_id: str, number: int, *, wait: bool = False) -> int:
        """POST a new attempt."""
        body, prefer = AttemptRequest(attempt=number), "wait=20" if wait else None
        return await self._until_answered(
            lambda parts: create_attempt(order_id, body, client=SHOP, parts=parts, prefer=prefer)
        )

    async def cancel(self, order_id: str, number: int | None, *, wait: bool = False) -> int:
        """POST a cancellation."""
        body, prefer = CancelRequest(attempt=number), "wait=20" if wait else None
        return await self._until_answered(
            lambda parts: cancel_attempt(order_id, body, client=SHOP, parts=parts, prefer=prefer)
        )

    async def refund(self, order_id: str, reference: str, amount: int | None) -> int:
        """POST a refund."""
        body = RefundRequest(refund_reference=reference, amount=amount)
        return await self._until_answered(lambda parts: create_refund(order_id, body, SHOP, parts))

    async def visit(self, order_id: str, body_hash: str) -> str | None:
        """Open the checkout link once; return where it leads to."""
        token = LINKS.token(order_id, body_hash)
        try:
            answer: Response = await self._world.request(lambda parts: checkout(order_id, parts, token, ""))
        except Unanswered:
            return None
        return answer.headers.get("location")

    async def send(self, command: Command) -> None:
        """Put a command straight into the log."""
        for _ in range(_TRIES):
            try:
                await self._world.request(lambda parts: _publish(parts, command))
            except (Unanswered, PublishFailed):
                await asyncio.sleep(self._rng.uniform(0.5, 20.0))
            else:
                return

    def now(self) -> int:
        """Return unix seconds."""
        return int(self._world.clock.now())

    def registration(self, terms: Terms, attempt: int) -> RegisterPayment:
        """Return the command of an attempt as it would be issued now."""
        first = first_command(
            terms,
            LINKS,
            issued_at=self.now(),
            lifetime_seconds=SESSION_LIFETIME_SECONDS,
            api_version=API_VERSION,
        )
        return replace(first, attempt=attempt)

    async def _until_answered(self, handler: Handler) -> int:
        status = 0
        for _ in range(_TRIES):
            try:
                return (await self._world.request(handler)).status_code
            except Problem as problem:
                status = problem.status
                if status < _SERVER_ERROR and status != _UNKNOWN:
                    return status
            except Unanswered:
                status = 0
            await asyncio.sleep(self._rng.uniform(0.5, 10.0))
        return status


async def _publish(parts: Dependencies, command: Command) -> None:
    record = outgoing(command, at=parts.clock.now(), source=SOURCE)
    await publish_within(parts.producer, record, parts.publish_seconds)
