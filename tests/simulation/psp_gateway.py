"""ports.PaymentGateway over the simulated Stripe: one call is one request, and the way there and back can fail."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import orjson

from payonce.domain.commands import SubscriptionEnd
from payonce.ports import (
    AttachedKind,
    FailureKind,
    GatewayFailure,
    ObjectPage,
    Reading,
    Registered,
    Session,
    SessionPage,
)
from sandbox.stripe_simulator.answer import Answer
from tests.simulation.network import Network
from tests.simulation.psp import Psp
from tests.simulation.scheduler import Incarnation

_TIMEOUT_SECONDS = 15.0
_MISSING = 404
#: Of all answers, so many are lost on the best of days.
_ALWAYS_UNANSWERED = 0.05
#: Small, so that lists have more than one page.
_PAGE = 2


class SimulatedGateway:
    """Implements ports.PaymentGateway for one incarnation."""

    def __init__(self, psp: Psp, network: Network, rng: random.Random, owner: Incarnation) -> None:
        self._psp = psp
        self._network = network
        self._rng = rng
        self._owner = owner

    async def register(self, request: Mapping[str, Any], *, idempotency_key: str, api_version: str) -> Registered:
        answer = await self._request(lambda: self._psp.create_session(request, idempotency_key))
        session = session_of(orjson.loads(answer.body))
        self._psp.reveal(session.session_id)
        return Registered(session, answer.headers.get("Request-Id"), _is_replay(answer))

    async def expire(self, session_id: str, *, idempotency_key: str, api_version: str) -> Session:
        answer = await self._request(lambda: self._psp.expire_session(session_id, idempotency_key))
        return session_of(orjson.loads(answer.body))

    async def refund(self, request: Mapping[str, Any], *, idempotency_key: str, api_version: str) -> Reading:
        answer = await self._request(lambda: self._psp.create_refund(request, idempotency_key))
        return Reading(orjson.loads(answer.body), self._date())

    async def cancel_subscription(
        self,
        subscription: str,
        *,
        at: SubscriptionEnd,
        metadata: Mapping[str, str],
        idempotency_key: str,
        api_version: str,
    ) -> Reading:
        """Refuse: the simulated shop sells nothing by subscription."""
        return Reading(await self._read(lambda: self._psp.object(subscription)), self._date())

    async def session(self, session_id: str, *, api_version: str) -> Session:
        body = await self._read(lambda: self._psp.session_object(session_id))
        if body["status"] == "open":
            self._psp.reveal(session_id)
        return session_of(body)

    async def sessions_created(
        self, *, created_from: int, created_until: int, after: str | None, api_version: str
    ) -> SessionPage:
        def found() -> dict[str, Any]:
            sessions = [record.object for record in reversed(self._psp.sessions.values())]
            return {"data": [each for each in sessions if created_from <= each["created"] <= created_until]}

        everything = (await self._read(found))["data"]
        page, next_after = _page(everything, after)
        ours = [session_of(each) for each in page if "order_id" in each["metadata"]]
        for session in ours:
            self._psp.reveal(session.session_id)
        return SessionPage(ours, next_after, min((each["created"] for each in page), default=None))

    async def attached(
        self, kind: AttachedKind, payment_intent: str, *, after: str | None, api_version: str
    ) -> ObjectPage:
        known = self._psp.refunds if kind == "refund" else self._psp.disputes

        def found() -> dict[str, Any]:
            return {"data": [each for each in reversed(known.values()) if each["payment_intent"] == payment_intent]}

        page, next_after = _page((await self._read(found))["data"], after)
        return ObjectPage(page, next_after, self._date())

    async def invoice_payments(self, psp_id: str, *, api_version: str) -> ObjectPage:
        await self._read(dict)
        return ObjectPage([], None, self._date())

    async def object(self, psp_id: str, *, api_version: str) -> Reading | None:
        try:
            return Reading(await self._read(lambda: self._psp.object(psp_id)), self._date())
        except GatewayFailure as failure:
            if failure.http_status == _MISSING:
                return None
            raise

    async def canary(self, *, api_version: str) -> None:
        await self._read(dict)

    async def _read(self, look: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        body: dict[str, Any] = orjson.loads((await self._request(lambda: self._psp.read(look))).body)
        return body

    def _date(self) -> int:
        return int(self._psp.now())

    async def _request(self, effect: Callable[[], Answer]) -> Answer:
        psp, rng = self._psp, self._rng
        psp.calls.append(self._network.loop.time())
        fate = rng.random()
        if fate < psp.weather.unreachable:
            await self._network.call(self._owner, lambda: None, out=rng.uniform(0.01, _TIMEOUT_SECONDS))
            raise GatewayFailure("transient", "no answer: ConnectionError")
        answer = await self._network.call(self._owner, effect, out=rng.uniform(0.02, 0.6))
        if rng.random() < max(psp.weather.unanswered, _ALWAYS_UNANSWERED):
            await self._network.call(self._owner, lambda: None, out=rng.uniform(0.01, _TIMEOUT_SECONDS))
            raise GatewayFailure("transient", "no answer: TimeoutError")
        if answer.status >= 400:
            raise _failure(answer)
        return answer


def session_of(body: Mapping[str, Any]) -> Session:
    """Return the port's session from the API's."""
    intent = body["payment_intent"]
    return Session(
        session_id=body["id"],
        status=body["status"],
        hosted_page_url=body["url"],
        client_secret=body["client_secret"],
        expires_at=body["expires_at"],
        metadata=body["metadata"],
        created=body["created"],
        payment_status=body["payment_status"],
        payment_intent=intent["id"] if isinstance(intent, dict) else intent,
        payment_intent_status=intent["status"] if isinstance(intent, dict) else None,
    )


def _page(objects: Sequence[dict[str, Any]], after: str | None) -> tuple[Sequence[dict[str, Any]], str | None]:
    """Return the page of a list that begins after an object, and where the next one begins."""
    start = next((number + 1 for number, each in enumerate(objects) if each["id"] == after), 0)
    page = objects[start : start + _PAGE]
    return page, page[-1]["id"] if start + _PAGE < len(objects) else None


def _failure(answer: Answer) -> GatewayFailure:
    error = orjson.loads(answer.body)["error"] if answer.body else {}
    return GatewayFailure(
        _kind(answer, error),
        str(error.get("message", f"HTTP {answer.status}")),
        http_status=answer.status,
        code=error.get("code"),
        request_id=answer.headers.get("Request-Id"),
    )


def _kind(answer: Answer, error: Mapping[str, Any]) -> FailureKind:
    if error.get("type") == "idempotency_error":
        return "mismatch"
    if answer.status >= 500:
        return "replayed_failure" if _is_replay(answer) else "transient"
    kinds = {401: "configuration", 403: "configuration", 429: "rate_limited", 409: "transient"}
    return cast("FailureKind", kinds.get(answer.status, "permanent"))


def _is_replay(answer: Answer) -> bool:
    return answer.headers.get("Idempotent-Replayed") == "true"
