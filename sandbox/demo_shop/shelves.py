"""The shop before paying: products, cart, currency."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.demo_shop.cart import MOST_OF_ONE, WAYS
from sandbox.demo_shop.catalogue import CURRENCIES, PRODUCTS
from sandbox.demo_shop.forms import read_form
from sandbox.demo_shop.pages import Pages, cart_of, see_other
from sandbox.demo_shop.references import new_reference


class Shelves:
    """Products and cart."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def routes(self) -> list[Route]:
        """Return the routes of this part."""
        return [
            Route("/", self.products),
            Route("/cart", self.cart),
            Route("/cart/add", self.add, methods=["POST"]),
            Route("/cart/quantity", self.change, methods=["POST"]),
            Route("/cart/way", self.choose_way, methods=["POST"]),
            Route("/currency", self.choose_currency, methods=["POST"]),
        ]

    async def products(self, request: Request) -> Response:
        """Show what there is."""
        added = PRODUCTS.get(request.query_params.get("added", ""))
        return self._pages.show("shop.html", cart_of(request), products=list(PRODUCTS.values()), added=added)

    async def cart(self, request: Request) -> Response:
        """Show what the customer has chosen."""
        changed = "changed" in request.query_params
        return self._pages.show("cart.html", cart_of(request), changed=changed, most=MOST_OF_ONE)

    async def add(self, request: Request) -> Response:
        """Put one more into the cart."""
        sku, cart = _sku(await read_form(request)), cart_of(request)
        changed = cart.with_quantity(sku, cart.quantities.get(sku, 0) + 1, new_reference())
        return self._pages.keep_cart(see_other(f"/?added={sku}"), changed)

    async def change(self, request: Request) -> Response:
        """Set how many of one product; 0 takes it out."""
        form = await read_form(request)
        quantity = form.get("quantity", "")
        if len(quantity) != 1 or quantity not in "0123456789":
            raise HTTPException(400, "a quantity is 0 to 9")
        changed = cart_of(request).with_quantity(_sku(form), int(quantity), new_reference())
        return self._pages.keep_cart(see_other("/cart"), changed)

    async def choose_way(self, request: Request) -> Response:
        """Pay in another way."""
        form = await read_form(request)
        if (way := next((way for way in WAYS if way == form.get("way")), None)) is None:
            raise HTTPException(400, "the shop knows no such way to pay")
        return self._pages.keep_cart(see_other("/cart"), cart_of(request).with_way(way, new_reference()))

    async def choose_currency(self, request: Request) -> Response:
        """Price everything in another currency."""
        form = await read_form(request)
        if (code := form.get("currency", "")) not in CURRENCIES:
            raise HTTPException(400, "the shop does not take that currency")
        back = "/cart" if form.get("back") == "cart" else "/"
        return self._pages.keep_cart(see_other(back), cart_of(request).with_currency(code, new_reference()))


def _sku(form: dict[str, str]) -> str:
    if (sku := form.get("sku", "")) not in PRODUCTS:
        raise HTTPException(400, "the shop has no such product")
    return sku
