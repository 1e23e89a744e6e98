"""The life of a subscription, from signing up to its end, with the PSP's clock moved over months.

A world of its own: what the clock has passed stays passed, and an order registered now would have expired there. So
everybody signs up before the first test, and each test has a subscription of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from sandbox.world import World, WorldOptions
from tests.end_to_end.shop import Shop, eventually
from tests.end_to_end.verifying import verified

pytestmark = pytest.mark.stack

PRICE = 900
DAY, HOUR = 86_400, 3_600
VISA, KEPT_BUT_DECLINED = "4242424242424242", "4000000000000341"
TRIAL = {"interval": "month", "trial_days": 400}


@dataclass(frozen=True, slots=True)
class Members:
    """Who has signed up, by the name of the test that they are for."""

    shop: Shop
    orders: dict[str, str]
    #: As the API told them when they had signed up.
    signed_up: dict[str, dict[str, Any]]

    def subscription(self, name: str) -> dict[str, Any]:
        """The subscription as the PSP has it."""
        (found,) = self.shop.control("GET", f"/subscriptions?order_id={self.orders[name]}")
        row: dict[str, Any] = found
        return row

    def invoices(self, name: str) -> list[dict[str, Any]]:
        """Its invoices as the PSP has them, oldest first."""
        rows: list[dict[str, Any]] = self.shop.control("GET", f"/invoices?order_id={self.orders[name]}")
        return rows

    def to_next_period(self, name: str) -> None:
        """Move the PSP's clock over the end of the period, and the hour for which a new invoice is a draft."""
        left = self.subscription(name)["current_period_end"] - self.shop.control("GET", "/stats")["now"]
        self.shop.control("POST", "/clock", {"advance_seconds": left + HOUR + 1})

    def pass_time(self, seconds: float) -> None:
        self.shop.control("POST", "/clock", {"advance_seconds": seconds})

    def status(self, name: str, status: str) -> dict[str, Any]:
        """Wait until the order is in a status; return it."""
        return self.shop.wait_for_status(self.orders[name], status)

    def paid(self, name: str, amount: int) -> dict[str, Any]:
        """Wait until so much was paid; return the order."""

        def check() -> dict[str, Any] | None:
            order = self.shop.order(self.orders[name])
            return order if order.get("amount_paid") == amount else None

        return eventually(check, f"{name}: {amount} paid")

    def end(self, name: str, at: str) -> httpx.Response:
        return self.shop.command(self.orders[name], "subscription/cancel", {"at": at})


NAMES = ("renewal", "dunning", "given_up", "leaving", "quitting", "customer", "refunded", "trial", "used")


@pytest.fixture(scope="module")
def members() -> Iterator[Members]:
    """Nine who have signed up, in a world whose PSP tells everything twice and in disorder."""
    with (
        World(WorldOptions(with_shop=True), on_progress=print) as world,
        Shop(world) as shop,
    ):
        webhooks = {"duplicate_probability": 0.5, "twin_probability": 0.2, "hold": 4, "hold_seconds": 1}
        shop.control("POST", "/webhooks", webhooks)
        orders = {name: _sign_up(shop, TRIAL if name == "trial" else {"interval": "month"}) for name in NAMES}
        signed_up = {name: shop.wait_for_status(order_id, "active") for name, order_id in orders.items()}
        yield Members(shop, orders, signed_up)


def _sign_up(shop: Shop, recurring: dict[str, Any]) -> str:
    order = shop.registered(payment_type="RECC", amount=PRICE, recurring=recurring, description="Tea club")
    shop.pay(order, card=VISA)
    return str(order["id"])


def test_who_signs_up_has_paid_the_first_period(members: Members) -> None:
    order = members.signed_up["renewal"]
    (invoice,) = members.invoices("renewal")[:1]

    assert (order["status"], order["amount_paid"], order["flags"]) == ("active", PRICE, [])
    assert order["recurring"] == {"interval": "month", "interval_count": 1, "trial_days": None}
    assert [payment["payment"] for payment in order["payments"]] == [invoice["id"]]
    assert members.subscription("renewal")["metadata"]["order_id"] == order["id"]


def test_a_trial_in_which_nothing_is_due_is_active(members: Members) -> None:
    order = members.signed_up["trial"]

    assert (order["status"], order["amount_paid"], order["flags"]) == ("active", 0, [])
    assert order["recurring"]["trial_days"] == 400
    assert members.subscription("trial")["status"] == "trialing"


def test_a_renewal_is_recorded_and_paid(members: Members) -> None:
    members.to_next_period("renewal")

    invoices = members.invoices("renewal")
    order = members.paid("renewal", len(invoices) * PRICE)
    assert len(invoices) > 1
    assert (order["status"], order["flags"]) == ("active", [])
    assert {payment["payment"] for payment in order["payments"]} == {invoice["id"] for invoice in invoices}
    assert {payment["standing"] for payment in order["payments"]} == {"counts"}
    told = {each["id"]: (each["status"], each["amount_paid"], each["billing_reason"]) for each in order["invoices"]}
    assert told == {each["id"]: ("paid", PRICE, each["billing_reason"]) for each in invoices}


