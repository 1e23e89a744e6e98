"""What can be done in the life of one payment: by the shop, its customer, their bank, the PSP and time."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from sandbox.demo.browser import PATIENCE_SECONDS, Browser, PageMissing
from sandbox.demo.client_app import ClientApp
from sandbox.demo.customers import EMAIL, GOOD_CARD, come_back, submit_card, submit_debit
from sandbox.demo.days import DAY_SECONDS, Days
from sandbox.stripe_simulator.control_client import Control

P = ParamSpec("P")
T = TypeVar("T")
_LOOK_SECONDS = 0.1
#: A renewal's invoice is a draft for an hour before it is collected.
_INVOICE_IS_DRAFT_SECONDS = 3_600


@dataclass(slots=True)
class Living:
    """One order while it lives. Each step raises PageMissing when the world does not do its part."""

    shop: ClientApp
    browser: Browser
    psp: Control
    days: Days
    fields_url: str
    currency: str
    patience_seconds: float = PATIENCE_SECONDS
    order_id: str = ""
    _checkout_url: str = field(default="", repr=False)

    # ------------------------------------------------------------------------- the shop

    async def place(self, amount: int, **terms: object) -> None:
        """Place the order."""
        order = await self.shop.place(f"life-{secrets.token_hex(6)}", amount, self.currency, **terms)
        self.order_id, self._checkout_url = order.order_id, order.checkout_url

    async def command(self, verb: str, **body: object) -> None:
        """Send a command about the order."""
        await self.shop.command(self.order_id, verb, body)

    async def refund(self, amount: int | None = None) -> None:
        """Send money back: so much, or all that is left."""
        body = {} if amount is None else {"amount": amount}
        await self.command("refunds", refund_reference=secrets.token_hex(6), **body)

    async def becomes(self, status: str, **fields: object) -> dict[str, Any]:
        """Wait until the API tells this status (and these fields) of the order; return the order."""
        wanted = {"status": status, **fields}
        return await self._order_when(lambda order: wanted.items() <= order.items(), f"{wanted}")

    # --------------------------------------------------------------------- the customer

    async def pay(self, card: str = GOOD_CARD) -> None:
        """Pay by card on the hosted page and come back to the shop."""
        page = await self.browser.open_until_elsewhere(self._checkout_url)
        await come_back(self.browser, await submit_card(self.browser, page, card))

    async def pay_by_debit(self, account: str) -> None:
        """Order a delayed debit on the hosted page and come back to the shop."""
        page = await self.browser.open_until_elsewhere(self._checkout_url)
        await come_back(self.browser, await submit_debit(self.browser, page, account))

    async def pay_on_the_shops_page(self, card: str = GOOD_CARD) -> None:
        """Type a card into the PSP's fields on the shop's own page, as the frame sends it, and come back."""
        order = await self._order_when(lambda order: bool(order["client_secret"]), "has a client secret")
        secret = str(order["client_secret"])
        form = {"client_secret": secret, "email": EMAIL, "number": card, "expiry": "12 / 34", "cvc": "123"}
        session_id = secret.partition("_secret_")[0]
        answer = json.loads((await self.browser.submit(f"{self.fields_url}/{session_id}/confirm", form)).text)
        if answer.get("type") != "success":
            raise PageMissing(f"the card fields say {answer}")
        await come_back(self.browser, await self.browser.open(answer["return_url"]))

    # ------------------------------------------------------------------ the PSP and time

    async def session_expires(self) -> None:
        """Let the open session's time be over."""
        open_ones = await self.at_the_psp(self.psp.sessions, order_id=self.order_id, status="open")
        for session in open_ones:
            await self.at_the_psp(self.psp.expire, session["id"])

    async def subscription(self) -> dict[str, Any]:
        """Return the order's subscription as the PSP has it."""
        found: list[dict[str, Any]] = await self.at_the_psp(self.psp.subscriptions, order_id=self.order_id)
        return found[-1]

    async def latest(self, of: Callable[..., list[dict[str, Any]]]) -> str:
        """Return the id of the order's latest invoice or dispute at the PSP."""
        return str((await self.at_the_psp(of, order_id=self.order_id))[-1]["id"])

    async def at_the_psp(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Make a blocking call of the control door."""
        return await asyncio.to_thread(call, *args, **kwargs)

    async def days_pass(self, number: int) -> None:
        """Wait so many days, and a moment."""
        await self.days.until(await self.days.now() + number * DAY_SECONDS + 1)

    async def period_ends(self) -> None:
        """Wait until the subscription's next invoice has been collected, or was tried to be."""
        ends = float((await self.subscription())["current_period_end"])
        await self.days.until(ends + _INVOICE_IS_DRAFT_SECONDS + 1)

    async def _order_when(self, is_so: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        deadline = time.monotonic() + self.patience_seconds
        while True:
            order = await self.shop.find(self.order_id)
            if is_so(order):
                return order
            if time.monotonic() > deadline:
                raise PageMissing(f"it is {order['status']} and not {what} after {self.patience_seconds:g} s")
            await asyncio.sleep(_LOOK_SECONDS)
