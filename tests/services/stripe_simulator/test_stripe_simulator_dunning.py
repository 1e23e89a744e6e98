"""Renewals that cannot be collected: retries by the clock, recovery, and what follows the last try."""

from __future__ import annotations

import pytest
import stripe

from sandbox.stripe_simulator.control_client import ControlError
from sandbox.stripe_simulator.server import SimulatorServer
from tests.services.stripe_simulator.billing import (
    ALWAYS_ASKS,
    DAY,
    KEPT_BUT_DECLINED,
    VISA,
    event_types,
    subscribed,
    to_next_period,
)
from tests.services.stripe_simulator.conftest import Receiver

TRIAL = {"trial_period_days": 7}


def past_due(simulator: SimulatorServer, client: stripe.StripeClient) -> tuple[str, str]:
    """Let a first renewal fail; returns subscription and invoice."""
    subscription = subscribed(simulator, client)
    simulator.control.keep_card(subscription, KEPT_BUT_DECLINED)
    to_next_period(simulator, client, subscription)
    return subscription, simulator.control.invoices(subscription=subscription)[-1]["id"]


def test_a_renewal_that_fails_makes_past_due_and_says_when_it_is_tried_again(
    simulator: SimulatorServer, client: stripe.StripeClient, receiver: Receiver
) -> None:
    subscription, invoice_id = past_due(simulator, client)

    (failed,) = receiver.wait_for_type("invoice.payment_failed")
    invoice = failed.event["data"]["object"]
    assert (invoice["id"], invoice["status"], invoice["attempt_count"]) == (invoice_id, "open", 1)
    assert invoice["next_payment_attempt"] == pytest.approx(failed.event["created"] + 3 * DAY, abs=5)
    assert invoice["parent"]["subscription_details"]["metadata"]["order_id"] == "ord_1"
    assert client.v1.subscriptions.retrieve(subscription).status == "past_due"
    assert event_types(client)[-4:] == [
        "charge.failed",
        "payment_intent.payment_failed",
        "invoice.payment_failed",
        "customer.subscription.updated",
    ]


