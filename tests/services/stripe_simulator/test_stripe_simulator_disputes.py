"""Disputes: inquiries, chargebacks, appeals, the money that goes with them, and what events say of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from sandbox.stripe_simulator.control_client import ControlError
from sandbox.stripe_simulator.server import SimulatorServer
from tests.services.stripe_simulator.conftest import Receiver, order

DAY = 86_400


def paid(simulator: SimulatorServer, client: stripe.StripeClient, **how: Any) -> str:
    """Pay an order of 25.00 EUR; returns its PaymentIntent."""
    session = client.v1.checkout.sessions.create(order())
    return str(simulator.control.pay(session.id, **how)["payment_intent"])


def told(client: stripe.StripeClient) -> list[tuple[str, str, int]]:
    """Type, status and count of balance transactions of every event about disputes, oldest first."""
    events = client.v1.events.list({"limit": 100, "type": "charge.dispute.*"}).data[::-1]
    disputes = [(str(event.type).removeprefix("charge.dispute."), event.data.object) for event in events]
    return [(name, str(item["status"]), len(item["balance_transactions"])) for name, item in disputes]


def test_a_chargeback_takes_the_money_at_once(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    intent = paid(simulator, client)
    row = simulator.control.open_dispute(payment_intent=intent, reason="product_not_received")

    dispute = client.v1.disputes.retrieve(row["id"])
    assert (dispute.status, dispute.amount, dispute.reason) == ("needs_response", 2500, "product_not_received")
    assert dispute.payment_intent == intent
    assert dispute.evidence_details.due_by == dispute.created + 7 * DAY
    assert [transaction.net for transaction in dispute.balance_transactions] == [-4000]
    assert told(client) == [("created", "needs_response", 0), ("funds_withdrawn", "needs_response", 1)]
    assert client.v1.charges.retrieve(row["charge"]).disputed
    assert [item.id for item in client.v1.disputes.list({"payment_intent": intent}).data] == [row["id"]]
    assert client.v1.disputes.list({"charge": "ch_none"}).data == []


def test_a_dispute_that_is_won_gives_the_money_back(
    simulator: SimulatorServer, client: stripe.StripeClient, receiver: Receiver
) -> None:
    row = simulator.control.open_dispute(payment_intent=paid(simulator, client), amount=1000)
    simulator.control.move_dispute(row["id"], "under_review")
    won = simulator.control.move_dispute(row["id"], "won")

    assert (won["status"], won["withdrawn"], won["balance_transactions"]) == ("won", 0, 2)
    assert told(client)[2:] == [("updated", "under_review", 1), ("closed", "won", 1), ("funds_reinstated", "won", 2)]
    (event,) = receiver.wait_for_type("charge.dispute.funds_reinstated")
    amounts = [transaction["amount"] for transaction in event.event["data"]["object"]["balance_transactions"]]
    assert amounts == [-1000, 1000]
    details = client.v1.disputes.retrieve(row["id"]).evidence_details
    assert (details.has_evidence, details.submission_count) == (True, 1)


def test_a_dispute_that_nobody_answers_is_lost_when_due(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    row = simulator.control.open_dispute(payment_intent=paid(simulator, client), due_seconds=DAY)
    simulator.control.advance_clock(2 * DAY)

    assert client.v1.disputes.retrieve(row["id"]).status == "lost"
    (closed,) = client.v1.events.list({"type": "charge.dispute.closed"}).data
    assert row["due_by"] <= closed.created <= row["due_by"] + 5


def test_an_answered_dispute_is_not_lost_by_the_clock(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    row = simulator.control.open_dispute(payment_intent=paid(simulator, client))
    simulator.control.move_dispute(row["id"], "under_review")
    simulator.control.advance_clock(30 * DAY)

    assert client.v1.disputes.retrieve(row["id"]).status == "under_review"


def test_an_appeal_follows_a_loss_and_may_be_lost_again_without_money_moving(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    row = simulator.control.open_dispute(payment_intent=paid(simulator, client))
    for status in ("lost", "appeal_needs_response", "appeal_under_review", "lost", "appeal_needs_response"):
        simulator.control.move_dispute(row["id"], status)
    won = simulator.control.move_dispute(row["id"], "won")

    assert (won["withdrawn"], won["balance_transactions"]) == (0, 2)
    assert told(client)[2:] == [
        ("closed", "lost", 1),
        ("updated", "appeal_needs_response", 1),
        ("updated", "appeal_under_review", 1),
        ("closed", "lost", 1),
        ("updated", "appeal_needs_response", 1),
        ("closed", "won", 1),
        ("funds_reinstated", "won", 2),
    ]


def test_an_inquiry_takes_no_money_and_closes_by_itself(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    intent = paid(simulator, client)
    row = simulator.control.open_dispute(payment_intent=intent, inquiry=True)
    assert client.v1.refunds.create({"payment_intent": intent, "amount": 100}).status == "succeeded"
    assert told(client) == [("created", "warning_needs_response", 0)]
    simulator.control.advance_clock(121 * DAY)

    dispute = client.v1.disputes.retrieve(row["id"])
    assert (dispute.status, dispute.balance_transactions) == ("warning_closed", [])
    assert told(client) == [("closed", "warning_closed", 0)]


def test_an_inquiry_that_escalates_is_a_chargeback(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    row = simulator.control.open_dispute(payment_intent=paid(simulator, client), inquiry=True)
    simulator.control.advance_clock(30 * DAY)
    simulator.control.move_dispute(row["id"], "warning_under_review")
    escalated = simulator.control.move_dispute(row["id"], "needs_response")
    assert (escalated["withdrawn"], escalated["is_charge_refundable"]) == (2500, False)
    assert escalated["due_by"] > row["due_by"]

    simulator.control.advance_clock(8 * DAY)

    assert simulator.control.disputes(order_id="ord_1")[0]["status"] == "lost"


def test_a_charged_back_payment_cannot_be_refunded_until_it_is_won(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    intent = paid(simulator, client)
    row = simulator.control.open_dispute(payment_intent=intent)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": intent})
    assert caught.value.code == "charge_disputed"

    simulator.control.move_dispute(row["id"], "won")

    assert client.v1.refunds.create({"payment_intent": intent}).status == "succeeded"


@pytest.mark.parametrize(
    ("card", "status", "reason"),
    [
        ("4000000000000259", "needs_response", "fraudulent"),
        ("4000000000002685", "needs_response", "product_not_received"),
        ("4000000000001976", "warning_needs_response", "fraudulent"),
    ],
)
def test_cards_whose_holders_dispute(
    simulator: SimulatorServer, client: stripe.StripeClient, card: str, status: str, reason: str
) -> None:
    intent = paid(simulator, client, card=card)

    (row,) = simulator.control.disputes(payment_intent=intent)
    assert (row["status"], row["reason"], row["order_id"]) == (status, reason, "ord_1")


def test_funds_can_be_moved_alone(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    row = simulator.control.open_dispute(payment_intent=paid(simulator, client))
    assert simulator.control.reinstate_funds(row["id"])["withdrawn"] == 0
    assert simulator.control.withdraw_funds(row["id"])["withdrawn"] == 2500
    with pytest.raises(ControlError, match="withdrawn already"):
        simulator.control.withdraw_funds(row["id"])

    assert simulator.control.stats()["moved"] == {"eur": {"dispute": -5000, "dispute_reversal": 2500}}
    assert simulator.control.stats()["disputes"] == {"needs_response": 1}


def status_of(step: Callable[[], object]) -> int:
    with pytest.raises(ControlError) as caught:
        step()
    return caught.value.status


def test_what_cannot_be_is_refused(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    intent = paid(simulator, client)
    for claim, words in (({"reason": "whim"}, "reason is one of"), ({"amount": 2501}, "amount at most 2500")):
        with pytest.raises(ControlError, match=words):
            simulator.control.open_dispute(payment_intent=intent, **claim)
    row = simulator.control.open_dispute(payment_intent=intent)
    delayed = paid(simulator, client, method="delayed")
    conflicts: list[Callable[[], object]] = [
        lambda: simulator.control.open_dispute(payment_intent=intent),
        lambda: simulator.control.move_dispute(row["id"], "warning_closed"),
        lambda: simulator.control.open_dispute(payment_intent=delayed),
    ]
    unknown: list[Callable[[], object]] = [
        lambda: simulator.control.open_dispute(charge="ch_none"),
        lambda: simulator.control.move_dispute("du_none", "won"),
    ]

    assert [status_of(step) for step in conflicts] == [409, 409, 409]
    assert [status_of(step) for step in unknown] == [404, 404]
