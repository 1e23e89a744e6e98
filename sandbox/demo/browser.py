"""A browser as far as a payment needs one: follows redirects, submits forms, reloads when a page did not come."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin

import aiohttp

#: A person reloads for so long before giving up; a killed service is back within seconds, on a slow machine in more.
PATIENCE_SECONDS = 120.0
#: How soon after a failure; many people for a long time want a longer pause, or they are the failure.
RELOAD_SECONDS = 0.3
_MOST_REDIRECTS = 10
_HIDDEN_FIELD = re.compile(r'name="confirmation" value="([^"]*)"')
_TRY_AGAIN = (429, 502, 503, 504)


class PageMissing(Exception):
    """A page did not come, or is not what a customer expects there."""


@dataclass(frozen=True, slots=True)
class Page:
    """What the browser shows: `url` is where the redirects ended."""

    url: str
    status: int
    text: str
    refresh_seconds: float | None = None

    @property
    def confirmation(self) -> str:
        """The hidden field of a payment form that makes a double click harmless."""
        if match := _HIDDEN_FIELD.search(self.text):
            return match[1]
        raise PageMissing(f"{self.url} ({self.status}) shows no payment form")


class Browser:
    """Not for two customers at once: one browser, one person."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        patience_seconds: float = PATIENCE_SECONDS,
        reload_seconds: float = RELOAD_SECONDS,
    ) -> None:
        self._http = http
        self._patience_seconds = patience_seconds
        self._reload_seconds = reload_seconds

    async def open(self, url: str) -> Page:
        """Show a page. Raises PageMissing when patience ends."""
        return await self._load("GET", url, None)

    async def submit(self, url: str, form: Mapping[str, str]) -> Page:
        """Send a form and show where it leads. Raises PageMissing when patience ends."""
        return await self._load("POST", url, form)

    async def open_until_elsewhere(self, url: str) -> Page:
        """Show a page that may be a waiting page, as its Refresh header says, until it leads somewhere else."""
        deadline = time.monotonic() + self._patience_seconds
        while True:
            page = await self.open(url)
            if page.refresh_seconds is None:
                return page
            if time.monotonic() > deadline:
                raise PageMissing(f"{url} still waits after {self._patience_seconds:g} s")
            await asyncio.sleep(page.refresh_seconds)

    async def _load(self, method: str, url: str, form: Mapping[str, str] | None) -> Page:
        for _ in range(_MOST_REDIRECTS):
            status, headers, text = await self._request(method, url, form)
            if status not in (301, 302, 303, 307):
                refresh = headers.get("Refresh", "").partition(";")[0]
                return Page(url, status, text, float(refresh) if refresh else None)
            method, url, form = "GET", urljoin(url, headers["Location"]), None
        raise PageMissing(f"{url} redirects for ever")

    async def _request(
        self, method: str, url: str, form: Mapping[str, str] | None
    ) -> tuple[int, Mapping[str, str], str]:
        deadline = time.monotonic() + self._patience_seconds
        while True:
            try:
                async with self._http.request(method, url, data=form, allow_redirects=False) as answer:
                    text = await answer.text()
                    if answer.status not in _TRY_AGAIN:
                        return answer.status, answer.headers, text
                    trouble = f"status {answer.status}"
            except (aiohttp.ClientError, TimeoutError) as error:
                trouble = repr(error)
            if time.monotonic() > deadline:
                raise PageMissing(f"{method} {url} gave no page for {self._patience_seconds:g} s: {trouble}")
            await asyncio.sleep(self._reload_seconds)
