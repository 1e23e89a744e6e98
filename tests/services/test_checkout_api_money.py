"""What a client reads of its subscriptions, invoices and disputes; the deadlines that it must not miss."""

from __future__ import annotations

from typing import Any

from payonce.domain.merge import merge
from payonce.domain.order import contribution
from tests.fakes.checkout_api import World
from tests.unit.domain.account import Account
from tests.unit.domain.account_objects import MONTH, START


async def shown(account: Account) -> dict[str, Any]:
    """The order as the API tells it when everything of the account is folded."""
    world = World()
    command, *rest = account.messages
    facts = world.archive.facts.setdefault(account.order_id, {})
    for message in rest:
        facts = merge(facts, contribution(message, position=("topic", 0, 0)).facts)
    world.archive.facts[account.order_id] = facts
    assert command.__class__.__name__ == "RegisterPayment"
    world.archive.fold(command)
    answer = await world.get(f"/v1/payment-orders/{account.order_id}")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def test_a_dispute_shows_its_deadline_and_what_became_of_the_money() -> None:
    account = Account(1)
    account.register()
    payment = account.pay()
    dispute = account.dispute(payment, 2_000, inquiry=False)
    due_by = account.disputes[dispute]["evidence_details"]["due_by"]

    open_order = await shown(account)
    account.dispute_becomes(dispute, "under_review")
    account.dispute_becomes(dispute, "won")
    won = await shown(account)

    assert open_order["disputes"] == [
        {
            "id": dispute,
            "status": "needs_response",
            "payment": payment,
            "amount": 2_000,
            "currency": "eur",
            "reason": "fraudulent",
            "evidence_due_by": due_by,
            "funds": "withdrawn",
        }
    ]
    assert (open_order["evidence_due_by"], open_order["amount_net"]) == (due_by, 3_000)
    assert (won["disputes"][0]["status"], won["disputes"][0]["funds"]) == ("won", "reinstated")
    assert (won["disputes"][0]["evidence_due_by"], won["evidence_due_by"], won["amount_net"]) == (None, None, 5_000)


async def test_a_subscription_shows_its_period_and_its_invoices() -> None:
    account = Account(1, recurring=True)
    account.register()
    account.subscribe()
    account.renew(1, failures=2)
    running = await shown(account)
    account.end(1, at_period_end=True)
    ended = await shown(account)

    assert running["subscriptions"] == [
        {
            "id": account.subscription_id,
            "status": "live",
            "current_period_end": START + 2 * MONTH,
            "cancel_at_period_end": False,
        }
    ]
    assert (running["current_period_end"], running["cancel_at_period_end"]) == (START + 2 * MONTH, False)
    assert [
        (each["id"], each["status"], each["period_start"], each["amount_paid"], each["attempts"])
        for each in running["invoices"]
    ] == [("in_1_0", "paid", START, 5_000, 1), ("in_1_1", "paid", START + MONTH, 5_000, 3)]
    assert running["amount_net"] == 10_000
    assert [(each["status"], each["cancel_at_period_end"]) for each in ended["subscriptions"]] == [("ended", True)]
    assert (ended["status"], ended["current_period_end"], ended["cancel_at_period_end"]) == ("ended", None, None)


async def test_an_invoice_that_could_not_be_collected_says_when_it_is_tried_again() -> None:
    account = Account(1, recurring=True)
    account.register()
    account.subscribe()
    account.renew(1, failures=1)
    told = [
        number for number, each in enumerate(account.messages) if getattr(each, "type", "") == "invoice.payment_failed"
    ]
    del account.messages[told[0] + 1 :]

    order = await shown(account)

    assert order["status"] == "past_due"
    assert order["next_payment_attempt"] == order["invoices"][1]["next_attempt_at"] > START
