"""Renders the shop's pages: everything inline, nothing loaded from elsewhere, and no script but our own runs."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sandbox.demo_shop.card_fields import CardFields
from sandbox.demo_shop.cart import COOKIE, Cart, read_cart
from sandbox.demo_shop.catalogue import CURRENCIES, currency

_TEMPLATES = Path(__file__).parent / "templates"


class Pages:
    """Templates, cookie and headers. `is_secure`: the cookie travels over https only.

    With `card_fields` customers may choose to type their card into them.
    """

    def __init__(self, *, is_secure: bool, card_fields: CardFields | None = None) -> None:
        self._is_secure = is_secure
        self._templates = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(currencies=CURRENCIES, card_fields=card_fields)
        self._templates.filters["money"] = lambda amount, code: currency(code).text(amount)

    def show(self, template: str, cart: Cart, status: int = 200, **context: object) -> HTMLResponse:
        """Return a page. `cart` is the customer's, for the header."""
        nonce = secrets.token_urlsafe(16)
        page = self._templates.get_template(template).render(context, cart=cart, nonce=nonce)
        return HTMLResponse(page, status, _headers(nonce, {}))

    def show_card_fields(self, cart: Cart, card_fields: CardFields, **context: object) -> HTMLResponse:
        """Return the one page that lets the payment provider's script in."""
        nonce = secrets.token_urlsafe(16)
        page = self._templates.get_template("card.html").render(context, cart=cart, nonce=nonce)
        return HTMLResponse(page, 200, _headers(nonce, card_fields.policy))

    def message(self, cart: Cart, status: int, headline: str, *words: str) -> HTMLResponse:
        """Return a page that says one thing."""
        return self.show("message.html", cart, status, headline=headline, words=words)

    def keep_cart(self, response: Response, cart: Cart) -> Response:
        """Return the response with the cart in its cookie, for as long as the browser is open."""
        response.set_cookie(COOKIE, cart.cookie(), httponly=True, samesite="lax", secure=self._is_secure)
        return response


def cart_of(request: Request) -> Cart:
    """Return the cart that the customer's cookie holds."""
    return read_cart(request.cookies.get(COOKIE, ""))


def see_other(path: str) -> RedirectResponse:
    """Send the browser on with a GET, so that reloading repeats no form."""
    return RedirectResponse(path, 303)


def _headers(nonce: str, let_in: Mapping[str, Collection[str]]) -> dict[str, str]:
    # No form-action: browsers apply it to the redirects that follow "pay", and those lead to the PSP's own address.
    ours = {"style-src": [f"'nonce-{nonce}'"], "script-src": [f"'nonce-{nonce}'"], "connect-src": ["'self'"]}
    allowed = {name: [*ours.get(name, ()), *let_in.get(name, ())] for name in (*ours, *(let_in.keys() - ours.keys()))}
    policy = "; ".join(f"{name} {' '.join(sources)}" for name, sources in allowed.items())
    return {
        "Content-Security-Policy": f"default-src 'none'; {policy}; base-uri 'none'; frame-ancestors 'none'",
        "Cache-Control": "no-store",
        # The address of /thanks carries a signature: it is nobody else's to see.
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
