"""Stripe's API in memory, written from its documentation, and its bad days. The idempotency layer is the simulator's.

Errors are answers, as on the wire.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from sandbox.stripe_simulator.answer import Answer
from sandbox.stripe_simulator.errors import ApiError
from sandbox.stripe_simulator.idempotency import IdempotencyKeys
from tests.simulation.psp_account import Account, Json
from tests.simulation.scheduler import LoopClock, VirtualLoop

LONGEST_REFUND_SECONDS = 5000.0
_SOONEST_EXPIRY_SECONDS, _LATEST_EXPIRY_SECONDS = 30 * 60, 24 * 3600


@dataclass(slots=True)
class Weather:
    """How Stripe feels: probabilities per request while they are set."""

    unreachable: float = 0.0  # nothing arrives
    unanswered: float = 0.0  # it is carried out, and the answer is lost
    broken: float = 0.0  # a 500 that is saved for the key
    born_late: float = 0.0  # ... and the session of a saved 500 appears some time later
    limited: float = 0.0  # 429
    refused: bool = False  # 401


class Psp(Account):
    """The account behind its API. `calls` are the moments at which requests left for it."""

    def __init__(self, loop: VirtualLoop, clock: LoopClock, rng: random.Random) -> None:
        super().__init__(loop, clock, rng)
        self.weather = Weather()
        self.calls: list[float] = []
        self._keys = IdempotencyKeys(clock)  # type: ignore[arg-type]

    def create_session(self, parameters: Mapping[str, Any], key: str | None) -> Answer:
        """POST /v1/checkout/sessions, with what the weather makes of it. Errors are answers, too."""
        return self._answered(lambda: self._idempotent("/v1/checkout/sessions", parameters, key, self._create))

    def expire_session(self, session_id: str, key: str) -> Answer:
        """POST /v1/checkout/sessions/:id/expire: only an open session."""

        def execute(_parameters: Mapping[str, Any], _key: str | None) -> Answer:
            record = self._session(session_id)
            if not record.is_open:
                raise ApiError(400, f"Only Checkout Sessions with a status of open: it is {record.object['status']}")
            self._expire(record)
            return self._shown(record.object)

        return self._answered(lambda: self._idempotent(f"/expire/{session_id}", {}, key, execute))

    def create_refund(self, parameters: Mapping[str, Any], key: str) -> Answer:
        """POST /v1/refunds: at most what is left; without an amount, all of it."""

        def execute(_parameters: Mapping[str, Any], _key: str | None) -> Answer:
            intent = self.intents.get(parameters["payment_intent"])
            if intent is None or intent["status"] != "succeeded":
                raise ApiError(400, "This PaymentIntent does not have a successful charge to refund")
            if self.is_contested(intent["id"]):
                raise ApiError(400, "The charge has been charged back; cannot issue a refund", code="charge_disputed")
            left = intent["amount"] - self.refunded(intent["id"])
            amount = parameters.get("amount", left)
            if not 0 < amount <= left:
                raise ApiError(400, "Refund amount is greater than unrefunded amount", code="amount_too_large")
            if self._rng.random() < self.weather.broken and self._rng.random() < 0.5:
                return Answer(500, b"", {"Request-Id": self.new_id("req")})
            refund = self.refunds[self.refund(intent["id"], amount, dict(parameters["metadata"]))]
            self._loop.later(self._rng.uniform(0.1, LONGEST_REFUND_SECONDS), self._end_some_refund, refund["id"])
            is_broken = self._rng.random() < self.weather.broken
            return Answer(500, b"", {"Request-Id": self.new_id("req")}) if is_broken else self._shown(refund)

        return self._answered(lambda: self._idempotent("/v1/refunds", parameters, key, execute))

    def now(self) -> float:
        """Return Stripe's clock."""
        return self._clock.now()

    def read(self, look: Callable[[], Json]) -> Answer:
        """GET something."""

        def execute() -> Answer:
            self._limit()
            if self._rng.random() < self.weather.broken:
                return Answer(500, b"", {"Request-Id": self.new_id("req")})
            return self._shown(look())

        return self._answered(execute)

    def _shown(self, value: Json) -> Answer:
        body = {name: each for name, each in value.items() if not name.startswith("_")}
        return Answer(200, orjson.dumps(body), {"Request-Id": self.new_id("req")})

    def _answered(self, execute: Callable[[], Answer]) -> Answer:
        try:
            return execute()
        except ApiError as error:
            return error_answer(error)

    def _limit(self) -> None:
        if self.weather.refused:
            raise ApiError(401, "Invalid API Key provided")
        if self._rng.random() < self.weather.limited:
            raise ApiError(429, "Too many requests", code="rate_limit")

    def _idempotent(
        self,
        path: str,
        parameters: Mapping[str, Any],
        key: str | None,
        execute: Callable[[Mapping[str, Any], str | None], Answer],
    ) -> Answer:
        self._limit()
        request_id = self.new_id("req")
        if key is None:
            return execute(parameters, None)
        kept = self._keys.begin(key, path, dict(parameters), request_id)
        if kept is not None:
            if self._rng.random() < 0.1:
                raise ApiError(409, "another in-progress request uses this key", code="idempotency_key_in_use")
            return kept
        try:
            answer = execute(parameters, key)
        except ApiError:
            self._keys.release(key)
            raise
        self._keys.keep(key, answer)
        return answer

    def _create(self, parameters: Mapping[str, Any], key: str | None) -> Answer:
        now, expires_at = self._clock.now(), parameters["expires_at"]
        if "refuse me" in parameters["line_items"][0]["price_data"]["product_data"]["name"]:
            raise ApiError(400, "The request is refused", code="parameter_invalid")
        if not _SOONEST_EXPIRY_SECONDS <= expires_at - now <= _LATEST_EXPIRY_SECONDS:
            raise ApiError(400, "The expires_at timestamp must be between 30 minutes and 24 hours from now")
        if self._rng.random() < self.weather.broken:
            if self._rng.random() < self.weather.born_late:
                self._loop.later(self._rng.uniform(1.0, 7200.0), self._bear_late, parameters, key)
            return Answer(500, b"", {"Request-Id": self.new_id("req")})
        record = self._bear(parameters, key)
        return Answer(200, orjson.dumps(record.object), {"Request-Id": self.new_id("req")})

    def _bear_late(self, parameters: Mapping[str, Any], key: str | None) -> None:
        if parameters["expires_at"] > self._clock.now():
            self._bear(parameters, key).is_late_born = True


def error_answer(error: ApiError) -> Answer:
    """Return the error as what went over the wire."""
    return Answer(error.status, orjson.dumps(error.body(None)), {"Request-Id": "req_error"})
