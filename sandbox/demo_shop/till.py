"""The shop from "pay" on: places the payment order, receives the customer back, shows the status as it changes.

The redirect back is not believed, even signed: the payment service is asked.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.demo_shop.api_client import CheckoutApi, NewOrder, PaymentOrder, Refused, TryAgain
from sandbox.demo_shop.cart import Cart
from sandbox.demo_shop.catalogue import currency
from sandbox.demo_shop.forms import read_form
from sandbox.demo_shop.order_book import OrderBook, Placed
from sandbox.demo_shop.pages import Pages, cart_of, see_other
from sandbox.demo_shop.progress import STEPS, Progress, after_paying, progress
from sandbox.demo_shop.references import ORDER_ID, new_reference
from sandbox.demo_shop.settings import Settings
from sandbox.demo_shop.signature import Forged, Returned, verify

_MOST_LISTED = 25


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at an order gave: its state, the customer's cart from now on, whether this customer may pay it.

    `every` is the interval of a subscription.
    """

    state: Progress
    cart: Cart
    may_pay: bool
    every: str | None = None


class Till:
    """Paying and what comes after."""

    def __init__(self, pages: Pages, api: CheckoutApi, settings: Settings) -> None:
        self._pages = pages
        self._api = api
        self._settings = settings
        self._book = OrderBook()

    def routes(self) -> list[Route]:
        """Return the routes of this part."""
        return [
            Route("/checkout", self.checkout, methods=["POST"]),
            Route("/thanks", self.thanks),
            Route("/status/{order_id}", self.status),
            Route("/orders", self.orders),
            Route("/orders/{order_id}", self.order),
        ]

    async def checkout(self, request: Request) -> Response:
        """Place the order of the cart and send the customer to pay. Pressed again, it is the same order again."""
        cart, form = cart_of(request), await read_form(request)
        if not cart.lines or form.get("reference") != cart.reference:
            return see_other("/cart?changed")
        try:
            order = await self._api.place(self._new_order(cart))
        except TryAgain as error:
            response = self._pages.show("try_again.html", cart, 503, detail=str(error))
            response.headers["Retry-After"] = "2"
            return response
        except Refused as error:
            words = (error.detail, *error.errors)
            return self._pages.message(cart, 502, "The payment service did not take this order", *words)
        self._book.remember(order, cart.description)
        return see_other(f"/pay/{order.id}" if self._pays_here(cart) else order.checkout_url)

    async def thanks(self, request: Request) -> Response:
        """Receive a customer who comes back from paying, or from not paying."""
        cart = cart_of(request)
        try:
            returned = verify(self._settings.return_secret, request.query_params.multi_items())
        except Forged:
            return self._pages.show("forged.html", cart, 400)
        return await self._order_page(cart, returned.payment_order_id, returned, returned)

    async def order(self, request: Request) -> Response:
        """Show one order of this shop process."""
        if (placed := self._book.get(request.path_params["order_id"])) is None:
            raise HTTPException(404, "this shop has no such order")
        return await self._order_page(cart_of(request), placed.order.id, placed.order)

    async def status(self, request: Request) -> Response:
        """Answer the page's script: the status as the payment service has it now."""
        order_id, cart = request.path_params["order_id"], cart_of(request)
        if not ORDER_ID.fullmatch(order_id):
            return JSONResponse({"detail": "no such order"}, 404)
        try:
            seen = await self._look(order_id, cart, has_finished="finished" in request.query_params)
        except (TryAgain, Refused) as error:
            return JSONResponse({"detail": str(error)}, 503, {"Retry-After": "1"})
        response = JSONResponse(_shown(seen), headers={"Cache-Control": "no-store"})
        return response if seen.cart is cart else self._pages.keep_cart(response, seen.cart)

    async def orders(self, request: Request) -> Response:
        """Show what this process has sold. A demo: in a real shop only the keeper sees this page."""
        placed = self._book.newest(_MOST_LISTED)
        states = await asyncio.gather(*(self._state(each) for each in placed))
        rows = list(zip(placed, states, strict=True))
        return self._pages.show("orders.html", cart_of(request), rows=rows)

    async def _state(self, placed: Placed) -> Progress | None:
        try:
            return (await self._look(placed.order.id, Cart(), has_finished=False)).state
        except (TryAgain, Refused):
            return None

    async def _look(self, order_id: str, cart: Cart, *, has_finished: bool) -> Seen:
        """Ask the payment service. Raises TryAgain, Refused."""
        order = await self._api.find(order_id)
        state = after_paying(progress(order.status if order else "created"), has_finished=has_finished)
        if order is None or order.reference != cart.reference:
            return Seen(state, cart, may_pay=False, every=order.every if order else None)
        return Seen(state, _cart_after(state, cart), may_pay=state.can_pay, every=order.every)

    def _pays_here(self, cart: Cart) -> bool:
        return cart.way == "card" and self._settings.card_fields is not None

    def _new_order(self, cart: Cart) -> NewOrder:
        return NewOrder(
            cart.reference,
            cart.amount,
            cart.currency_code,
            self._settings.redirect_url,
            cart.description,
            payment_method="CARD" if self._pays_here(cart) else "APM",
            every=cart.every,
        )

    async def _order_page(
        self, cart: Cart, order_id: str, terms: PaymentOrder | Returned, returned: Returned | None = None
    ) -> Response:
        has_finished = returned is not None and not progress(returned.status).can_pay
        try:
            seen = await self._look(order_id, cart, has_finished=has_finished)
        except (TryAgain, Refused):
            seen = Seen(after_paying(progress("created"), has_finished=has_finished), cart, may_pay=False)
        page = self._pages.show(
            "order.html",
            seen.cart,
            order_id=order_id,
            status_url=f"/status/{order_id}" + ("?finished" if has_finished else ""),
            reference=terms.reference,
            amount=currency(terms.currency).text(terms.amount),
            every=seen.every,
            state=seen.state,
            steps=STEPS,
            may_pay=seen.may_pay,
            returned=returned,
        )
        return page if seen.cart is cart else self._pages.keep_cart(page, seen.cart)


def _cart_after(state: Progress, cart: Cart) -> Cart:
    """Return an empty cart when it is bought; when it came to nothing, the same under a new name: another order."""
    if state.is_bought:
        return cart.emptied()
    return cart.renewed(new_reference()) if state.is_final else cart


def _shown(seen: Seen) -> dict[str, object]:
    return {
        "status": seen.state.status,
        "headline": seen.state.headline,
        "words": seen.state.words,
        "step": seen.state.step,
        "tone": seen.state.tone,
        "is_final": seen.state.is_final,
        "may_pay": seen.may_pay,
        "cart_count": seen.cart.count,
    }
