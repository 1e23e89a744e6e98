"""An analytics consumer as anyone would write it: reads payments.status, keeps the newest version of each order."""

from __future__ import annotations

import json
import threading
from collections import Counter
from types import TracebackType
from typing import Any, Self

import jsonschema_rs
from confluent_kafka import Consumer, KafkaException

from payonce.catalog import SCHEMAS

_TOPIC = "payments.status"


class Analytics:
    """Sums up what was paid, from the public topic alone. Reads in a thread of its own, from the beginning."""

    def __init__(self, bootstrap_servers: str, *, log_level: int = 6) -> None:
        schema = json.loads((SCHEMAS / "messages" / "OrderStatusChanged.v1.schema.json").read_bytes())
        self._validator = jsonschema_rs.Draft202012Validator(schema)
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "demo-analytics",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "log_level": log_level,
            }
        )
        self._newest: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="analytics", daemon=True)

    def __enter__(self) -> Self:
        self._consumer.subscribe([_TOPIC])
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        self._consumer.close()

    def money(self) -> dict[str, int]:
        """Return what was received, less refunds and disputes, per currency.

        Raises what stopped the reading, if anything did.
        """
        total: Counter[str] = Counter()
        for order in self._orders():
            if left := order["amount_paid"] - order["amount_refunded"] - order["amount_disputed"]:
                total[order["currency"]] += left
        return dict(total)

    def statuses(self) -> dict[str, str]:
        """Return the status of each order as the public topic tells it."""
        return {order["order_id"]: order["payment_order_status"] for order in self._orders()}

    def _orders(self) -> list[dict[str, Any]]:
        if self._failure:
            raise self._failure
        with self._lock:
            return list(self._newest.values())

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.run_once()
        except Exception as failure:  # noqa: BLE001  (raised again to whoever asks for the sums)
            self._failure = failure

    def run_once(self) -> int:
        """Read what is there, for at most 0.2 s; return how many messages."""
        messages = self._consumer.consume(500, timeout=0.2)
        for message in messages:
            if error := message.error():
                raise KafkaException(error)
            headers = dict(message.headers() or [])
            if headers.get("ce_specversion") != b"1.0":
                raise ValueError(f"a message of {_TOPIC} is no CloudEvent: {headers}")
            self._keep(json.loads(message.value() or b""))
        return len(messages)

    def _keep(self, order: dict[str, Any]) -> None:
        self._validator.validate(order)
        with self._lock:
            known = self._newest.get(order["order_id"])
            if known is None or known["version"] < order["version"]:
                self._newest[order["order_id"]] = order