def test_a_retry_recovers_when_the_card_was_changed(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    subscription, invoice_id = past_due(simulator, client)
    simulator.control.keep_card(subscription, VISA)
    simulator.control.advance_clock(3 * DAY)

    invoice = client.v1.invoices.retrieve(invoice_id)
    assert (invoice.status, invoice.attempt_count, invoice.next_payment_attempt) == ("paid", 2, None)
    assert client.v1.subscriptions.retrieve(subscription).status == "active"
    (payment,) = client.v1.invoice_payments.list({"invoice": invoice_id}).data
    intent = str(payment.payment.payment_intent)
    assert [charge.status for charge in client.v1.charges.list({"payment_intent": intent}).data] == [
        "succeeded",
        "failed",
    ]


@pytest.mark.parametrize(
    ("after_last", "event"),
    [("canceled", "customer.subscription.deleted"), ("unpaid", "customer.subscription.updated")],
)
def test_what_follows_the_last_try_is_a_setting(
    simulator: SimulatorServer, client: stripe.StripeClient, after_last: str, event: str
) -> None:
    simulator.control.set_dunning(after_last=after_last)
    subscription, invoice_id = past_due(simulator, client)
    simulator.control.advance_clock(15 * DAY)

    assert client.v1.subscriptions.retrieve(subscription).status == after_last
    invoice = client.v1.invoices.retrieve(invoice_id)
    assert (invoice.status, invoice.attempt_count, invoice.next_payment_attempt) == ("open", 4, None)
    assert event_types(client)[-1] == event


def test_an_unpaid_subscription_makes_drafts_and_recovers_when_the_customer_pays(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    simulator.control.set_dunning(after_last="unpaid", retry_seconds=[])
    subscription, invoice_id = past_due(simulator, client)
    assert client.v1.subscriptions.retrieve(subscription).status == "unpaid"
    to_next_period(simulator, client, subscription)
    assert simulator.control.invoices(subscription=subscription)[-1]["status"] == "draft"

    simulator.control.pay_invoice(invoice_id, card=VISA)

    assert client.v1.subscriptions.retrieve(subscription).status == "active"


def test_past_due_for_ever_is_a_setting_too(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    simulator.control.set_dunning(after_last="past_due", retry_seconds=[60])
    subscription, _ = past_due(simulator, client)
    simulator.control.advance_clock(DAY)

    assert client.v1.subscriptions.retrieve(subscription).status == "past_due"


def test_the_customer_pays_on_the_invoices_page(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    subscription, invoice_id = past_due(simulator, client)
    with pytest.raises(ControlError, match="the payment failed"):
        simulator.control.pay_invoice(invoice_id)
    assert event_types(client)[-1] == "invoice.payment_failed"
    row = simulator.control.pay_invoice(invoice_id, card=VISA)

    assert (row["status"], row["attempt_count"]) == ("paid", 3)
    assert client.v1.subscriptions.retrieve(subscription).status == "active"
    simulator.control.advance_clock(20 * DAY)
    assert client.v1.invoices.retrieve(invoice_id).attempt_count == 3


def test_a_failed_try_of_the_customer_does_not_end_the_retries(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    subscription, invoice_id = past_due(simulator, client)
    with pytest.raises(ControlError, match="the payment failed"):
        simulator.control.pay_invoice(invoice_id)
    simulator.control.keep_card(subscription, VISA)
    simulator.control.advance_clock(3 * DAY)

    invoice = client.v1.invoices.retrieve(invoice_id)
    assert (invoice.status, invoice.attempt_count) == ("paid", 3)


@pytest.mark.parametrize("void", [True, False])
def test_an_invoice_that_is_given_up_is_no_longer_owed(
    simulator: SimulatorServer, client: stripe.StripeClient, void: bool
) -> None:
    subscription, invoice_id = past_due(simulator, client)
    row = simulator.control.give_up_invoice(invoice_id, void=void)

    assert row["status"] == ("void" if void else "uncollectible")
    assert ("invoice.voided" if void else "invoice.marked_uncollectible") in event_types(client)
    assert client.v1.subscriptions.retrieve(subscription).status == "active"
    simulator.control.advance_clock(20 * DAY)
    assert client.v1.invoices.retrieve(invoice_id).attempt_count == 1


def test_cancelling_ends_the_tries(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    subscription, invoice_id = past_due(simulator, client)
    client.v1.subscriptions.cancel(subscription)
    simulator.control.advance_clock(20 * DAY)

    invoice = client.v1.invoices.retrieve(invoice_id)
    assert (invoice.status, invoice.attempt_count, invoice.next_payment_attempt) == ("open", 1, None)


def test_a_card_that_can_be_kept_but_not_charged_fails_when_its_trial_ends(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    subscription = subscribed(simulator, client, card=KEPT_BUT_DECLINED, subscription_data=TRIAL)
    assert client.v1.subscriptions.retrieve(subscription).status == "trialing"
    to_next_period(simulator, client, subscription)

    assert client.v1.subscriptions.retrieve(subscription).status == "past_due"


def test_a_renewal_that_needs_the_customer_says_so(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    subscription = subscribed(simulator, client, card=ALWAYS_ASKS)
    to_next_period(simulator, client, subscription)
    assert event_types(client)[-3:] == [
        "invoice.payment_failed",
        "invoice.payment_action_required",
        "customer.subscription.updated",
    ]

    simulator.control.pay_invoice(simulator.control.invoices(status="open")[0]["id"])

    assert client.v1.subscriptions.retrieve(subscription).status == "active"


def test_a_subscriptions_payment_can_be_refunded_and_disputed(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    subscribed(simulator, client)
    intent = simulator.control.invoices()[0]["payment_intent"]
    refund = client.v1.refunds.create({"payment_intent": intent, "amount": 400})
    dispute = simulator.control.open_dispute(payment_intent=intent, inquiry=True)

    assert (refund.status, dispute["order_id"]) == ("succeeded", "")
    assert client.v1.invoices.retrieve(simulator.control.invoices()[0]["id"]).status == "paid"


@pytest.mark.parametrize("options", [{"after_last": "sulking"}, {"retry_seconds": [-1]}, {"colour": 1}], ids=str)
def test_wrong_options_are_refused(shared_simulator: SimulatorServer, options: dict[str, object]) -> None:
    with pytest.raises(ControlError) as caught:
        shared_simulator.control.set_dunning(**options)

    assert caught.value.status == 400
