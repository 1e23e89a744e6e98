"""The shop from "pay" on: places the payment order, receives the customer back, shows the status as it changes.

The redirect back is not believed, even signed: the payment service is asked.
"""

from __future__ import annotations

import asyncio
import re

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
from sandbox.demo_shop.progress import STEPS, Progress, progress
from sandbox.demo_shop.references import new_reference
from sandbox.demo_shop.signature import Forged, Returned, verify

_ORDER_ID = re.compile(r"ord_[a-z2-7]{26}")
_MOST_LISTED = 25


class Till:
    """Paying and what comes after. `redirect_url` is where customers come back to."""

    def __init__(self, pages: Pages, api: CheckoutApi, redirect_url: str, return_secret: bytes) -> None:
        self._pages = pages
        self._api = api
        self._redirect_url = redirect_url
        self._return_secret = return_secret
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
        return see_other(order.checkout_url)

    async def thanks(self, request: Request) -> Response:
        """Receive a customer who comes back from paying, or from not paying."""
        cart = cart_of(request)
        try:
            returned = verify(self._return_secret, request.query_params.multi_items())
        except Forged:
            return self._pages.show("forged.html", cart, 400)
        return self._order_page(cart, returned.payment_order_id, returned, progress(returned.status), returned)

    async def order(self, request: Request) -> Response:
        """Show one order of this shop process."""
        if (placed := self._book.get(request.path_params["order_id"])) is None:
            raise HTTPException(404, "this shop has no such order")
        state = await self._state(placed) or progress("created")
        return self._order_page(cart_of(request), placed.order.id, placed.order, state)

    async def status(self, request: Request) -> Response:
        """Answer the page's script: the status as the payment service has it now."""
        order_id, cart = request.path_params["order_id"], cart_of(request)
        if not _ORDER_ID.fullmatch(order_id):
            return JSONResponse({"detail": "no such order"}, 404)
        try:
            order = await self._api.find(order_id)
        except (TryAgain, Refused) as error:
            return JSONResponse({"detail": str(error)}, 503, {"Retry-After": "1"})
        state = progress(order.status if order else "created")
        is_theirs = order is not None and order.reference == cart.reference
        may_pay = is_theirs and state.can_pay
        if state.can_pay and "pending" in request.query_params:
            # This customer has finished on the payment page; only the PSP's word is not here yet.
            state, may_pay = progress("pending"), False
        kept = _cart_after(state, cart) if is_theirs else cart
        shown = _shown(state, may_pay=may_pay, cart_count=kept.count)
        response = JSONResponse(shown, headers={"Cache-Control": "no-store"})
        return response if kept is cart else self._pages.keep_cart(response, kept)

    async def orders(self, request: Request) -> Response:
        """Show what this process has sold. A demo: in a real shop only the keeper sees this page."""
        placed = self._book.newest(_MOST_LISTED)
        states = await asyncio.gather(*(self._state(each) for each in placed))
        rows = list(zip(placed, states, strict=True))
        return self._pages.show("orders.html", cart_of(request), rows=rows)

    async def _state(self, placed: Placed) -> Progress | None:
        try:
            order = await self._api.find(placed.order.id)
        except (TryAgain, Refused):
            return None
        return progress(order.status if order else "created")

    def _new_order(self, cart: Cart) -> NewOrder:
        return NewOrder(cart.reference, cart.amount, cart.currency_code, self._redirect_url, cart.description)

    def _order_page(
        self,
        cart: Cart,
        order_id: str,
        terms: PaymentOrder | Returned,
        state: Progress,
        returned: Returned | None = None,
    ) -> Response:
        return self._pages.show(
            "order.html",
            cart,
            order_id=order_id,
            status_url=f"/status/{order_id}" + ("?pending" if state.status == "pending" else ""),
            reference=terms.reference,
            amount=currency(terms.currency).text(terms.amount),
            state=state,
            steps=STEPS,
            may_pay=state.can_pay and terms.reference == cart.reference,
            returned=returned,
        )


def _cart_after(state: Progress, cart: Cart) -> Cart:
    """Return an empty cart when it is bought; when it came to nothing, the same under a new name: another order."""
    if state.is_bought:
        return cart.emptied()
    return cart.renewed(new_reference()) if state.is_final else cart


def _shown(state: Progress, *, may_pay: bool, cart_count: int) -> dict[str, object]:
    return {
        "status": state.status,
        "headline": state.headline,
        "words": state.words,
        "step": state.step,
        "tone": state.tone,
        "is_final": state.is_final,
        "may_pay": may_pay,
        "cart_count": cart_count,
    }
