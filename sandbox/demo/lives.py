"""Every life that a payment can have, what must become of it, and which money it must move: a table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sandbox.demo.customers import (
    CARD_THAT_IS_DISPUTED,
    CARD_WHOSE_REFUNDS_FAIL,
    CARD_WHOSE_RENEWALS_FAIL,
    DEBIT_THAT_BOUNCES_ON_DAY_2,
    GOOD_CARD,
)
from sandbox.demo.living import Living

PRICE, PART, FEE = 4_990, 1_000, 900
_DISPUTE_WAITS_DAYS = 7


@dataclass(frozen=True, slots=True)
class Life:
    """A life under the name that the summary gives it. `moves` are its movements of money: kind and signed amount."""

    name: str
    live: Callable[[Living], Awaitable[None]]
    status: str
    moves: tuple[tuple[str, int], ...]
    currency: str = "eur"


@dataclass(frozen=True, slots=True)
class Lived:
    """A life that is over: its order, and in words what kept it from its end, if anything did."""

    life: Life
    order_id: str
    trouble: str = ""


async def _is_renewed(life: Living) -> None:
    await _sign_up(life)
    await life.period_ends()
    await life.becomes("active", amount_paid=2 * FEE)


async def _renewal_fails_first(life: Living) -> None:
    """Let the bank refuse the renewal; the customer gives another card and pays what is open."""
    await _sign_up(life)
    subscription = (await life.subscription())["id"]
    await life.at_the_psp(life.psp.keep_card, subscription, CARD_WHOSE_RENEWALS_FAIL)
    await life.period_ends()
    await life.becomes("past_due", amount_paid=FEE)
    await life.at_the_psp(life.psp.keep_card, subscription, GOOD_CARD)
    await life.at_the_psp(life.psp.pay_invoice, await life.latest(life.psp.invoices))
    await life.becomes("active", amount_paid=2 * FEE)


async def _is_cancelled(life: Living) -> None:
    await _sign_up(life)
    await life.command("subscription/cancel", at="period_end")
    await life.becomes("active", cancel_at_period_end=True)
    await life.period_ends()
    await life.becomes("ended")


async def _card_on_the_shops_page(life: Living) -> None:
    await life.place(PRICE, payment_method="CARD")
    await life.pay_on_the_shops_page()
    await life.becomes("paid")


async def _debit_fails_late(life: Living) -> None:
    await life.place(PRICE)
    await life.pay_by_debit(DEBIT_THAT_BOUNCES_ON_DAY_2)
    await life.becomes("processing")
    await life.days_pass(2)
    await life.becomes("failed")


async def _second_attempt(life: Living) -> None:
    await life.place(PRICE)
    await life.becomes("registered")
    await life.session_expires()
    await life.becomes("expired")
    await life.command("attempts", attempt=2)
    await life.becomes("registered", attempt=2)
    await life.pay()
    await life.becomes("paid", attempt=2)


async def _is_refunded_in_parts(life: Living) -> None:
    await _buy(life)
    await life.refund(PART)
    await life.becomes("partially_refunded", amount_refunded=PART)
    await life.refund()
    await life.becomes("refunded", amount_refunded=PRICE)


async def _refund_fails_later(life: Living) -> None:
    """Hear "succeeded" of a refund whose money the customer's bank then sends back."""
    await _buy(life, CARD_WHOSE_REFUNDS_FAIL)
    await life.refund()
    await life.becomes("refunded")
    await life.days_pass(3)
    await life.becomes("paid", amount_refunded=0)


async def _dispute_is_lost(life: Living) -> None:
    """Leave the dispute unanswered until its time is over."""
    await life.place(PRICE)
    await life.pay(CARD_THAT_IS_DISPUTED)
    await life.becomes("disputed")
    await life.days_pass(_DISPUTE_WAITS_DAYS)
    await life.becomes("charged_back")


async def _dispute_is_won(life: Living) -> None:
    await life.place(PRICE)
    await life.pay(CARD_THAT_IS_DISPUTED)
    await life.becomes("disputed")
    dispute = await life.latest(life.psp.disputes)
    for status in ("under_review", "won"):
        await life.at_the_psp(life.psp.move_dispute, dispute, status)
    await life.becomes("paid", amount_disputed=0)


async def _sign_up(life: Living) -> None:
    await life.place(FEE, payment_type="RECC", recurring={"interval": "month"})
    await life.pay()
    await life.becomes("active", amount_paid=FEE)


async def _buy(life: Living, card: str = GOOD_CARD) -> None:
    await life.place(PRICE)
    await life.pay(card)
    await life.becomes("paid")


_CHARGED = ("charge", PRICE)
_BILLED = ("charge", FEE)
LIVES = (
    Life("subscription, renewed", _is_renewed, "active", (_BILLED, _BILLED), "usd"),
    Life("renewal fails, paid later", _renewal_fails_first, "active", (_BILLED, _BILLED), "eur"),
    Life("cancelled at period's end", _is_cancelled, "ended", (_BILLED,), "usd"),
    Life("card on the shop's own page", _card_on_the_shops_page, "paid", (_CHARGED,), "jpy"),
    Life("debit that fails on day 2", _debit_fails_late, "failed", ()),
    Life("second attempt after expiry", _second_attempt, "paid", (_CHARGED,), "kwd"),
    Life(
        "refunded in two parts",
        _is_refunded_in_parts,
        "refunded",
        (_CHARGED, ("refund", -PART), ("refund", PART - PRICE)),
    ),
    Life("refund that fails later", _refund_fails_later, "paid", (_CHARGED, ("refund", -PRICE), ("reversal", PRICE))),
    Life("dispute, lost", _dispute_is_lost, "charged_back", (_CHARGED, ("dispute", -PRICE)), "usd"),
    Life("dispute, won", _dispute_is_won, "paid", (_CHARGED, ("dispute", -PRICE), ("reversal", PRICE)), "usd"),
)
