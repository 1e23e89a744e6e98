"""The PaymentGateway port in memory: a PSP that remembers keys, can refuse, and can lose its answer on the way.

Held to the same suite as the real gateway on the Stripe simulator.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

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
from tests.fakes.clock import START
from tests.fakes.psp_objects import charge_object, intent_object, open_session, refund_object, session_object
from tests.fakes.psp_subscriptions import MemorySubscriptions, invoice_payment_object

Payment = Literal["paid", "processing", "free"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """How one call goes wrong. `takes_effect`: the PSP carried it out, and the answer was lost."""

    kind: FailureKind
    takes_effect: bool = False
    http_status: int | None = None
    code: str | None = None


class MemoryGateway:
    """Makes one session or refund per key, for ever unless `forget_keys`, and refuses a key with other parameters.

    `calls` are the posts of registrations and refunds, `asked` every call by its operation.
    """

    def __init__(self, latency_seconds: float = 0.0) -> None:
        self.latency_seconds = latency_seconds
        self.page_size = 100
        self.troubles: deque[Trouble] = deque()  # of registrations and refunds
        self.troubles_of: dict[str, deque[Trouble]] = {}  # by key, before the others
        self.troubles_in: defaultdict[str, deque[Trouble]] = defaultdict(deque)  # by operation
        self.always: Trouble | None = None  # for registrations and refunds
        self.away: Trouble | None = None  # for every call
        self.calls: list[tuple[float, str]] = []
        self.asked: list[tuple[float, str]] = []
        self.sessions: dict[str, Session] = {}  # by key
        self.intents: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}  # by key
        self.disputes: list[dict[str, Any]] = []
        self.billing = MemorySubscriptions()
        self._requests: dict[str, Mapping[str, Any]] = {}
        self._born: dict[str, int] = {}  # session ids by age

    # -- the port

    async def register(self, request: Mapping[str, Any], *, idempotency_key: str, api_version: str) -> Registered:
        trouble = await self._arrive("register", idempotency_key)
        replayed = idempotency_key in self.sessions
        self._claim(request, idempotency_key)
        session = self.sessions.get(idempotency_key) or self.bear(request, key=idempotency_key)
        _lose(trouble)
        return Registered(session, request_id=f"req_{len(self.calls)}", replayed=replayed)

    async def expire(self, session_id: str, *, idempotency_key: str, api_version: str) -> Session:
        trouble = await self._arrive("expire")
        session = self._session(session_id)
        if session.status != "open":
            raise GatewayFailure("permanent", f"the session is {session.status}", http_status=400)
        self.end(session_id)
        _lose(trouble)
        return self._session(session_id)

    async def refund(self, request: Mapping[str, Any], *, idempotency_key: str, api_version: str) -> Reading:
        trouble = await self._arrive("refund", idempotency_key)
        self._claim(request, idempotency_key)
        refund = self.refunds.get(idempotency_key) or self._pay_back(request, idempotency_key)
        _lose(trouble)
        return Reading(refund, self._date())

    async def cancel_subscription(
        self,
        subscription: str,
        *,
        at: SubscriptionEnd,
        metadata: Mapping[str, str],
        idempotency_key: str,
        api_version: str,
    ) -> Reading:
        trouble = await self._arrive("cancel_subscription")
        ended = self.billing.end(subscription, at, self._date(), metadata)
        _lose(trouble)
        return Reading(dict(ended), self._date())

    async def session(self, session_id: str, *, api_version: str) -> Session:
        trouble = await self._arrive("session")
        session = self._session(session_id)
        _lose(trouble)
        intent = self.intents.get(session.payment_intent or "")
        return replace(session, payment_intent_status=intent["status"] if intent else None)

    async def sessions_created(
        self, *, created_from: int, created_until: int, after: str | None, api_version: str
    ) -> SessionPage:
        trouble = await self._arrive("sessions_created")
        everything = sorted(self.sessions.values(), key=lambda each: self._born[each.session_id], reverse=True)
        found = [session for session in everything if created_from <= session.created <= created_until]
        start = next((i + 1 for i, each in enumerate(found) if each.session_id == after), 0)
        page = found[start : start + self.page_size]
        _lose(trouble)
        return SessionPage(
            [session for session in page if "order_id" in session.metadata],
            page[-1].session_id if len(found) > start + self.page_size else None,
            min((session.created for session in page), default=None),
        )

    async def attached(
        self, kind: AttachedKind, payment_intent: str, *, after: str | None, api_version: str
    ) -> ObjectPage:
        trouble = await self._arrive(f"{kind}s")
        everything = list(self.refunds.values()) if kind == "refund" else self.disputes
        found = [each for each in reversed(everything) if each["payment_intent"] == payment_intent]
        start = next((i + 1 for i, each in enumerate(found) if each["id"] == after), 0)
        page = found[start : start + self.page_size]
        _lose(trouble)
        return ObjectPage(page, page[-1]["id"] if len(found) > start + self.page_size else None, self._date())

    async def invoice_payments(self, psp_id: str, *, api_version: str) -> ObjectPage:
        _lose(await self._arrive("invoice_payments"))
        links = [invoice_payment_object(intent) for intent in self.intents.values() if intent.get("invoice")]
        found = [each for each in links if psp_id in {each["invoice"], each["payment"]["payment_intent"]}]
        return ObjectPage(found, None, self._date())

    async def object(self, psp_id: str, *, api_version: str) -> Reading | None:
        _lose(await self._arrive("object"))
        known: dict[str, Mapping[str, Any]] = {
            **{each.session_id: self._shown(each, key) for key, each in self.sessions.items()},
            **self.intents,
            **{intent["latest_charge"]: charge_object(intent) for intent in self.intents.values()},
            **{each["id"]: each for each in (*self.refunds.values(), *self.disputes)},
            **self.billing.invoices,
            **self.billing.subscriptions,
        }
        found = known.get(psp_id)
        return None if found is None else Reading(found, self._date())

    async def canary(self, *, api_version: str) -> None:
        _lose(await self._arrive("canary"))

    # -- what happens at the PSP

    def bear(self, request: Mapping[str, Any], *, key: str | None = None) -> Session:
        """Make a session; without a key one that nobody's call has been answered with."""
        number = len(self.sessions) + 1
        session = open_session(number, request, created=self._date())
        self.sessions[key or f"late {number}"] = session
        self._requests.setdefault(key or f"late {number}", request)
        self._born[session.session_id] = number
        return session

    def pay(self, session_id: str, how: Payment = "paid") -> str | None:
        """Let a customer pay an open session; return its PaymentIntent."""
        session, key = self._session(session_id), self._key(session_id)
        assert session.status == "open", "a page that is closed takes no money"
        changed = replace(session, status="complete", hosted_page_url=None)
        if self._requests[key].get("mode") == "subscription":
            return self._subscribe(changed, key)
        if how == "free":
            self.sessions[key] = replace(changed, payment_status="no_payment_required")
            return None
        intent = f"pi_{session_id}"
        self.sessions[key] = replace(
            changed, payment_status="paid" if how == "paid" else "unpaid", payment_intent=intent
        )
        self.intents[intent] = intent_object(session, self._requests[key], is_paid=how == "paid")
        return intent

    def renew(self, subscription: str) -> str:
        """Let a subscription's next invoice be paid; return the invoice's id."""
        number = len(self.billing.invoices) + 1
        intent = self.billing.renew(subscription, number)
        assert intent is not None
        self.intents[intent["id"]] = intent
        return str(intent["invoice"])

    def fail_payment(self, session_id: str) -> None:
        """Let a delayed payment fail."""
        self.intents[f"pi_{session_id}"]["status"] = "requires_payment_method"

    def end(self, session_id: str) -> None:
        """Let an open session expire."""
        key = self._key(session_id)
        self.sessions[key] = replace(self.sessions[key], status="expired", hosted_page_url=None)

    def forget_keys(self) -> None:
        """Forget every key, as after a day: the same one makes a new session or refund."""
        self.sessions = {f"forgotten {key}": session for key, session in self.sessions.items()}
        self.refunds = {f"forgotten {key}": refund for key, refund in self.refunds.items()}
        self._requests = {f"forgotten {key}": request for key, request in self._requests.items()}

    def open_sessions(self) -> list[Session]:
        """Return the sessions that can be paid now."""
        return [session for session in self.sessions.values() if session.status == "open"]

    # -- inside

    def _subscribe(self, session: Session, key: str) -> str | None:
        intent = self.billing.begin(session, self._requests[key], self._date())
        self.sessions[key] = replace(session, payment_status="paid" if intent else "no_payment_required")
        if intent is None:
            return None
        self.intents[intent["id"]] = intent
        return str(intent["id"])

    def _shown(self, session: Session, key: str) -> dict[str, Any]:
        billed = self.billing.of_session.get(session.session_id, {})
        return session_object(session, self._requests[key]) | billed

    def _pay_back(self, request: Mapping[str, Any], key: str) -> dict[str, Any]:
        intent = self.intents.get(request["payment_intent"])
        if intent is None or intent["status"] != "succeeded":
            raise GatewayFailure("permanent", "no successful charge to refund", http_status=400)
        returned = [each for each in self.refunds.values() if each["payment_intent"] == intent["id"]]
        left = intent["amount"] - sum(each["amount"] for each in returned if each["status"] != "failed")
        amount = request.get("amount", left)
        if left == 0:
            raise GatewayFailure("permanent", "already refunded", http_status=400, code="charge_already_refunded")
        if amount > left:
            raise GatewayFailure("permanent", "greater than unrefunded amount on charge", http_status=400)
        refund = self.refunds[key] = refund_object(len(self.refunds) + 1, intent, amount, request["metadata"])
        return refund

    async def _arrive(self, operation: str, key: str | None = None) -> Trouble | None:
        """Take a call; raise the trouble that it meets before it has any effect, return one that loses the answer."""
        now = asyncio.get_running_loop().time()
        self.asked.append((now, operation))
        if key is not None:
            self.calls.append((now, key))
        if self.latency_seconds:
            await asyncio.sleep(self.latency_seconds)
        trouble = self.away or self._trouble(operation, key)
        if trouble is not None and not trouble.takes_effect:
            raise _failure(trouble)
        return trouble

    def _trouble(self, operation: str, key: str | None) -> Trouble | None:
        if waiting := self.troubles_in[operation]:
            return waiting.popleft()
        if key is None:
            return None
        troubles = self.troubles_of.get(key) or self.troubles
        return troubles.popleft() if troubles else self.always

    def _claim(self, request: Mapping[str, Any], key: str) -> None:
        if self._requests.setdefault(key, request) != request:
            raise GatewayFailure("mismatch", "the key was used with other parameters", http_status=400)

    def _session(self, session_id: str) -> Session:
        return self.sessions[self._key(session_id)]

    def _key(self, session_id: str) -> str:
        for key, session in self.sessions.items():
            if session.session_id == session_id:
                return key
        raise GatewayFailure("permanent", "no such session", http_status=404, code="resource_missing")

    def _date(self) -> int:
        return int(START + asyncio.get_running_loop().time())


def _lose(trouble: Trouble | None) -> None:
    """Lose the answer, if the trouble is of that kind."""
    if trouble is not None:
        raise _failure(trouble)


def _failure(trouble: Trouble) -> GatewayFailure:
    statuses = {"rate_limited": 429, "permanent": 400, "mismatch": 400, "replayed_failure": 500, "configuration": 401}
    status = trouble.http_status or statuses.get(trouble.kind)
    return GatewayFailure(
        trouble.kind, f"a {trouble.kind} failure", http_status=status, code=trouble.code, request_id="req_x"
    )
