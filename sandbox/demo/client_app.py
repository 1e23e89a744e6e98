"""The shop's back end: places orders, and repeats the same request when no answer came."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import aiohttp

from sandbox.demo.browser import PATIENCE_SECONDS, RELOAD_SECONDS, PageMissing

_ACCEPTED = (200, 201, 202)


@dataclass(frozen=True, slots=True)
class Order:
    """An accepted order and how long the answer took."""

    order_id: str
    checkout_url: str
    latency_seconds: float


class ClientApp:
    """Calls the checkout API with its key."""

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

    async def place(self, reference: str, amount: int, currency: str) -> Order:
        """Place an order; repeating the same reference is harmless. Raises PageMissing when patience ends."""
        body = {
            "reference": reference,
            "amount": amount,
            "currency": currency,
            "payment_type": "SALE",
            "payment_method": "APM",
            "redirect_url": self._redirect_url,
            "description": f"Order {reference}",
        }
        started = time.monotonic()
        while True:
            latency, answer = await self._post(body)
            if answer is not None:
                return Order(answer["id"], answer["checkout_url"], latency)
            if time.monotonic() - started > self._patience_seconds:
                raise PageMissing(f"the API accepted no order for {self._patience_seconds:g} s")
            await asyncio.sleep(self._repeat_seconds)

    async def _post(self, body: dict[str, Any]) -> tuple[float, dict[str, Any] | None]:
        started = time.monotonic()
        try:
            async with self._http.post(self._url, json=body, headers=self._headers) as answer:
                document = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError):
            return 0.0, None  # no answer: the same request again finds out
        if answer.status in _ACCEPTED:
            return time.monotonic() - started, document
        if answer.status in (429, 503):
            return 0.0, None
        raise PageMissing(f"the API refused an order: {answer.status} {document}")
