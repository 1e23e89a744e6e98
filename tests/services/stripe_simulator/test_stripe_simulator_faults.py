"""Rate limits and injected faults, as the official client meets them."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from sandbox.stripe_simulator.config import Config
from sandbox.stripe_simulator.control_client import ControlError
from sandbox.stripe_simulator.errors import ApiError
from sandbox.stripe_simulator.rate_limit import RateLimits
from sandbox.stripe_simulator.server import SimulatorServer
from tests.services.stripe_simulator.conftest import client_of, order

KEY: Any = {"idempotency_key": "ord_1:register:1"}


def admitted(limits: RateLimits, endpoint: str) -> bool:
    limits.arrived(endpoint)
    try:
        limits.admit(endpoint)
    except ApiError:
        return False
    return True


def create_until_refused(client: stripe.StripeClient) -> None:
    for _ in range(1000):
        client.v1.checkout.sessions.create(order(), KEY)


def test_one_endpoint_is_limited_in_any_second() -> None:
    now = [100.0]
    limits = RateLimits(per_endpoint=2, total=0, monotonic=lambda: now[0])
    results = []
    for moment in (100.0, 100.6, 100.9, 101.0, 101.5, 101.6):
        now[0] = moment
        results.append(admitted(limits, "events.list"))

    assert results == [True, True, False, True, False, True]
    assert admitted(limits, "charges.list")
    assert limits.refused == {"events.list": 2}
    assert limits.most_per_second()["events.list"] == 4


def test_all_endpoints_together_are_limited() -> None:
    limits = RateLimits(per_endpoint=2, total=3, monotonic=lambda: 100.0)

    assert [admitted(limits, name) for name in ("a", "a", "b", "b", "c")] == [True, True, True, False, False]


def test_a_call_over_the_limit_is_429_with_its_reason() -> None:
    with SimulatorServer(Config(rate_limit_per_endpoint=1, seed=1)) as simulator, client_of(simulator) as client:
        client.v1.checkout.sessions.create(order(), KEY)
        with pytest.raises(stripe.RateLimitError) as caught:
            create_until_refused(client)
        stats = simulator.control.stats()

    assert caught.value.headers is not None
    assert caught.value.headers["Stripe-Rate-Limited-Reason"] == "endpoint-rate"
    assert stats["rate_limited"] == {"checkout.sessions.create": 1}
    assert stats["most_calls_per_second"]["checkout.sessions.create"] >= 2
    assert stats["sessions"] == {"open": 1}


@pytest.mark.parametrize(
    "kind", ["rate_limit_429", "lock_timeout_429", "status_500_unsaved", "unauthorized_401", "html_502"]
)
def test_a_call_counts_when_it_arrives_whatever_becomes_of_it(kind: str) -> None:
    """Otherwise nobody would see who hammers on a PSP that refuses."""
    with SimulatorServer(Config(seed=1)) as simulator, client_of(simulator) as client:
        simulator.control.add_fault(kind)
        for _ in range(3):
            with pytest.raises(stripe.StripeError):
                client.v1.events.list()
        stats = simulator.control.stats()

    assert stats["calls"] == {"events.list": 3}
    assert 1 <= stats["most_calls_per_second"]["events.list"] <= 3


def test_the_limits_can_be_changed_and_the_counts_forgotten(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    client.v1.events.list()
    simulator.control.set_limits(per_endpoint=0, total=1)
    simulator.control.reset_counts()

    assert simulator.control.stats()["calls"] == {}


@pytest.mark.parametrize(
    ("fault", "error", "status"),
    [
        ("unauthorized_401", stripe.AuthenticationError, 401),
        ("rate_limit_429", stripe.RateLimitError, 429),
        ("lock_timeout_429", stripe.RateLimitError, 429),
        ("status_500_unsaved", stripe.APIError, 500),
        ("status_500_saved", stripe.APIError, 500),
        ("html_502", stripe.APIError, 502),
        ("reset_before", stripe.APIConnectionError, None),
    ],
)
def test_a_fault_without_effect(
    simulator: SimulatorServer,
    client: stripe.StripeClient,
    fault: str,
    error: type[stripe.StripeError],
    status: int | None,
) -> None:
    simulator.control.add_fault(fault, times=1)

    with pytest.raises(error) as caught:
        client.v1.checkout.sessions.create(order(), KEY)

    assert caught.value.http_status == status
    assert simulator.control.stats()["sessions"] == {}


@pytest.mark.parametrize("fault", ["reset_after_commit", "truncated_body", "status_500_after_commit"])
def test_a_fault_after_the_session_exists(simulator: SimulatorServer, client: stripe.StripeClient, fault: str) -> None:
    """The caller cannot know; the session is there, and the key leads to it unless a 500 was saved."""
    simulator.control.add_fault(fault, times=1)

    with pytest.raises(stripe.StripeError):
        client.v1.checkout.sessions.create(order(), KEY)

    (session,) = simulator.control.sessions(order_id="ord_1")
    if fault != "status_500_after_commit":
        assert client.v1.checkout.sessions.create(order(), KEY).id == session["id"]
    assert simulator.control.stats()["sessions_per_order"] == {"ord_1": 1}


def test_a_lock_timeout_has_no_reason_and_no_request_id(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    simulator.control.add_fault("lock_timeout_429", times=1)

    with pytest.raises(stripe.RateLimitError) as caught:
        client.v1.checkout.sessions.create(order(), KEY)

    assert caught.value.error is not None
    assert caught.value.error.code == "lock_timeout"
    assert caught.value.headers is not None
    assert caught.value.headers["Stripe-Should-Retry"] == "true"
    assert "Request-Id" not in caught.value.headers
    assert "Stripe-Rate-Limited-Reason" not in caught.value.headers


def test_a_rule_matches_operation_and_key_and_ends(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    simulator.control.add_fault(
        "status_500_unsaved", operation="checkout.sessions.*", idempotency_key="ord_7:", times=2, skip=1
    )
    other: Any = {"idempotency_key": "ord_7:register:1"}
    client.v1.events.list()
    client.v1.checkout.sessions.create(order(), KEY)
    client.v1.checkout.sessions.create(order(), other)

    for _ in range(2):
        with pytest.raises(stripe.APIError):
            client.v1.checkout.sessions.create(order(), other)

    assert client.v1.checkout.sessions.create(order(), other).status == "open"
    assert simulator.control.stats()["faults_injected"] == {"status_500_unsaved": 2}


def test_the_should_retry_header_of_a_500_can_be_set(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    simulator.control.add_fault("status_500_saved", times=1, should_retry=False)

    with pytest.raises(stripe.APIError) as caught:
        client.v1.checkout.sessions.create(order(), KEY)

    assert caught.value.headers is not None
    assert caught.value.headers["Stripe-Should-Retry"] == "false"


def test_rules_can_be_cleared(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    simulator.control.add_fault("html_502")
    simulator.control.clear_faults()

    assert client.v1.events.list().data == []


@pytest.mark.parametrize(
    "rule", [{"kind": "explosion"}, {"kind": "html_502", "probability": 2}, {"kind": "html_502", "hm": 1}]
)
def test_a_wrong_rule_is_refused(simulator: SimulatorServer, rule: dict[str, Any]) -> None:
    with pytest.raises(ControlError) as caught:
        simulator.control.add_fault(**rule)

    assert caught.value.status == 400
