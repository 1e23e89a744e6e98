"""The idempotency layer, rule by rule."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stripe

from sandbox.stripe_simulator.server import SimulatorServer
from tests.services.stripe_simulator.conftest import client_of, eventually, order

KEY: Any = {"idempotency_key": "ord_1:register:1"}


def headers_of(resource: Any) -> Any:  # Any: header access is untyped in the SDK
    return resource.last_response.headers


def sessions_made(client: stripe.StripeClient) -> int:
    return len(client.v1.checkout.sessions.list({"limit": 100}).data)


def test_the_same_key_gives_the_same_session_and_says_so(client: stripe.StripeClient) -> None:
    first = client.v1.checkout.sessions.create(order(), KEY)
    second = client.v1.checkout.sessions.create(order(), KEY)

    assert second.id == first.id
    assert "Idempotent-Replayed" not in headers_of(first)
    assert headers_of(second)["Idempotent-Replayed"] == "true"
    assert headers_of(second)["Idempotency-Key"] == KEY["idempotency_key"]
    assert headers_of(second)["Original-Request"] == headers_of(first)["Request-Id"]
    assert headers_of(second)["Request-Id"] != headers_of(first)["Request-Id"]
    assert sessions_made(client) == 1


def test_a_replay_shows_the_original_body_although_the_session_has_completed(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    first = client.v1.checkout.sessions.create(order(), KEY)
    simulator.control.pay(first.id)

    assert client.v1.checkout.sessions.create(order(), KEY).status == "open"
    assert client.v1.checkout.sessions.retrieve(first.id).status == "complete"


def test_a_replay_is_given_although_expires_at_would_now_be_refused(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    parameters = order(expires_at=int(simulator.control.stats()["now"]) + 3600)
    first = client.v1.checkout.sessions.create(parameters, KEY)
    simulator.control.advance_clock(3000)

    assert client.v1.checkout.sessions.create(parameters, KEY).id == first.id


def test_other_parameters_under_the_key_are_a_mismatch(client: stripe.StripeClient) -> None:
    client.v1.checkout.sessions.create(order(), KEY)

    with pytest.raises(stripe.IdempotencyError) as caught:
        client.v1.checkout.sessions.create(order(client_reference_id="other"), KEY)

    assert caught.value.http_status == 400
    assert caught.value.error is not None
    assert caught.value.error.type == "idempotency_error"
    assert "same parameters they were first used with" in str(caught.value)


def test_the_order_of_the_parameters_does_not_matter(client: stripe.StripeClient) -> None:
    first = client.v1.checkout.sessions.create(order(), KEY)
    turned: Any = dict(reversed(order().items()))

    assert client.v1.checkout.sessions.create(turned, KEY).id == first.id


def test_another_endpoint_under_the_key_is_a_mismatch(client: stripe.StripeClient) -> None:
    session = client.v1.checkout.sessions.create(order(), KEY)

    with pytest.raises(stripe.IdempotencyError, match="same endpoint they were first used for"):
        client.v1.checkout.sessions.expire(session.id, {}, KEY)


def test_simultaneous_use_is_409_and_not_kept(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    """The second call lands while the first is at work; the first completes, and then the key replays it."""
    simulator.control.add_fault("latency", latency_ms=2000, times=1)
    with client_of(simulator) as other, ThreadPoolExecutor(1) as threads:
        first = threads.submit(other.v1.checkout.sessions.create, order(), KEY)
        eventually(lambda: simulator.control.stats()["idempotency_keys"] == 1)

        with pytest.raises(stripe.APIError) as caught:
            client.v1.checkout.sessions.create(order(), KEY)
        session = first.result(20)

    assert caught.value.http_status == 409
    assert caught.value.error is not None
    assert caught.value.error.code == "idempotency_key_in_use"
    assert caught.value.headers is not None
    assert caught.value.headers["Stripe-Should-Retry"] == "true"
    assert client.v1.checkout.sessions.create(order(), KEY).id == session.id


@pytest.mark.parametrize("executed", [True, False])
def test_a_saved_500_is_replayed(simulator: SimulatorServer, client: stripe.StripeClient, executed: bool) -> None:
    """Whether the session came to be or not, the key answers 500 until it is pruned."""
    kind = "status_500_after_commit" if executed else "status_500_saved"
    simulator.control.add_fault(kind, times=1)

    for _ in range(3):
        with pytest.raises(stripe.APIError) as caught:
            client.v1.checkout.sessions.create(order(), KEY)
        assert caught.value.http_status == 500

    assert caught.value.headers is not None
    assert caught.value.headers["Idempotent-Replayed"] == "true"
    assert sessions_made(client) == int(executed)


@pytest.mark.parametrize(
    "fault", ["unauthorized_401", "rate_limit_429", "lock_timeout_429", "status_500_unsaved", "html_502"]
)
def test_what_happens_before_the_layer_is_not_saved(
    simulator: SimulatorServer, client: stripe.StripeClient, fault: str
) -> None:
    simulator.control.add_fault(fault, times=1)
    with pytest.raises(stripe.StripeError):
        client.v1.checkout.sessions.create(order(), KEY)

    session = client.v1.checkout.sessions.create(order(), KEY)

    assert "Idempotent-Replayed" not in headers_of(session)
    assert sessions_made(client) == 1


def test_a_refused_parameter_is_not_saved(client: stripe.StripeClient) -> None:
    """The same key may be tried again, even with other parameters."""
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.create(order(colour="red"), KEY)

    assert client.v1.checkout.sessions.create(order(), KEY).status == "open"


def test_a_refusal_after_execution_began_is_saved(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    session = client.v1.checkout.sessions.create(order())
    simulator.control.pay(session.id)

    for replayed in (None, "true"):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            client.v1.checkout.sessions.expire(session.id, {}, {"idempotency_key": "expire"})
        assert caught.value.headers is not None
        assert caught.value.headers.get("Idempotent-Replayed") == replayed


def test_a_get_ignores_the_key(client: stripe.StripeClient) -> None:
    client.v1.checkout.sessions.create(order(), KEY)

    listed = client.v1.checkout.sessions.list({}, KEY)

    assert "Idempotency-Key" not in headers_of(listed)


@pytest.mark.parametrize(("hours", "sessions"), [(23.9, 1), (24.1, 2)])
def test_a_key_of_24_hours_is_forgotten(
    simulator: SimulatorServer, client: stripe.StripeClient, hours: float, sessions: int
) -> None:
    """After that the same key is a new request: a second session."""
    client.v1.checkout.sessions.create(order(), KEY)
    simulator.control.advance_clock(hours * 3600)
    client.v1.checkout.sessions.create(order(), KEY)

    assert sessions_made(client) == sessions


def test_a_key_of_more_than_255_characters_is_refused(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.StripeError, match="255"):
        client.v1.checkout.sessions.create(order(), {"idempotency_key": "k" * 256})
