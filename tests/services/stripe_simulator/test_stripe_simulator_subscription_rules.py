"""What a session in subscription mode may ask for, and when its periods begin."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from sandbox.stripe_simulator.control_client import ControlError
from sandbox.stripe_simulator.periods import Recurring
from sandbox.stripe_simulator.server import SimulatorServer
from tests.services.stripe_simulator.billing import subscription_order, tea


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"mode": "payment"}, "subscription_data"),
        ({"payment_intent_data": {"metadata": {"a": "b"}}}, "payment_intent_data"),
        ({"line_items": [{**tea(), "quantity": 0}]}, "line_items[0][quantity]"),
        ({"line_items": [tea(), tea("week")]}, "line_items"),
        ({"line_items": [tea("month", 37)]}, "line_items[0][price_data][recurring][interval_count]"),
        ({"line_items": [tea("fortnight")]}, "line_items[0][price_data][recurring][interval]"),
        ({"subscription_data": {"trial_period_days": 0}}, "subscription_data[trial_period_days]"),
        ({"subscription_data": {"trial_end": 5}}, "subscription_data[trial_end]"),
        ({"subscription_data": {"transfer_data": {"destination": "a"}}}, "subscription_data[transfer_data]"),
        ({"payment_method_collection": "never"}, "payment_method_collection"),
        ({"line_items": [{"price_data": {**tea()["price_data"], "recurring": None}, "quantity": 1}]}, "line_items"),
    ],
    ids=str,
)
def test_wrong_parameters_are_refused_by_name(
    shared_client: stripe.StripeClient, changes: dict[str, Any], param: str
) -> None:
    parameters = subscription_order(**changes)
    for item in parameters["line_items"]:
        item["price_data"] = {name: value for name, value in item["price_data"].items() if value is not None}

    with pytest.raises(stripe.InvalidRequestError) as caught:
        shared_client.v1.checkout.sessions.create(parameters)

    assert caught.value.param == param


def test_a_delayed_debit_cannot_pay_a_subscription(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    session = client.v1.checkout.sessions.create(subscription_order())

    with pytest.raises(ControlError, match="offers card, not delayed"):
        simulator.control.pay(session.id, method="delayed")


def at(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp())  # type: ignore[misc,arg-type]  # year, month, day


@pytest.mark.parametrize(
    ("every", "cycles", "when"),
    [
        (Recurring("month", 1), 1, (2026, 2, 28)),
        (Recurring("month", 1), 2, (2026, 3, 31)),
        (Recurring("month", 3), 1, (2026, 4, 30)),
        (Recurring("year", 1), 2, (2028, 1, 31)),
        (Recurring("week", 2), 1, (2026, 2, 14)),
        (Recurring("day", 1), 366, (2027, 2, 1)),
        (Recurring("month", 1), 25, (2028, 2, 29)),
    ],
)
def test_periods_keep_the_day_of_the_month(every: Recurring, cycles: int, when: tuple[int, ...]) -> None:
    assert every.after(at(2026, 1, 31), cycles) == at(*when)


@given(
    anchor=st.integers(0, 4_000_000_000),
    every=st.builds(Recurring, st.sampled_from(["day", "week", "month", "year"]), st.integers(1, 3)),
    cycles=st.integers(0, 60),
)
def test_periods_only_grow(anchor: int, every: Recurring, cycles: int) -> None:
    assert every.after(anchor, cycles) < every.after(anchor, cycles + 1)
