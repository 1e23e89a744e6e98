"""PaymentGateway over Stripe's API: each method is one HTTP request, at most `timeout_seconds` long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from payonce.adapters.stripe.door import Answer, Door
from payonce.adapters.stripe.reading import is_missing, read_object, read_page, read_session, read_sessions
from payonce.domain.commands import SubscriptionEnd
from payonce.ports import (
    AttachedKind,
    GatewayFailure,
    ObjectPage,
    Reading,
    Registered,
    Session,
    SessionPage,
)

_SESSIONS: Final = "/v1/checkout/sessions"
_REFUNDS: Final = "/v1/refunds"
_SUBSCRIPTIONS: Final = "/v1/subscriptions"
_ATTACHED: Final[Mapping[AttachedKind, str]] = {"refund": _REFUNDS, "dispute": "/v1/disputes"}
_PAGE: Final = 100
#: Where objects are, told by the prefix of their id.
_PATHS: Final = {
    "ch_": "/v1/charges/",
    "cs_": f"{_SESSIONS}/",
    "dp_": "/v1/disputes/",
    "du_": "/v1/disputes/",
    "in_": "/v1/invoices/",
    "pi_": "/v1/payment_intents/",
    "py_": "/v1/charges/",
    "pyr_": f"{_REFUNDS}/",
    "re_": f"{_REFUNDS}/",
    "sub_": f"{_SUBSCRIPTIONS}/",
}


class StripeGateway:
    """Implements ports.PaymentGateway. Made inside the event loop that it belongs to."""

    def __init__(
        self, secret_key: str, api_base: str | None = None, timeout_seconds: float = 15, max_connections: int = 256
    ) -> None:
        self._door = Door(secret_key, api_base, timeout_seconds, max_connections)

    # -- what changes something

    async def register(self, request: Mapping[str, Any], *, idempotency_key: str, api_version: str) -> Registered:
        answer = await self._door.post(_SESSIONS, request, idempotency_key=idempotency_key, api_version=api_version)
        return Registered(read_session(answer), answer.request_id, answer.is_replay)

    async def expire(self, session_id: str, *, idempotency_key: str, api_version: str) -> Session:
        path = f"{_SESSIONS}/{_quoted(session_id)}/expire"
        return read_session(await self._door.post(path, {}, idempotency_key=idempotency_key, api_version=api_version))

    async def refund(self, request: Mapping[str, Any], *, idempotency_key: str, api_version: str) -> Reading:
        answer = await self._door.post(_REFUNDS, request, idempotency_key=idempotency_key, api_version=api_version)
        return read_object(answer, "refund")

    async def cancel_subscription(
        self,
        subscription: str,
        *,
        at: SubscriptionEnd,
        metadata: Mapping[str, str],
        idempotency_key: str,
        api_version: str,
    ) -> Reading:
        path = f"{_SUBSCRIPTIONS}/{_quoted(subscription)}"
        if at == "now":
            return read_object(await self._door.delete(path, api_version=api_version), "subscription")
        change = {"cancel_at_period_end": True, "metadata": dict(metadata)}
        answer = await self._door.post(path, change, idempotency_key=idempotency_key, api_version=api_version)
        return read_object(answer, "subscription")

    # -- what only asks

    async def session(self, session_id: str, *, api_version: str) -> Session:
        expand = {"expand": ["payment_intent"]}
        return read_session(await self.get(f"{_SESSIONS}/{_quoted(session_id)}", expand, api_version=api_version))

    async def sessions_created(
        self, *, created_from: int, created_until: int, after: str | None, api_version: str
    ) -> SessionPage:
        params: dict[str, Any] = {"created": {"gte": created_from, "lte": created_until}, "limit": _PAGE}
        if after is not None:
            params["starting_after"] = after
        return read_sessions(await self.get(_SESSIONS, params, api_version=api_version))

    async def attached(
        self, kind: AttachedKind, payment_intent: str, *, after: str | None, api_version: str
    ) -> ObjectPage:
        params: dict[str, Any] = {"payment_intent": payment_intent, "limit": _PAGE}
        if after is not None:
            params["starting_after"] = after
        return read_page(await self.get(_ATTACHED[kind], params, api_version=api_version))

    async def invoice_payments(self, psp_id: str, *, api_version: str) -> ObjectPage:
        params: dict[str, Any] = {"invoice": psp_id, "limit": _PAGE}
        if psp_id.startswith("pi_"):
            params = {"payment": {"type": "payment_intent", "payment_intent": psp_id}, "limit": _PAGE}
        return read_page(await self.get("/v1/invoice_payments", params, api_version=api_version))

    async def object(self, psp_id: str, *, api_version: str) -> Reading | None:
        path = next((path for prefix, path in _PATHS.items() if psp_id.startswith(prefix)), None)
        if path is None:
            return None
        try:
            return read_object(await self.get(path + _quoted(psp_id), {}, api_version=api_version))
        except GatewayFailure as failure:
            if is_missing(failure):
                return None
            raise

    async def canary(self, *, api_version: str) -> None:
        await self.get(_SESSIONS, {"limit": 1}, api_version=api_version)

    async def get(self, path: str, params: Mapping[str, Any], *, api_version: str) -> Answer:
        """Read `path` (ids in it already quoted): one HTTP request that changes nothing.

        Raises GatewayFailure for every answer that is not a JSON object, a body that breaks off included, and for none.
        """
        return await self._door.get(path, params, api_version=api_version)

    async def close(self) -> None:
        """Close the connections. Running calls end as transient failures."""
        await self._door.close()


def _quoted(psp_id: str) -> str:
    return quote(psp_id, safe="")
