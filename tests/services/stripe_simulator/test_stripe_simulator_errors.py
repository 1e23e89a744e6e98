"""Keys, versions, headers and error objects, as the official client sees them."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest
import stripe

from sandbox.stripe_simulator.server import SimulatorServer
from tests.services.stripe_simulator.conftest import client_of, order

DEFAULT_VERSION = "2026-10-28.endive"


def request(
    simulator: SimulatorServer, method: str, path: str, body: str | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """A request without the SDK."""
    connection = http.client.HTTPConnection(urlsplit(simulator.url).netloc, timeout=20)
    sent = {
        "Authorization": "Bearer sk_test_payonce",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    try:
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def test_another_key_is_401(simulator: SimulatorServer) -> None:
    with client_of(simulator, "sk_test_somebody_else") as stranger, pytest.raises(stripe.AuthenticationError) as caught:
        stranger.v1.events.list()

    assert caught.value.http_status == 401
    assert "somebody" not in str(caught.value)


def test_no_key_is_401(shared_simulator: SimulatorServer) -> None:
    status, _, body = request(shared_simulator, "GET", "/v1/events", Authorization="")

    assert status == 401
    assert b"did not provide an API key" in body


def test_the_version_is_echoed_and_defaults_to_the_accounts(shared_simulator: SimulatorServer) -> None:
    _, default, _ = request(shared_simulator, "GET", "/v1/events")
    _, pinned, _ = request(shared_simulator, "GET", "/v1/events", Stripe_Version="2026-09-30.endive")

    assert default["stripe-version"] == DEFAULT_VERSION
    assert pinned["stripe-version"] == "2026-09-30.endive"


def test_an_unknown_version_is_400(shared_simulator: SimulatorServer) -> None:
    status, _, body = request(shared_simulator, "GET", "/v1/events", Stripe_Version="2030-01-01.future")

    assert status == 400
    assert b"Invalid Stripe API version: 2030-01-01.future" in body


def test_every_answer_has_its_own_request_id(shared_client: stripe.StripeClient) -> None:
    first, second = (shared_client.v1.events.list().last_response for _ in range(2))
    assert first is not None
    assert second is not None

    assert str(first.request_id).startswith("req_")
    assert first.request_id != second.request_id


def test_an_error_object_has_the_real_shape(shared_client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shared_client.v1.checkout.sessions.create(order(mode=None))

    error = caught.value.error
    assert error is not None
    assert (error.type, error.code, error.param) == ("invalid_request_error", "parameter_missing", "mode")
    assert error.message == "Missing required param: mode."
    assert error.doc_url == "https://stripe.com/docs/error-codes/parameter-missing"
    assert str(error.request_log_url).endswith(str(caught.value.request_id))


@pytest.mark.parametrize("path", ["/v1/coupons", "/v1/checkout/sessions/a/b/c", "/v1/"])
def test_an_unknown_path_is_404(shared_simulator: SimulatorServer, path: str) -> None:
    status, _, body = request(shared_simulator, "GET", path)

    assert status == 404
    assert b"Unrecognized request URL" in body


def test_json_is_refused(shared_simulator: SimulatorServer) -> None:
    status, _, body = request(shared_simulator, "POST", "/v1/checkout/sessions", "{}", Content_Type="application/json")

    assert status == 400
    assert b"application/x-www-form-urlencoded" in body


@pytest.mark.parametrize(
    "body", ["a=1&a[b]=2", "a[b]=2&a=1", "a" + "[b]" * 20 + "=1", "&".join(f"k{n}=v" for n in range(3000)), "a[[=1"]
)
def test_a_malformed_form_is_400(shared_simulator: SimulatorServer, body: str) -> None:
    form = "application/x-www-form-urlencoded"
    status, _, _ = request(shared_simulator, "POST", "/v1/checkout/sessions", body, Content_Type=form)

    assert status == 400


def test_a_body_beyond_the_limit_is_413(shared_simulator: SimulatorServer) -> None:
    form = "application/x-www-form-urlencoded"
    status, _, _ = request(shared_simulator, "POST", "/v1/checkout/sessions", "a=" + "x" * 1_100_000, Content_Type=form)

    assert status == 413


def test_health(shared_simulator: SimulatorServer) -> None:
    assert request(shared_simulator, "GET", "/healthz")[2] == b"ok"
