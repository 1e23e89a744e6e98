"""The OpenAPI document says what is true, and no request that it allows (or forbids) makes an internal error."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from services.checkout_api.app import create_api
from services.checkout_api.examples import REQUESTS
from services.checkout_api.payloads import PaymentOrder
from tests.fakes.checkout_api import SHOP_KEY, World, row

WORLD = World()
WORLD.orders.put(row("paid"))
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", WORLD.app)


@SCHEMA.parametrize()  # type: ignore[untyped-decorator]  # schemathesis is not followed by mypy
@settings(
    max_examples=40,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_request_makes_an_internal_error(case: schemathesis.Case) -> None:
    checks: list[Any] = [schemathesis.checks.not_a_server_error, status_code_conformance, response_schema_conformance]

    case.call_and_validate(headers={"Authorization": f"Bearer {SHOP_KEY}"}, checks=checks)


def test_every_route_of_the_design_is_documented() -> None:
    document = create_api(WORLD.dependencies).openapi()

    assert set(document["paths"]) == {
        "/v1/payment-orders",
        "/v1/payment-orders/{order_id}",
        "/v1/payment-orders/{order_id}/attempts",
        "/v1/payment-orders/{order_id}/cancel",
        "/v1/payment-orders/{order_id}/refunds",
        "/v1/payment-orders/{order_id}/subscription/cancel",
        "/v1/payment-orders/{order_id}/timeline",
        "/v1/payment-orders/{order_id}/events",
        "/checkout/{order_id}",
        "/return/{order_id}",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    assert "HTTPValidationError" not in document["components"]["schemas"]


@pytest.mark.parametrize("posted", REQUESTS, ids=lambda each: f"{each['payment_type']}-{each['payment_method']}")
async def test_every_example_of_an_order_is_accepted_as_it_is_shown(posted: dict[str, Any]) -> None:
    answer = await World().post(**{"description": None, "recurring": None, **posted})

    assert answer.status_code == 202, answer.text
    assert answer.json()["reference"] == posted["reference"]


def test_every_example_of_an_answer_is_one() -> None:
    """Each names a page or a secret, never both, and is shown with both calls that answer so."""
    document = create_api(WORLD.dependencies).openapi()
    shown = {
        path: document["paths"][path]["post"]["responses"]["201"]["content"]["application/json"]
        for path in ("/v1/payment-orders", "/v1/payment-orders/{order_id}/attempts")
    }
    examples = [each["value"] for part in shown.values() for each in part["examples"].values()]

    assert len(examples) == 8
    for example in examples:
        order = PaymentOrder.model_validate(example)
        assert (order.client_secret is None) == (order.payment_method == "APM") == (order.hosted_page_url is not None)
        assert (order.recurring is None) == (order.payment_type == "SALE")
    assert {part["schema"]["$ref"].rpartition("/")[2] for part in shown.values()} == {"PaymentOrder"}


async def test_the_documentation_is_served() -> None:
    assert (await WORLD.get("/docs", key=None)).status_code == 200
    assert (await WORLD.get("/openapi.json", key=None)).json()["info"]["title"] == "payonce checkout API"


async def test_alive_ready_and_measured() -> None:
    world = World()
    await world.post()

    alive, ready, metrics = [await world.get(path, key=None) for path in ("/healthz", "/readyz", "/metrics")]

    assert alive.status_code == ready.status_code == 200
    assert 'payonce_http_requests_total{method="POST",route="/v1/payment-orders",status="202"}' in metrics.text


async def test_ready_means_able_to_publish_whatever_postgresql_does() -> None:
    world = World()
    world.orders.healthy = False
    with_log = await world.get("/readyz", key=None)
    world.producer.state = "refusing"
    without_log = await world.get("/readyz", key=None)

    assert with_log.status_code == 200
    assert with_log.json()["orders"] == "away"
    assert without_log.status_code == 503
