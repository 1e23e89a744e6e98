"""The shop's back end: places orders and sends commands, and repeats the same request when no answer came."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp

from sandbox.demo.browser import PATIENCE_SECONDS, RELOAD_SECONDS, PageMissing

_TAKEN = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED)
_NO_ANSWER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Order:
    """An accepted order and how long the answer took."""

    order_id: str
    checkout_url: str
    latency_seconds: float


class ClientApp:
    """Calls the checkout API with its key. Each call raises PageMissing when patience ends, or when it is refused."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        api_url: str,
        api_key: str,
        redirect_url: str,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        repeat_seconds: float = RELOAD_SECONDS,
    ) -> None:
        self._http = http
        self._url = f"{api_url}/v1/payment-orders"
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._redirect_url = redirect_url
        self._patience_seconds = patience_seconds
        self._repeat_seconds = repeat_seconds

    async def place(self, reference: str, amount: int, currency: str, **terms: object) -> Order:
        """Place an order, a SALE paid on the hosted page unless `terms` says otherwise. Harmless to repeat."""
        body = {
            "reference": reference,
            "amount": amount,
            "currency": currency,
            "payment_type": "SALE",
            "payment_method": "APM",
            "redirect_url": self._redirect_url,
            "description": f"Order {reference}",
            **terms,
        }
        latency, answer = await self._until_taken("POST", self._url, body)
        return Order(answer["id"], answer["checkout_url"], latency)

    async def find(self, order_id: str) -> dict[str, Any]:
        """Return the order as the API tells it, once it is recorded."""
        return (await self._until_taken("GET", f"{self._url}/{order_id}"))[1]

    async def command(self, order_id: str, verb: str, body: Mapping[str, object]) -> None:
        """Send a command about an order: attempts, refunds, subscription/cancel. Harmless to repeat."""
        await self._until_taken("POST", f"{self._url}/{order_id}/{verb}", body)

    async def _until_taken(
        self, method: str, url: str, body: Mapping[str, object] | None = None
    ) -> tuple[float, dict[str, Any]]:
        """Send the same request until it is answered; return the answer's latency and document."""
        started = time.monotonic()
        while True:
            latency, answer = await self._send(method, url, body)
            if answer is not None:
                return latency, answer
            if time.monotonic() - started > self._patience_seconds:
                raise PageMissing(f"the API gave no answer to {method} {url} for {self._patience_seconds:g} s")
            await asyncio.sleep(self._repeat_seconds)

    async def _send(
        self, method: str, url: str, body: Mapping[str, object] | None
    ) -> tuple[float, dict[str, Any] | None]:
        started = time.monotonic()
        try:
            async with self._http.request(method, url, json=body, headers=self._headers) as answer:
                document = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError):
            return 0.0, None  # no answer: the same request again finds out
        if answer.status in _TAKEN:
            return time.monotonic() - started, document
        if answer.status in _NO_ANSWER or (method == "GET" and answer.status == HTTPStatus.NOT_FOUND):
            return 0.0, None  # not found yet: it is in the log, and soon in the database
        raise PageMissing(f"the API refused {method} {url}: {answer.status} {document}")
