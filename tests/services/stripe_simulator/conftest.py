"""A running simulator, the official client, and an endpoint that receives its webhooks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe

from sandbox.stripe_simulator.config import Config
from sandbox.stripe_simulator.server import SimulatorServer

SECRET = "whsec_test_one"
stripe.enable_telemetry = False


@dataclass(frozen=True)
class Received:
    """One webhook as it arrived."""

    body: bytes
    signature: str
    event: dict[str, Any]


@dataclass
class Receiver:
    """An endpoint that answers with the statuses it was given, then with 200; `gate` holds its answers back."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    gate: threading.Event = field(default_factory=threading.Event)

    def wait(self, condition: Callable[[list[Received]], bool], seconds: float = 20) -> list[Received]:
        with self.changed:
            arrived: bool = self.changed.wait_for(lambda: condition(self.received), seconds)
            assert arrived, f"received only {[item.event['type'] for item in self.received]}"
            return list(self.received)

    def wait_for_type(self, event_type: str, count: int = 1) -> list[Received]:
        def enough(received: list[Received]) -> bool:
            return len([item for item in received if item.event["type"] == event_type]) >= count

        return [item for item in self.wait(enough) if item.event["type"] == event_type]


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    import json

    receiver = Receiver()
    receiver.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with receiver.changed:
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                receiver.received.append(Received(body, self.headers["Stripe-Signature"], json.loads(body)))
                receiver.changed.notify_all()
            receiver.gate.wait(20)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/webhooks"
    try:
        yield receiver
    finally:
        receiver.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def client_of(simulator: SimulatorServer, key: str = "sk_test_payonce") -> Iterator[stripe.StripeClient]:
    http_client = stripe.RequestsClient(timeout=20)
    try:
        yield stripe.StripeClient(
            key, base_addresses={"api": simulator.url}, http_client=http_client, max_network_retries=0
        )
    finally:
        http_client.close()  # type: ignore[no-untyped-call]  # the SDK's


def eventually(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Ask until the condition holds; fails at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        threading.Event().wait(0.005)


# Limits off: the tests of limits set their own.
CONFIG = Config(rate_limit_per_endpoint=0, rate_limit_total=0, webhook_backoff_seconds=0.05, seed=7)


@pytest.fixture(name="simulator")
def _simulator() -> Iterator[SimulatorServer]:
    with SimulatorServer(CONFIG) as simulator:
        yield simulator


@pytest.fixture(name="client")
def _client(simulator: SimulatorServer) -> Iterator[stripe.StripeClient]:
    with client_of(simulator) as client:
        yield client


@pytest.fixture(name="shared_simulator", scope="module")
def _shared_simulator() -> Iterator[SimulatorServer]:
    """One simulator for the tests of a module that do not mind each other's objects."""
    with SimulatorServer(CONFIG) as simulator:
        yield simulator


@pytest.fixture(name="shared_client", scope="module")
def _shared_client(shared_simulator: SimulatorServer) -> Iterator[stripe.StripeClient]:
    with client_of(shared_simulator) as client:
        yield client


@pytest.fixture(name="receiver")
def _receiver(simulator: SimulatorServer) -> Iterator[Receiver]:
    """The endpoint of `simulator`."""
    with running_receiver() as receiver:
        simulator.control.set_webhooks(url=receiver.url, secrets=[SECRET])
        yield receiver
        simulator.control.set_webhooks(url=None)


def order(**changes: Any) -> Any:  # Any: the SDK's parameters are typed dictionaries
    """Parameters of a session as the worker sends them."""
    parameters = {
        "mode": "payment",
        "client_reference_id": "ord_1",
        "metadata": {"order_id": "ord_1", "attempt": "1"},
        "line_items": [
            {
                "price_data": {"currency": "eur", "unit_amount": 1250, "product_data": {"name": "Green tea"}},
                "quantity": 2,
            }
        ],
        "success_url": "http://127.0.0.1:9/ok?sid={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://127.0.0.1:9/back",
        "payment_intent_data": {"metadata": {"order_id": "ord_1"}},
        **changes,
    }
    return {name: value for name, value in parameters.items() if value is not None}
