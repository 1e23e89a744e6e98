"""Puts the shop together from its settings and a client of the payment service."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sandbox.demo_shop.api_client import CheckoutApi
from sandbox.demo_shop.card_page import CardPage
from sandbox.demo_shop.pages import Pages, cart_of
from sandbox.demo_shop.settings import Settings
from sandbox.demo_shop.shelves import Shelves
from sandbox.demo_shop.till import Till


def create_app(settings: Settings, api: CheckoutApi) -> Starlette:
    """Return the shop. The caller opens and closes `api`."""
    pages = Pages(is_secure=settings.is_secure, card_fields=settings.card_fields)
    parts: list[Shelves | Till | CardPage] = [Shelves(pages), Till(pages, api, settings)]
    if settings.card_fields:
        parts.append(CardPage(pages, api, settings.card_fields))

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headline = "There is nothing here" if error.status_code == 404 else "That did not work"  # noqa: PLR2004
        return pages.message(cart_of(request), error.status_code, headline, error.detail)

    return Starlette(
        routes=[*(route for part in parts for route in part.routes()), Route("/healthz", _healthz)],
        exception_handlers={HTTPException: on_http_error},
    )


async def _healthz(_request: Request) -> Response:
    return PlainTextResponse("ok\n")
