"""The payment service as the shop sees it: two HTTP calls.

Three kinds of failure: `TryAgain` (no answer, 429 or 5xx: the same request may be sent again, because the order's own
reference names it), `Refused` (a problem document: the request is wrong and stays wrong), and a bug.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp

#: The service holds a request at most 8 s for its log; then a little for the way.
_TIMEOUT = aiohttp.ClientTimeout(total=10, connect=3)
_LARGEST_ANSWER_BYTES = 100_000


class TryAgain(Exception):
    """The payment service cannot answer now; the same request, with the same reference, is safe to send again."""


class Refused(Exception):
    """The payment service does not take the request; `detail` and `errors` come from its problem document."""

    def __init__(self, status: int, title: str, detail: str, errors: tuple[str, ...] = ()) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = errors


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What the shop wants paid. `amount` is in the currency's minor unit; equal values are the same order.

    APM is paid on the provider's page, CARD in its fields on the shop's. With `every` ("month") it is a subscription.
    """

    reference: str
    amount: int
    currency: str
    redirect_url: str
    description: str
    payment_method: Literal["APM", "CARD"] = "APM"
    every: str | None = None


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """A payment order as the service knows it. Send the customer to `checkout_url`.

    `client_secret` opens the provider's card fields for this order; it is for its customer's page only.
    """

    id: str
    reference: str
    status: str
    amount: int
    currency: str
    checkout_url: str
    client_secret: str | None = field(default=None, repr=False)
    every: str | None = None


class CheckoutApi:
    """The client; used as `async with`. Sends the API key with each call and follows no redirect with it."""

    def __init__(self, url: str, api_key: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=_TIMEOUT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def place(self, order: NewOrder) -> PaymentOrder:
        """Place an order. Idempotent by its reference. Raises TryAgain, Refused."""
        return _order(await self._call("POST", "/v1/payment-orders", _body(order)))

    async def find(self, order_id: str) -> PaymentOrder | None:
        """Return an order; None while the service has not recorded it yet. Raises TryAgain, Refused."""
        try:
            return _order(await self._call("GET", f"/v1/payment-orders/{order_id}"))
        except Refused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        assert self._session is not None, "use it in an `async with` block"
        try:
            async with self._session.request(method, self._url + path, json=body, allow_redirects=False) as answer:
                return _read(answer.status, await answer.content.read(_LARGEST_ANSWER_BYTES))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TryAgain("the payment service does not answer") from error


def _read(status: int, body: bytes) -> dict[str, Any]:  # JSON of another's making
    document = _json(body)
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise TryAgain(str(document.get("detail") or f"the payment service answered {status}"))
    if status not in {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED}:
        raise _refused(status, document)
    return document


def _refused(status: int, document: Mapping[str, Any]) -> Refused:
    errors = tuple(f"{error.get('field')}: {error.get('detail')}" for error in document.get("errors") or ())
    return Refused(status, str(document.get("title") or "Refused"), str(document.get("detail") or ""), errors)


def _json(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _body(order: NewOrder) -> dict[str, object]:
    body: dict[str, object] = {
        "reference": order.reference,
        "amount": order.amount,
        "currency": order.currency,
        "payment_type": "RECC" if order.every else "SALE",
        "payment_method": order.payment_method,
        "redirect_url": order.redirect_url,
        "description": order.description,
    }
    return body | ({"recurring": {"interval": order.every}} if order.every else {})


def _order(document: Mapping[str, Any]) -> PaymentOrder:
    return PaymentOrder(
        id=str(document["id"]),
        reference=str(document["reference"]),
        status=str(document["status"]),
        amount=int(document["amount"]),
        currency=str(document["currency"]),
        checkout_url=str(document["checkout_url"]),
        client_secret=document.get("client_secret"),
        every=(document.get("recurring") or {}).get("interval"),
    )