def test_a_renewal_that_fails_is_past_due_until_another_card_pays_it(members: Members) -> None:
    before = len(members.invoices("dunning"))
    subscription = members.subscription("dunning")["id"]
    members.shop.control("POST", f"/subscriptions/{subscription}/card", {"card": KEPT_BUT_DECLINED})
    members.to_next_period("dunning")
    past_due = members.status("dunning", "past_due")

    members.shop.control("POST", f"/subscriptions/{subscription}/card", {"card": VISA})
    failed = members.invoices("dunning")[-1]
    told = next(each for each in past_due["invoices"] if each["id"] == failed["id"])
    assert (told["status"], told["attempts"], told["amount_paid"]) == ("open", 1, 0)
    assert told["next_attempt_at"] == failed["next_payment_attempt"]
    members.shop.control("POST", f"/invoices/{failed['id']}/pay", {})

    recovered = members.status("dunning", "active")
    assert past_due["amount_paid"] == before * PRICE
    assert recovered["amount_paid"] == (before + 1) * PRICE


def test_a_renewal_that_nobody_pays_ends_the_subscription_after_the_last_try(members: Members) -> None:
    subscription = members.subscription("given_up")["id"]
    members.shop.control("POST", f"/subscriptions/{subscription}/card", {"card": KEPT_BUT_DECLINED})
    members.to_next_period("given_up")
    members.status("given_up", "past_due")

    members.pass_time(16 * DAY)

    members.status("given_up", "ended")
    assert members.end("given_up", "now").status_code == 200


def test_what_ends_with_its_period_is_active_until_then(members: Members) -> None:
    first, again = members.end("leaving", "period_end"), members.end("leaving", "period_end")
    assert (first.status_code, again.status_code) == (202, 202), first.text
    eventually(lambda: members.subscription("leaving")["cancel_at_period_end"], "the PSP knows")

    def told() -> dict[str, Any] | None:
        order = members.shop.order(members.orders["leaving"])
        return order if order["cancel_at_period_end"] else None

    leaving = eventually(told, "the shop is told that it will end")
    assert leaving["status"] == "active"
    assert leaving["current_period_end"] == members.subscription("leaving")["current_period_end"]
    members.to_next_period("leaving")

    ended = members.status("leaving", "ended")
    invoices = members.invoices("leaving")
    assert ended["amount_paid"] == len(invoices) * PRICE
    members.pass_time(32 * DAY)
    assert len(members.invoices("leaving")) == len(invoices), "what has ended is not billed again"
    assert_timeline(members, "leaving", "SubscriptionCancelAccepted")


def test_what_ends_now_ends_now(members: Members) -> None:
    answer = members.end("quitting", "now")

    assert answer.status_code == 202, answer.text
    members.status("quitting", "ended")
    assert members.subscription("quitting")["status"] == "canceled"
    again = members.end("quitting", "now")
    assert (again.status_code, again.json()["status"]) == (200, "ended")
    assert_timeline(members, "quitting", "SubscriptionCancelAccepted")


def test_what_the_customer_ends_elsewhere_is_ended_here(members: Members) -> None:
    """In the PSP's portal, say: its webhooks tell us, and our own command then finds it done."""
    subscription = members.subscription("customer")["id"]

    members.shop.control("POST", f"/subscriptions/{subscription}/cancel", {"at": "now"})

    members.status("customer", "ended")


def test_a_renewal_is_refunded_and_the_subscription_stays_active(members: Members) -> None:
    members.to_next_period("refunded")
    paid = len(members.invoices("refunded")) * PRICE
    members.paid("refunded", paid)
    renewal = members.invoices("refunded")[-1]
    order_id = members.orders["refunded"]

    unnamed = members.shop.command(order_id, "refunds", {"refund_reference": "R-0"})
    answer = members.shop.command(
        order_id, "refunds", {"refund_reference": "R-1", "payment": renewal["id"], "amount": 400}
    )

    assert (unnamed.status_code, unnamed.json()["type"].rpartition(":")[2]) == (422, "payment_needed")
    assert answer.status_code == 202, answer.text

    def refunded() -> dict[str, Any] | None:
        order = members.shop.order(order_id)
        return order if order["amount_refunded"] == 400 else None

    order = eventually(refunded, "the refund is folded")
    assert (order["status"], order["amount_paid"]) == ("active", paid)
    left = {each["payment"]: each["amount_refundable"] for each in order["payments"]}
    assert left[renewal["id"]] == PRICE - 400
    (made,) = members.shop.control("GET", f"/refunds?order_id={order_id}&reference=R-1")
    assert made["payment_intent"] == renewal["payment_intent"]


def test_an_order_whose_subscription_lives_is_not_cancelled_as_an_attempt(members: Members) -> None:
    answer = members.shop.command(members.orders["used"], "cancel")

    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "order_used")
    assert members.subscription("used")["status"] == "active"


def test_the_guarantees_hold_whatever_has_become_of_them(members: Members) -> None:
    """Commands and outcomes, rows and facts, movements and sums, and the PSP's own books."""

    def violations() -> dict[str, int]:
        report = verified(members.shop.world, grace_seconds=1)
        return {check.name: check.violations for check in report.checks if check.violations}

    eventually(lambda: not violations(), "nothing is violated")
    report = verified(members.shop.world, grace_seconds=1)
    assert sum(check.checked for check in report.checks) > len(NAMES)


def assert_timeline(members: Members, name: str, *kinds: str) -> None:
    """The order's timeline names these, once they are folded."""

    def told() -> bool:
        lines = members.shop.read(f"/{members.orders[name]}/timeline?limit=100")["data"]
        return {"CancelSubscription", *kinds} <= {line["type"] for line in lines}

    eventually(told, f"{name}: {kinds} in the timeline")
