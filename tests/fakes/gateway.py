"""The PaymentGateway port in memory: a PSP that remembers keys, can refuse, and can lose its answer on the way."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from payonce.ports import FailureKind, GatewayFailure, Registered, Session


@dataclass(frozen=True, slots=True)
class Trouble:
    """How one call goes wrong. `takes_effect`: the PSP carried it out, and the answer was lost."""

    kind: FailureKind
    takes_effect: bool = False
    http_status: int | None = None


class MemoryGateway:
    """Makes one session per key, for ever, and refuses a key with other parameters."""

    def __init__(self, latency_seconds: float = 0.0) -> None:
        self.latency_seconds = latency_seconds
        self.troubles: deque[Trouble] = deque()
        self.troubles_of: dict[str, deque[Trouble]] = {}  # by key, before the others
        self.always: Trouble | None = None
        self.calls: list[tuple[float, str]] = []
        self.sessions: dict[str, Session] = {}
        self._requests: dict[str, Mapping[str, Any]] = {}

    async def register(self, request: Mapping[str, Any], *, idempotency_key: str, api_version: str) -> Registered:
        self.calls.append((asyncio.get_running_loop().time(), idempotency_key))
        if self.latency_seconds:
            await asyncio.sleep(self.latency_seconds)
        troubles = self.troubles_of.get(idempotency_key) or self.troubles
        trouble = troubles.popleft() if troubles else self.always
        if trouble is not None and not trouble.takes_effect:
            raise _failure(trouble)
        replayed = idempotency_key in self.sessions
        session = self._session(request, idempotency_key)
        if trouble is not None:
            raise _failure(trouble)
        return Registered(session, request_id=f"req_{len(self.calls)}", replayed=replayed)

    def _session(self, request: Mapping[str, Any], key: str) -> Session:
        if self._requests.setdefault(key, request) != request:
            raise GatewayFailure("mismatch", "the key was used with other parameters", http_status=400)
        return self.sessions.setdefault(key, _new_session(request, len(self.sessions) + 1))


def _new_session(request: Mapping[str, Any], number: int) -> Session:
    status: Literal["open"] = "open"
    return Session(
        session_id=f"cs_test_{number}",
        status=status,
        hosted_page_url=f"https://pay.example/{number}",
        client_secret=None,
        expires_at=request["expires_at"],
        metadata=request["metadata"],
    )


def _failure(trouble: Trouble) -> GatewayFailure:
    statuses = {"rate_limited": 429, "permanent": 400, "mismatch": 400, "replayed_failure": 500, "configuration": 401}
    status = trouble.http_status or statuses.get(trouble.kind)
    return GatewayFailure(trouble.kind, f"a {trouble.kind} failure", http_status=status, request_id="req_x")
