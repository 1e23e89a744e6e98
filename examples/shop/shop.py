# /// script
# requires-python = ">=3.11"
# dependencies = ["fastapi>=0.165", "httpx>=0.28", "uvicorn>=0.54"]
# ///
"""A small shop on the payonce API: checkout, the way back, and the order's status as it changes. See README.md."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import AsyncIterator
from html import escape
from typing import Annotated
from urllib.parse import urlsplit

import httpx
import uvicorn
from fastapi import FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse

SHOP = os.environ["SHOP"]  # this shop's own address; its origin is registered with payonce
RETURN_SECRET = os.environ["RETURN_SECRET"].encode()
TEAPOT = {"description": "A teapot", "amount": 4_990, "currency": "eur"}  # the price is ours, never the browser's
SIGNED = ("amount", "currency", "payment_order_id", "reference", "status", "time")

app = FastAPI(title="Example shop")
API, KEY = os.environ["API"], {"Authorization": f"Bearer {os.environ['KEY']}"}  # the key stays on the server
payonce = httpx.AsyncClient(base_url=API, headers=KEY, timeout=10)
# Event streams have connections of their own, or those who watch would stop those who buy; payonce allows as many.
# Read timeout: longer than the 15 s between two heartbeats. Pool timeout: how long a browser waits for a place.
PLACES = httpx.Limits(max_connections=200)
streams = httpx.AsyncClient(base_url=API, headers=KEY, limits=PLACES, timeout=httpx.Timeout(10, read=30, pool=1))


@app.get("/")
async def shelf() -> HTMLResponse:
    """Show what there is. The reference is drawn here, so that pressing "Buy" twice is one order."""
    return page(f"<p>{TEAPOT['description']}, 49.90 EUR</p>{buy_button(f'teapot-{secrets.token_hex(12)}')}")


@app.post("/checkout/{reference}")
async def checkout(reference: str) -> Response:
    """Place the order and send the customer to pay. The same reference is the same order, however often it comes."""
    order = {**TEAPOT, "reference": reference, "payment_type": "SALE", "payment_method": "APM"}
    try:
        answer = await payonce.post("/v1/payment-orders", json={**order, "redirect_url": f"{SHOP}/thanks"})
    except httpx.TransportError:
        return try_again(reference)
    if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return try_again(reference)  # not known to be recorded: asking again finds out
    if answer.is_error:
        return page(f"<p>Refused: {escape(answer.json()['detail'])}</p>", 502)
    return RedirectResponse(answer.json()["checkout_url"], 303)


@app.get("/thanks")
async def thanks(request: Request) -> HTMLResponse:
    """Receive the customer. The signature says that payonce wrote this address, not that anything was paid."""
    returned = dict(request.query_params.multi_items())
    if len(returned) != len(request.query_params.multi_items()) or not is_signed(returned):
        return page("<p>This address was not made by payonce; nothing in it is believed.</p>", 400)
    return page(
        f"<p>Order {escape(returned['reference'])}: <strong id=status>{escape(returned['status'])}</strong></p>"
        f"<script>new EventSource('/orders/{returned['payment_order_id']}/events')"
        ".addEventListener('status', event => {"
        " document.getElementById('status').textContent = JSON.parse(event.data).status })</script>"
    )


@app.get("/orders/{order_id}/events")
async def events(order_id: str, last_event_id: Annotated[str, Header()] = "") -> Response:
    """Pass payonce's events on to the browser: the status only, for the browser has no key and needs no more.

    Only who was given the order's id can ask: it follows from the reference, which nobody can guess.
    """
    if not re.fullmatch("ord_[a-z2-7]{26}", order_id):
        raise HTTPException(404)
    request = streams.build_request(
        "GET", f"/v1/payment-orders/{order_id}/events", headers={"Last-Event-ID": last_event_id}
    )
    try:
        answer = await streams.send(request, stream=True)
    except httpx.TransportError:  # payonce is away, or every place is taken: an EventSource comes back by itself
        return StreamingResponse(iter(["retry: 5000\n\n"]), media_type="text/event-stream")
    if answer.status_code == httpx.codes.NO_CONTENT:  # nothing more will happen; it tells the EventSource to stop
        await answer.aclose()
        return Response(status_code=204)
    return StreamingResponse(statuses(answer), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def statuses(answer: httpx.Response) -> AsyncIterator[str]:
    """Yield `status` events for payonce's `payment_order` events. Ends with them; the browser then connects again."""
    version = ""
    try:
        if answer.is_error:  # 404: placed a moment ago and not in the database yet; 503: too busy
            return
        async for line in answer.aiter_lines():
            field, _, value = line.partition(": ")
            if field == "id":
                version = value
            elif field == "data":
                status = json.dumps({"status": json.loads(value)["status"]})
                yield f"id: {version}\nevent: status\ndata: {status}\n\n"
            elif line.startswith(":"):
                yield ": still here\n\n"  # or nobody notices that the browser has gone
    except httpx.TransportError:
        return
    finally:
        await answer.aclose()


def is_signed(returned: dict[str, str]) -> bool:
    """Return whether the parameters carry the HMAC of their `name=value` lines under the return secret."""
    lines = "\n".join(f"{name}={returned.get(name, '')}" for name in SIGNED)
    expected = hmac.new(RETURN_SECRET, lines.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), returned.get("signature", "").encode())


def buy_button(reference: str, label: str = "Buy") -> str:
    """Return a form that orders under this reference."""
    return f'<form method="post" action="/checkout/{escape(reference)}"><button>{label}</button></form>'


def try_again(reference: str) -> HTMLResponse:
    """Show a button that sends the same order again."""
    return page(f"<p>We could not reach the payment service.</p>{buy_button(reference, 'Try again')}", 503)


def page(body: str, status: int = 200) -> HTMLResponse:
    """Return a page of this shop."""
    return HTMLResponse(f"<!doctype html><html lang=en><title>Shop</title>{body}<p><a href=/>Shop</a></html>", status)


if __name__ == "__main__":
    address = urlsplit(SHOP)
    uvicorn.run(
        app,
        host=address.hostname or "127.0.0.1",
        port=address.port or 80,
        log_level="warning",
        timeout_graceful_shutdown=2,
    )
