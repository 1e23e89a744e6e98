"""Every life of a payment, for Hypothesis: what may happen to one order at the PSP, told by an `Account`."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.unit.domain.account import Account, Message

Position = tuple[str, int, int]


@st.composite
def accounts(draw: st.DrawFn, n: int = 1) -> Account:
    """One order to its end: sold or subscribed to, paid in one of many ways, then refunded and disputed at will."""
    account = Account(n, recurring=draw(st.booleans()), amount=draw(st.sampled_from([900, 5_000])))
    (_subscribe if account.recurring else _sell)(draw, account)
    for payment in sorted(account.intents):
        for _ in range(draw(st.integers(0, 2))):
            (_refund if draw(st.booleans()) else _dispute)(draw, account, payment)
    return account


def position_of(account: Account, number: int) -> Position:
    """Return a place in the log for a message of the account."""
    return "payments.webhooks", account.n % 12, number


def _sell(draw: st.DrawFn, account: Account) -> None:
    """Up to three attempts; the last may be paid, once in a while one before it, too: two payments of one order."""
    attempts = draw(st.integers(1, 3))
    for attempt in range(1, attempts + 1):
        account.register(attempt)
        how = draw(st.sampled_from(["card", "debit", "debit_fails", "expires", "other_sum", "waits"]))
        match how:
            case "card":
                account.pay(attempt)
            case "debit":
                account.debit(attempt)
                account.debited(attempt)
            case "debit_fails":
                account.debit(attempt)
                account.debit_failed(attempt)
            case "expires":
                account.expire(attempt)
            case "other_sum":
                account.pay(attempt, account.amount + 1)
            case _:
                account.debit(attempt)


def _subscribe(draw: st.DrawFn, account: Account) -> None:
    """A subscription, perhaps with a trial, renewed a few times with and without trouble, perhaps ended."""
    account.register()
    account.subscribe(trial=draw(st.booleans()))
    periods = draw(st.integers(0, 3))
    for period in range(1, periods + 1):
        account.renew(period, failures=draw(st.integers(0, 3)), paid=draw(st.booleans()))
    if draw(st.booleans()):
        account.end(periods, at_period_end=draw(st.booleans()))


def _refund(draw: st.DrawFn, account: Account, payment: str) -> None:
    left = account.left(payment)
    if left <= 0:
        return
    name = account.refund(payment, draw(st.sampled_from([left, max(1, left // 3)])))
    for status in draw(
        st.sampled_from([(), ("succeeded",), ("succeeded", "failed"), ("failed",), ("requires_action", "canceled")])
    ):
        account.refund_becomes(name, status)


#: What may become of a chargeback, from its beginning.
_CHARGEBACKS = (
    (),
    ("under_review",),
    ("won",),
    ("under_review", "won"),
    ("lost",),
    ("under_review", "lost"),
    ("lost", "appeal_needs_response", "appeal_under_review", "won"),
    ("lost", "appeal_needs_response", "appeal_under_review", "lost"),
)
#: What may become of an inquiry, if it does not become a chargeback.
_INQUIRIES = ((), ("warning_under_review",), ("warning_closed",), ("warning_under_review", "warning_closed"))


def _dispute(draw: st.DrawFn, account: Account, payment: str) -> None:
    inquiry = draw(st.booleans())
    name = account.dispute(payment, draw(st.sampled_from([account.amount, account.amount // 2])), inquiry=inquiry)
    if inquiry and draw(st.booleans()):
        account.dispute_becomes(name, "needs_response")
        inquiry = False
    steps = draw(st.sampled_from(_INQUIRIES if inquiry else _CHARGEBACKS))
    for status in steps:
        account.dispute_becomes(name, status)
    if "appeal_under_review" in steps:
        account.read_dispute(name)


def told(account: Account) -> list[tuple[Message, Position]]:
    """Return the account's messages with their places, in the order of the story."""
    return [(message, position_of(account, number)) for number, message in enumerate(account.messages)]
