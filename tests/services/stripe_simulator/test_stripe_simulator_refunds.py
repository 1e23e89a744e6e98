"""Refunds through the official client: full, partial, too much, pending, failed later; and what events say of them."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from sandbox.stripe_simulator.control_client import ControlError
from sandbox.stripe_simulator.server import SimulatorServer
from tests.services.stripe_simulator.conftest import Receiver, order

DAY = 86_400
LATER, FAILS = "4000000000007726", "4000000000005126"


def paid(simulator: SimulatorServer, client: stripe.StripeClient, **how: Any) -> str:
    """Pay an order of 25.00 EUR; returns its PaymentIntent."""
    session = client.v1.checkout.sessions.create(order())
    return str(simulator.control.pay(session.id, **how)["payment_intent"])


def refunded(client: stripe.StripeClient, intent: str, key: str | None = None, **parameters: Any) -> stripe.Refund:
    parameters = {"payment_intent": intent, **parameters}
    return client.v1.refunds.create(parameters, {"idempotency_key": key} if key else {})  # type: ignore[arg-type]  # typed dictionaries


def charge_of(client: stripe.StripeClient, intent: str) -> stripe.Charge:
    (charge,) = client.v1.charges.list({"payment_intent": intent}).data
    return charge


def event_types(client: stripe.StripeClient) -> list[str]:
    """Types of the events about refunds, oldest first."""
    types = [str(event.type) for event in client.v1.events.list({"limit": 100}).data][::-1]
    return [name for name in types if "refund" in name]


def test_a_card_is_refunded_at_once(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    intent = paid(simulator, client)
    refund = refunded(client, intent, reason="requested_by_customer", metadata={"order_id": "ord_1"})

    assert refund.id.startswith("re_")
    assert (refund.status, refund.amount, refund.currency) == ("succeeded", 2500, "eur")
    assert refund.payment_intent == intent
    assert refund.metadata is not None
    assert refund.metadata.to_dict() == {"order_id": "ord_1"}
    charge = charge_of(client, intent)
    assert (charge.refunded, charge.amount_refunded) == (True, 2500)
    assert event_types(client) == ["refund.created", "charge.refunded"]
    assert client.v1.refunds.retrieve(refund.id).amount == 2500


def test_several_partial_refunds_and_the_rest(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    intent = paid(simulator, client)
    first = refunded(client, intent, amount=1000)
    assert (charge_of(client, intent).refunded, charge_of(client, intent).amount_refunded) == (False, 1000)
    second = refunded(client, intent, amount=500)
    rest = refunded(client, intent)

    assert [first.amount, second.amount, rest.amount] == [1000, 500, 1000]
    assert charge_of(client, intent).refunded
    listed = client.v1.refunds.list({"payment_intent": intent}).data
    assert [refund.id for refund in listed] == [rest.id, second.id, first.id]
    assert client.v1.refunds.list({"charge": "ch_none"}).data == []


def refusal(client: stripe.StripeClient, **parameters: Any) -> stripe.InvalidRequestError:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create(parameters)  # type: ignore[arg-type]  # typed dictionaries
    assert caught.value.http_status == 400
    return caught.value


def test_more_than_is_left_is_refused(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    intent = paid(simulator, client)
    refunded(client, intent, amount=2000)
    too_much = refusal(client, payment_intent=intent, amount=501)
    assert (too_much.code, too_much.param) == (None, "amount")
    assert "(€5.01) is greater than unrefunded amount on charge (€5.00)" in str(too_much)

    refunded(client, intent, amount=500)

    assert refusal(client, payment_intent=intent, amount=1).code == "charge_already_refunded"
    assert refusal(client, charge=charge_of(client, intent).id).code == "charge_already_refunded"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"amount": 5}, "parameter_missing"),
        ({"payment_intent": "pi_none"}, "resource_missing"),
        ({"charge": "ch_none"}, "resource_missing"),
        ({"charge": "ch_none", "amount": 0}, "parameter_invalid_integer"),
        ({"charge": "ch_none", "reason": "boredom"}, None),
        ({"charge": "ch_none", "colour": "red"}, "parameter_unknown"),
        ({"charge": "ch_none", "reverse_transfer": True}, "not_simulated"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused(
    shared_client: stripe.StripeClient, parameters: dict[str, Any], code: str | None
) -> None:
    assert refusal(shared_client, **parameters).code == code


def test_a_payment_without_a_successful_charge_cannot_be_refunded(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    declined = simulator.control.decline(client.v1.checkout.sessions.create(order()).id)["payment_intent"]
    processing = paid(simulator, client, method="delayed")

    for intent in (declined, processing):
        assert "does not have a successful charge to refund" in str(refusal(client, payment_intent=intent))


def test_three_decimals_are_refunded_in_tens(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    item = {"price_data": {"currency": "kwd", "unit_amount": 5120, "product_data": {"name": "Tea"}}, "quantity": 1}
    session = client.v1.checkout.sessions.create(order(line_items=[item]))
    intent = simulator.control.pay(session.id)["payment_intent"]

    assert refusal(client, payment_intent=intent, amount=5115).param == "amount"
    assert refunded(client, intent, amount=5110).amount == 5110


def test_the_same_key_refunds_once(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    intent = paid(simulator, client)
    first = refunded(client, intent, key="ord_1:refund:a", amount=700)
    again = refunded(client, intent, key="ord_1:refund:a", amount=700)

    assert again.id == first.id
    assert charge_of(client, intent).amount_refunded == 700
    with pytest.raises(stripe.IdempotencyError):
        refunded(client, intent, key="ord_1:refund:a", amount=701)


def test_a_refused_refund_stays_refused_under_its_key(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    """The work had begun, so the answer is kept: also when a failed refund has meanwhile made room."""
    intent = paid(simulator, client)
    whole = refunded(client, intent)
    with pytest.raises(stripe.InvalidRequestError):
        refunded(client, intent, key="k", amount=100)
    simulator.control.fail_refund(whole.id)

    with pytest.raises(stripe.InvalidRequestError):
        refunded(client, intent, key="k", amount=100)
    assert refunded(client, intent, key="k2", amount=100).status == "succeeded"


@pytest.mark.parametrize("how", [{"card": LATER}, {"method": "redirect"}, {"method": "delayed"}], ids=str)
def test_a_pending_refund_succeeds_by_the_clock(
    simulator: SimulatorServer, client: stripe.StripeClient, how: dict[str, Any]
) -> None:
    intent = paid(simulator, client, **how)
    simulator.control.advance_clock(3 * DAY)
    refund = refunded(client, intent)
    assert (refund.status, refund.pending_reason) == ("pending", "processing")
    assert charge_of(client, intent).refunded

    simulator.control.advance_clock(3 * DAY)

    assert client.v1.refunds.retrieve(refund.id).status == "succeeded"
    assert event_types(client) == ["refund.created", "charge.refunded", "refund.updated"]


def test_a_card_that_lets_refunds_fail_later(
    simulator: SimulatorServer, client: stripe.StripeClient, receiver: Receiver
) -> None:
    intent = paid(simulator, client, card=FAILS)
    refund = refunded(client, intent, amount=900)
    assert refund.status == "succeeded"
    simulator.control.advance_clock(3 * DAY)

    (failed,) = receiver.wait_for_type("refund.failed")
    told = failed.event["data"]["object"]
    assert (told["id"], told["status"], told["failure_reason"]) == (refund.id, "failed", "expired_or_canceled_card")
    charge = charge_of(client, intent)
    assert (charge.refunded, charge.amount_refunded) == (False, 0)
    assert event_types(client) == ["refund.created", "charge.refunded", "refund.updated", "refund.failed"]


def test_any_refund_can_be_made_to_fail_later(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    intent = paid(simulator, client)
    kept, lost = refunded(client, intent, amount=1000), refunded(client, intent, amount=500)
    row = simulator.control.fail_refund(lost.id, reason="lost_or_stolen_card", after_seconds=DAY)
    assert row["status"] == "succeeded"
    simulator.control.advance_clock(DAY)

    assert client.v1.refunds.retrieve(lost.id).status == "failed"
    assert client.v1.refunds.retrieve(kept.id).status == "succeeded"
    assert charge_of(client, intent).amount_refunded == 1000
    with pytest.raises(ControlError) as caught:
        simulator.control.fail_refund(lost.id)
    assert caught.value.status == 409


def test_an_update_may_change_nothing_that_matters(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    """The card's bank tells its reference number: the status stays."""
    refund = refunded(client, paid(simulator, client))
    simulator.control.advance_clock(3 * DAY)

    details = client.v1.refunds.retrieve(refund.id).destination_details
    assert details is not None
    assert details.card is not None
    assert details.card.reference_status == "available"
    assert client.v1.refunds.retrieve(refund.id).status == "succeeded"
    assert event_types(client)[-1] == "refund.updated"


