"""Simulated customers: each goes through the pages as a person of its kind would."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sandbox.demo.behaviours import Behaviour
from sandbox.demo.browser import Browser, Page, PageMissing

GOOD_CARD = "4242424242424242"
DECLINED_CARD = "4000000000000002"
CARD_WITH_3DS = "4000002760003184"
DEBIT_THAT_SUCCEEDS = "DE89370400440532013000"
DEBIT_THAT_BOUNCES = "DE62370400440532013001"
DEBIT_THAT_BOUNCES_ON_DAY_2 = "DE78370400440532013004"
CARD_WHOSE_RENEWALS_FAIL = "4000000000000341"
CARD_WHOSE_REFUNDS_FAIL = "4000000000005126"
CARD_THAT_IS_DISPUTED = "4000000000000259"
LATE_SECONDS = 4.0
EMAIL = "customer@example.com"


async def act(behaviour: Behaviour, browser: Browser, page: Page) -> None:
    """Do on the hosted page what this kind of customer does. Raises PageMissing when a page is not as expected."""
    await _DOINGS[behaviour](browser, page)


async def submit_card(browser: Browser, page: Page, number: str) -> Page:
    """Send the hosted page's card form; return what it leads to."""
    form = {
        "method": "card",
        "email": EMAIL,
        "number": number,
        "expiry": "12 / 34",
        "cvc": "123",
        "confirmation": page.confirmation,
    }
    return await browser.submit(page.url, form)


async def submit_debit(browser: Browser, page: Page, account: str) -> Page:
    """Send the hosted page's form for a delayed debit; return what it leads to."""
    form = {"method": "sepa_debit", "email": EMAIL, "account": account, "confirmation": page.confirmation}
    return await browser.submit(page.url, form)


async def come_back(browser: Browser, page: Page) -> None:
    """Insist on the shop's page: it has checked the signature of the redirect, and 200 means that it held.

    Where word of the token came before that of the order, our own page waits for the address of the shop.
    """
    if page.refresh_seconds is not None:
        page = await browser.open_until_elsewhere(page.url)
    if "/thanks" not in page.url or page.status != 200:  # noqa: PLR2004
        raise PageMissing(f"the customer did not come back to the shop but to {page.url} ({page.status})")


async def _pay_by_card(browser: Browser, page: Page) -> None:
    await come_back(browser, await submit_card(browser, page, GOOD_CARD))


async def _pay_by_bank(browser: Browser, page: Page) -> None:
    bank = await browser.submit(page.url, {"method": "ideal", "email": EMAIL, "confirmation": page.confirmation})
    await come_back(browser, await browser.submit(bank.url, {"decision": "approve"}))


async def _pay_after_3ds(browser: Browser, page: Page) -> None:
    challenge = await submit_card(browser, page, CARD_WITH_3DS)
    await come_back(browser, await browser.submit(challenge.url, {"decision": "approve"}))


async def _decline_then_pay(browser: Browser, page: Page) -> None:
    declined = await submit_card(browser, page, DECLINED_CARD)
    await come_back(browser, await submit_card(browser, declined, GOOD_CARD))


async def _pay_late(browser: Browser, page: Page) -> None:
    await asyncio.sleep(LATE_SECONDS)
    await _pay_by_card(browser, page)


async def _delayed_debit(browser: Browser, page: Page) -> None:
    await come_back(browser, await submit_debit(browser, page, DEBIT_THAT_SUCCEEDS))


async def _debit_bounces(browser: Browser, page: Page) -> None:
    await come_back(browser, await submit_debit(browser, page, DEBIT_THAT_BOUNCES))


async def _decline_and_give_up(browser: Browser, page: Page) -> None:
    declined = await submit_card(browser, page, DECLINED_CARD)
    if 'role="alert"' not in declined.text:
        raise PageMissing(f"{declined.url} does not say that the card was declined")


async def _abandon(_browser: Browser, _page: Page) -> None:
    """Close the tab."""


async def _cancel(browser: Browser, page: Page) -> None:
    start = page.text.index('class="back" href="') + len('class="back" href="')
    back = page.text[start : page.text.index('"', start)].replace("&amp;", "&")
    await come_back(browser, await browser.open(back))


_DOINGS: dict[Behaviour, Callable[[Browser, Page], Awaitable[None]]] = {
    Behaviour.PAYS_BY_CARD: _pay_by_card,
    Behaviour.PAYS_BY_BANK: _pay_by_bank,
    Behaviour.PAYS_AFTER_3DS: _pay_after_3ds,
    Behaviour.DECLINED_THEN_PAYS: _decline_then_pay,
    Behaviour.PAYS_LATE: _pay_late,
    Behaviour.DELAYED_DEBIT: _delayed_debit,
    Behaviour.DEBIT_BOUNCES: _debit_bounces,
    Behaviour.DECLINED_GIVES_UP: _decline_and_give_up,
    Behaviour.ABANDONS: _abandon,
    Behaviour.CANCELS: _cancel,
}
