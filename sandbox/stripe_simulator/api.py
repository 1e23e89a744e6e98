"""The HTTP side of the API: what every call goes through, in Stripe's order.

Authentication, version and rate limit come first and leave no trace; then the idempotency layer; then the operation.
A plain ASGI application without a framework, because the simulator must cost little beside what it is tested with.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sandbox.stripe_simulator import errors, forms
from sandbox.stripe_simulator.answer import Answer, Damage, encode, transmit
from sandbox.stripe_simulator.config import KNOWN_API_VERSIONS
from sandbox.stripe_simulator.events import Cause
from sandbox.stripe_simulator.faults import Fault, Rule
from sandbox.stripe_simulator.operation import Call
from sandbox.stripe_simulator.operations import find_operation

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from sandbox.stripe_simulator.operation import Operation
    from sandbox.stripe_simulator.simulator import Simulator

_BODY_BYTES_MAX = 1_000_000
_FORM_TYPE = "application/x-www-form-urlencoded"
_HTML_502 = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"
_NO_FAULT = Rule(Fault.LATENCY)
_AFTER_WORK = {Fault.RESET_AFTER_COMMIT: Damage.RESET, Fault.TRUNCATED_BODY: Damage.TRUNCATED}


@dataclass(frozen=True, slots=True)
class Request:
    """One request, read."""

    id: str
    method: str
    path: str
    query: str
    headers: dict[bytes, bytes]

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")


class Api:
    """ASGI application for everything below /v1."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(
            id=self._simulator.ids.request(),
            method=scope["method"],
            path=scope["path"].removeprefix("/v1"),
            query=scope["query_string"].decode("latin-1"),
            headers=dict(scope["headers"]),
        )
        try:
            answer = await self._answer(request, receive)
        except errors.ApiError as error:
            answer = _error_answer(error, request.id)
        await transmit(self._with_headers(answer, request), scope, send)

    async def _answer(self, request: Request, receive: Receive) -> Answer:
        simulator = self._simulator
        body = await _read_body(receive)
        simulator.clock.fire_due()
        operation, object_id = find_operation(request.method, request.path)
        simulator.limits.arrived(operation.name)
        self._authenticate(request)
        key = request.header(b"idempotency-key") if request.method == "POST" else ""
        rule = simulator.faults.draw(operation.name, key) or _NO_FAULT
        _refuse_by_fault(rule)
        simulator.limits.admit(operation.name)
        if rule.kind is Fault.RESET_BEFORE:
            return Answer(0, b"", damage=Damage.RESET)
        if rule.kind is Fault.HTML_502:
            return Answer(502, _HTML_502, content_type="text/html")
        call = Call(simulator, object_id, _form(request, body), Cause(request.id, key or None))
        if key:
            answer = await self._once(operation, call, request, key, rule)
        else:
            await self._latency(rule)
            answer = _perform(operation, call, rule, request.id)
        return replace(answer, damage=_AFTER_WORK.get(rule.kind, Damage.NONE))

    async def _once(self, operation: Operation, call: Call, request: Request, key: str, rule: Rule) -> Answer:
        """Perform the call unless its key has an answer already."""
        keys = self._simulator.keys
        kept = keys.begin(key, f"/v1{request.path}", call.form, request.id)
        if kept is not None:
            await self._latency(rule)
            return kept
        answer = None
        try:
            await self._latency(rule)
            answer = _perform(operation, call, rule, request.id)
            keys.keep(key, answer)
        finally:
            if answer is None:  # refused before its work began: the key stays free
                keys.release(key)
        return answer

    async def _latency(self, rule: Rule) -> None:
        """Take as long as is set; the key is in use meanwhile."""
        milliseconds = self._simulator.config.latency_ms + rule.latency_ms
        if milliseconds:
            await asyncio.sleep(milliseconds / 1000)

    def _authenticate(self, request: Request) -> None:
        authorization = request.header(b"authorization")
        key = authorization.removeprefix("Bearer ").strip()
        if key != self._simulator.config.secret_key:
            raise errors.unauthorized(key)
        version = request.header(b"stripe-version")
        if version and version not in KNOWN_API_VERSIONS:
            known = ", ".join(sorted(KNOWN_API_VERSIONS))
            message = f"Invalid Stripe API version: {version}. The simulator knows {known}."
            raise errors.ApiError(400, message)

    def _with_headers(self, answer: Answer, request: Request) -> Answer:
        version = request.header(b"stripe-version") or self._simulator.config.api_version
        headers = {"Stripe-Version": version, **answer.headers}
        if not answer.anonymous:
            headers["Request-Id"] = request.id
        key = request.header(b"idempotency-key")
        if key and request.method == "POST":
            headers["Idempotency-Key"] = key
        return replace(answer, headers=headers)


def _perform(operation: Operation, call: Call, rule: Rule, request_id: str) -> Answer:
    """Do the work. Raises ApiError only for what must not be kept under the key."""
    work = operation.prepare(call)
    if rule.kind in {Fault.STATUS_500_SAVED, Fault.STATUS_500_AFTER_COMMIT}:
        if rule.kind is Fault.STATUS_500_AFTER_COMMIT:
            work()
        return _error_answer(_injected_500(rule), request_id)
    try:
        return Answer(200, encode(work()))
    except errors.ApiError as error:
        if not error.executed:
            raise
        return _error_answer(error, request_id)


def _refuse_by_fault(rule: Rule) -> None:
    """Faults that strike before the idempotency layer."""
    match rule.kind:
        case Fault.UNAUTHORIZED_401:
            raise errors.unauthorized("sk_test_injected_fault")
        case Fault.RATE_LIMIT_429:
            raise errors.rate_limited("global-concurrency")
        case Fault.LOCK_TIMEOUT_429:
            raise errors.lock_timeout()
        case Fault.STATUS_500_UNSAVED:
            raise _injected_500(rule)
        case _:
            return


def _injected_500(rule: Rule) -> errors.ApiError:
    error = errors.internal_error()
    if rule.should_retry is not None:
        error.headers["Stripe-Should-Retry"] = str(rule.should_retry).lower()
    return error


def _error_answer(error: errors.ApiError, request_id: str) -> Answer:
    # Lock timeouts are documented to carry no request id.
    anonymous = error.code == "lock_timeout"
    body = encode(error.body(None if anonymous else request_id))
    return Answer(error.status, body, dict(error.headers), anonymous=anonymous)


def _form(request: Request, body: bytes) -> forms.Form:
    if request.method != "POST":
        return forms.decode(request.query)
    content_type = request.header(b"content-type")
    if body and not content_type.startswith(_FORM_TYPE):
        message = f"Invalid request (check that your POST content type is {_FORM_TYPE})."
        raise errors.ApiError(400, message)
    try:
        return forms.decode(body.decode())
    except UnicodeDecodeError as error:
        raise errors.ApiError(400, "Invalid request: the body is not UTF-8.") from error


async def _read_body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body") and len(body) <= _BODY_BYTES_MAX:
        message = await receive()
        body += message.get("body", b"")
    if len(body) > _BODY_BYTES_MAX:
        raise errors.ApiError(413, f"Invalid request: the body is longer than {_BODY_BYTES_MAX} bytes.")
    return body
