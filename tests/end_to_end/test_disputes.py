"""What a customer's bank may do after a payment: every movement in our tables is one of the PSP's own books."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from sandbox.world import World
from tests.end_to_end.shop import Shop, eventually
from tests.end_to_end.verifying import verified

pytestmark = pytest.mark.stack

PRICE = 4_990
MONEY_CHECKS = (
    "every row is what its facts amount to",
    "every movement of money and every invoice belongs to an order",
    "an order's movements sum up to its columns",
    "every movement belongs to a payment that was received",
    "no payment is refunded beyond its sum",
    "every paid invoice has its charge",
    "every accepted refund has moved money",
    "every refund that moved is as the ledger has it",
)


class Bank:
    """The customer's bank, and what the PSP has written down of its doings."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def paid_order(self) -> tuple[str, str]:
        """An order that is paid, and its payment."""
        order = self._shop.registered()
        self._shop.pay(order)
        paid = self._shop.wait_for_status(order["id"], "paid")
        return order["id"], paid["payments"][0]["payment"]

    def dispute(self, payment: str, **claim: Any) -> dict[str, Any]:
        dispute: dict[str, Any] = self._shop.control("POST", "/disputes", {"payment_intent": payment, **claim})
        return dispute

    def move(self, dispute: Mapping[str, Any], status: str) -> dict[str, Any]:
        moved: dict[str, Any] = self._shop.control("POST", f"/disputes/{dispute['id']}/move", {"status": status})
        return moved

    def books(self, *sources: str) -> dict[str, list[int]]:
        """What the PSP's balance moved for each refund or dispute, without fees, oldest first."""
        url = f"{self._shop.addresses.simulator_url}/v1/balance_transactions"
        key = self._shop.world.credentials.stripe_secret_key
        books = {}
        for source in sources:
            answer = httpx.get(url, params={"source": source, "limit": 100}, headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == 200, answer.text
            books[source] = [each["amount"] for each in reversed(answer.json()["data"])]
        return books

    def movements(self, order_id: str) -> dict[str, list[int]]:
        """What our table says, by the PSP's id, what was taken before what came back."""
        rows = self._shop.rows(
            "SELECT psp_id, amount FROM payment_movement WHERE order_id = :id ORDER BY psp_id, amount", id=order_id
        )
        found: dict[str, list[int]] = {}
        for row in rows:
            found.setdefault(row["psp_id"], []).append(row["amount"])
        return found

    def wait_for_books(self, order_id: str, payment: str, *sources: str) -> None:
        """Wait until our movements are the payment and what the PSP's books say of these refunds and disputes."""
        told = {payment: [PRICE], **{source: moved for source, moved in self.books(*sources).items() if moved}}
        eventually(lambda: self.movements(order_id) == told, f"the movements of {order_id} are {told}")

    def net(self, order_id: str) -> int:
        """What SQL sums up."""
        (row,) = self._shop.rows("SELECT sum(amount) AS net FROM payment_movement WHERE order_id = :id", id=order_id)
        return int(row["net"])

    def shown(self, order_id: str, status: str) -> dict[str, Any]:
        """The one dispute of an order as the API tells it, once it is in that status."""

        def check() -> dict[str, Any] | None:
            (dispute,) = self._shop.order(order_id).get("disputes") or [{}]
            return dispute if dispute.get("status") == status else None

        return eventually(check, f"the dispute of {order_id} is {status}")


@pytest.fixture
def bank(shop: Shop) -> Bank:
    """The bank of everybody who buys there."""
    return Bank(shop)


def test_a_dispute_that_is_lost_takes_the_money(shop: Shop, bank: Bank) -> None:
    order_id, payment = bank.paid_order()

    dispute = bank.dispute(payment, reason="product_not_received")
    disputed = shop.wait_for_status(order_id, "disputed")
    first = bank.shown(order_id, "needs_response")
    assert (first["id"], first["payment"], first["amount"]) == (dispute["id"], payment, PRICE)
    assert (first["reason"], first["evidence_due_by"]) == ("product_not_received", dispute["due_by"])
    assert (disputed["evidence_due_by"], disputed["amount_disputed"]) == (dispute["due_by"], PRICE)
    assert disputed["amount_net"] == 0
    bank.move(dispute, "under_review")
    assert bank.shown(order_id, "under_review")["evidence_due_by"] is None
    bank.move(dispute, "lost")

    lost = shop.wait_for_status(order_id, "charged_back")
    assert (lost["evidence_due_by"], lost["amount_disputed"], lost["amount_net"]) == (None, PRICE, 0)
    bank.wait_for_books(order_id, payment, dispute["id"])
    assert bank.net(order_id) == 0
    assert bank.shown(order_id, "lost")["funds"] == "withdrawn"


def test_a_dispute_that_is_won_gives_it_back(shop: Shop, bank: Bank) -> None:
    order_id, payment = bank.paid_order()
    dispute = bank.dispute(payment, amount=1_000)
    assert shop.wait_for_status(order_id, "disputed")["amount_net"] == PRICE - 1_000
    bank.move(dispute, "under_review")

    bank.move(dispute, "won")

    won = shop.wait_for_status(order_id, "paid")
    assert (won["amount_disputed"], won["amount_net"]) == (0, PRICE)
    bank.wait_for_books(order_id, payment, dispute["id"])
    assert bank.books(dispute["id"]) == {dispute["id"]: [-1_000, 1_000]}
    assert bank.net(order_id) == PRICE
    eventually(lambda: bank.shown(order_id, "won")["funds"] == "reinstated", "the funds are reinstated")


def test_an_inquiry_moves_nothing_until_it_becomes_a_chargeback(shop: Shop, bank: Bank) -> None:
    order_id, payment = bank.paid_order()

    inquiry = bank.dispute(payment, inquiry=True)

    asked = bank.shown(order_id, "warning_needs_response")
    order = shop.order(order_id)
    assert (asked["evidence_due_by"], asked["funds"]) == (inquiry["due_by"], "untouched")
    assert (order["status"], order["flags"], order["amount_net"]) == ("paid", ["inquiry"], PRICE)
    assert order["evidence_due_by"] == inquiry["due_by"]
    assert bank.movements(order_id) == {payment: [PRICE]}
    bank.move(inquiry, "warning_under_review")
    assert bank.shown(order_id, "warning_under_review")["evidence_due_by"] is None
    escalated = bank.move(inquiry, "needs_response")
    shop.wait_for_status(order_id, "disputed")
    eventually(
        lambda: bank.shown(order_id, "needs_response")["evidence_due_by"] == escalated["due_by"], "the new deadline"
    )
    bank.wait_for_books(order_id, payment, inquiry["id"])
    assert bank.net(order_id) == 0


def test_an_inquiry_that_is_closed_leaves_no_trace_in_the_money(shop: Shop, bank: Bank) -> None:
    order_id, payment = bank.paid_order()
    inquiry = bank.dispute(payment, inquiry=True)
    bank.move(inquiry, "warning_under_review")

    bank.move(inquiry, "warning_closed")

    assert bank.shown(order_id, "warning_closed")["funds"] == "untouched"
    order = shop.order(order_id)
    assert (order["status"], order["flags"], order["evidence_due_by"]) == ("paid", [], None)
    assert bank.books(inquiry["id"]) == {inquiry["id"]: []}
    assert bank.movements(order_id) == {payment: [PRICE]}


def test_an_appeal_that_is_won_turns_a_loss(shop: Shop, bank: Bank) -> None:
    order_id, payment = bank.paid_order()
    dispute = bank.dispute(payment)
    bank.move(dispute, "lost")
    shop.wait_for_status(order_id, "charged_back")

    appeal = bank.move(dispute, "appeal_needs_response")
    assert bank.shown(order_id, "appeal_needs_response")["evidence_due_by"] == appeal["due_by"]
    assert shop.wait_for_status(order_id, "disputed")["amount_disputed"] == PRICE
    bank.move(dispute, "appeal_under_review")
    bank.move(dispute, "won")

    assert shop.wait_for_status(order_id, "paid")["amount_net"] == PRICE
    bank.wait_for_books(order_id, payment, dispute["id"])


def test_what_nobody_answers_in_time_is_lost(shop: Shop, bank: Bank) -> None:
    order_id, payment = bank.paid_order()

    dispute = bank.dispute(payment, due_seconds=4)

    shop.wait_for_status(order_id, "charged_back")
    bank.wait_for_books(order_id, payment, dispute["id"])


def test_refunds_and_a_dispute_of_one_payment_add_up(world: World, shop: Shop, bank: Bank) -> None:
    """A part sent back, a refund that fails later, a dispute of the rest: API, tables and the PSP say the same sum."""
    order_id, payment = bank.paid_order()
    for reference, amount in (("R-1", 990), ("R-2", 1_000)):
        assert shop.command(order_id, "refunds", {"refund_reference": reference, "amount": amount}).status_code == 202

    def refunds() -> dict[str, str] | None:
        made = {each["refund_reference"]: each for each in shop.read(f"/{order_id}/refunds")["data"]}
        done = len(made) == 2 and {each["status"] for each in made.values()} == {"succeeded"}
        return {name: each["psp_refund_id"] for name, each in made.items()} if done else None

    names = eventually(refunds, "both refunds are done")
    shop.control("POST", f"/refunds/{names['R-2']}/fail", {"reason": "lost_or_stolen_card"})
    dispute = bank.dispute(payment, amount=3_000)
    bank.move(dispute, "lost")
    shop.wait_for_status(order_id, "charged_back")

    bank.wait_for_books(order_id, payment, *names.values(), dispute["id"])
    order = shop.order(order_id)
    assert (order["amount_paid"], order["amount_refunded"], order["amount_disputed"]) == (PRICE, 990, 3_000)
    assert order["amount_net"] == bank.net(order_id) == PRICE - 990 - 3_000
    told = {check.name: check.violations for check in verified(world, grace_seconds=60).checks}
    assert {name: told[name] for name in MONEY_CHECKS} == dict.fromkeys(MONEY_CHECKS, 0)
