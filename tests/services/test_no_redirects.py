"""An address with a slash too many is unknown: a redirect would go out unchecked, to the host that the caller named."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from services.checkout_api.app import create_api
from services.ops_console.app import create_api as create_console
from tests.fakes.checkout_api import World
from tests.fakes.ops_console import Console

APPLICATIONS = {
    "checkout_api": create_api(World().dependencies),
    "ops_console": create_console(Console().dependencies),
}


def routes_of(api: FastAPI) -> list[tuple[str, str]]:
    return sorted(
        (method, path) for path, operations in api.openapi()["paths"].items() for method in map(str.upper, operations)
    )


@pytest.mark.parametrize("application", APPLICATIONS)
async def test_a_slash_too_many_is_an_unknown_address(application: str) -> None:
    """Every route: a redirect repeats the query, which of links to the checkout holds their secret."""
    api = APPLICATIONS[application]
    transport = httpx.ASGITransport(api)
    routes = routes_of(api)
    assert routes

    async with httpx.AsyncClient(transport=transport, base_url="http://evil.example") as caller:
        for method, path in routes:
            answer = await caller.request(method, f"{path}/?t=secret")
            assert answer.status_code == 404, (method, path, answer.headers)
            assert "location" not in answer.headers
            assert "evil.example" not in answer.text
