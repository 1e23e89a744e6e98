"""The page on which a customer pays by card without leaving the shop: the fields on it are the payment provider's.

It shows an order's client secret to the customer whose cart it is, and to nobody else.
"""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.demo_shop.api_client import CheckoutApi, Refused, TryAgain
from sandbox.demo_shop.card_fields import CardFields
from sandbox.demo_shop.cart import Cart
from sandbox.demo_shop.pages import Pages, cart_of, see_other
from sandbox.demo_shop.progress import progress
from sandbox.demo_shop.references import ORDER_ID


class CardPage:
    """Paying on the shop's own page."""

    def __init__(self, pages: Pages, api: CheckoutApi, card_fields: CardFields) -> None:
        self._pages = pages
        self._api = api
        self._card_fields = card_fields

    def routes(self) -> list[Route]:
        """Return the routes of this part."""
        return [Route("/pay/{order_id}", self.pay)]

    async def pay(self, request: Request) -> Response:
        """Show the card fields, as soon as the payment service has the secret that opens them."""
        order_id, cart = request.path_params["order_id"], cart_of(request)
        if not ORDER_ID.fullmatch(order_id):
            raise HTTPException(404, "this shop has no such order")
        try:
            order = await self._api.find(order_id)
        except (TryAgain, Refused) as error:
            return self._wait(cart, str(error))
        if order is None:
            return self._wait(cart)
        if order.reference != cart.reference:
            raise HTTPException(404, "this is not the order of your cart")
        if not progress(order.status).can_pay:
            return see_other(f"/orders/{order_id}")
        if order.client_secret is None:
            return self._wait(cart)
        return self._pages.show_card_fields(cart, self._card_fields, client_secret=order.client_secret)

    def _wait(self, cart: Cart, trouble: str = "") -> Response:
        """Show a page that asks again by itself."""
        response = self._pages.show("card_wait.html", cart, trouble=trouble)
        response.headers["Refresh"] = "2" if trouble else "1"
        return response