def test_the_statistics_count_refunds_by_reference_and_currency(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    intent = paid(simulator, client)
    for reference, amount in (("a", 300), ("b", 200), ("b", 100)):
        refunded(client, intent, amount=amount, metadata={"order_id": "ord_1", "refund_reference": reference})
    (first,) = simulator.control.refunds(order_id="ord_1", reference="a")
    simulator.control.fail_refund(first["id"])

    stats = simulator.control.stats()

    assert stats["refunds_per_reference"] == {"ord_1/a": 1, "ord_1/b": 2}
    assert stats["refunded"] == {"eur": {"count": 2, "amount": 300}}
    assert stats["refunds"] == {"failed": 1, "succeeded": 2}


def test_what_refunds_move_adds_up(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    intent = paid(simulator, client)
    kept, lost = refunded(client, intent, amount=1000), refunded(client, intent, amount=500)
    simulator.control.fail_refund(lost.id)

    moved = client.v1.balance_transactions.list({"limit": 100}).data

    assert sorted(transaction.amount for transaction in moved) == [-1000, -500, 500]
    assert [item.amount for item in client.v1.balance_transactions.list({"source": kept.id}).data] == [-1000]


def test_unknown_refunds(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as missing:
        client.v1.refunds.retrieve("re_none")
    assert missing.value.http_status == 404
    with pytest.raises(ControlError) as unknown:
        simulator.control.fail_refund("re_none")
    assert unknown.value.status == 404
    refund = refunded(client, paid(simulator, client))
    with pytest.raises(ControlError, match="reason is one of"):
        simulator.control.fail_refund(refund.id, reason="bad weather")
    with pytest.raises(ControlError, match="the refund is succeeded"):
        simulator.control.succeed_refund(refund.id)
