"""The one door to Stripe: registrations out, signatures in. Only this file imports the SDK.

It says what an answer *means* (`GatewayFailure.kind`) and never what to do about it: no retries, no waiting. Nothing
here builds SDK objects; they cost more than the request (1-2 ms each) and hide error codes.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import aiohttp
import stripe
from aiohttp.http_exceptions import HttpProcessingError

from payonce.ports import FailureKind, GatewayFailure, Registered, Session

#: Without this the SDK writes a file into the home directory, and dies where there is none.
stripe.enable_telemetry = False
#: It logs every call at INFO, and bodies with payment links at DEBUG: neither belongs in a log of ours.
logging.getLogger("stripe").setLevel(logging.WARNING)

_SESSIONS = "/v1/checkout/sessions"
_SESSION_STATUSES = ("open", "complete", "expired")
#: Refusals that are about this moment, not about the request: timeout, conflict, dependency, lock.
_TRANSIENT_4XX = frozenset({408, 409, 423, 424, 425})
_UNAUTHORISED = frozenset({401, 403})
_TOO_MANY_REQUESTS = 429
_CLIENT_ERROR = 400
_SERVER_ERROR = 500
#: What ends a request without an answer, whether it broke before the body, in it, or in its encoding.
_NO_ANSWER = (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError)


class BadSignature(Exception):
    """The webhook is not Stripe's, was changed on the way, or is too old or too new: answer 400, write nothing."""


def verify_signature(payload: bytes, header: str, secrets: Sequence[str], tolerance_seconds: int = 300) -> None:
    """Return if one of the secrets signed exactly these bytes within the tolerance, before or after now; else raise.

    Raises BadSignature for every malformed input, never anything else. Several secrets allow rotation.
    """
    for secret in secrets:
        try:
            stripe.WebhookSignature.verify_header(payload, header, secret, tolerance_seconds)
        except (stripe.SignatureVerificationError, ValueError, TypeError, AttributeError):
            continue
        _refuse_outside(tolerance_seconds, header)
        return
    raise BadSignature("no live secret signed this body within the tolerance")


def _refuse_outside(tolerance_seconds: int, header: str) -> None:
    # The SDK refuses old timestamps only, and none at all with a tolerance of 0.
    signed_at = next(int(item[2:]) for item in header.split(",") if item.startswith("t="))
    if abs(int(time.time()) - signed_at) > tolerance_seconds:
        raise BadSignature(f"signed at {signed_at}, more than {tolerance_seconds} s from now")


@dataclass(frozen=True, slots=True)
class Answer:
    """A success of Stripe: its bytes as they came, the same parsed, and its headers (`Date` is Stripe's clock)."""

    body: bytes
    data: Mapping[str, Any]
    headers: Mapping[str, str]
    request_id: str | None


class StripeGateway:
    """PaymentGateway over Stripe's Checkout Sessions. Made inside the event loop that it belongs to."""

    def __init__(
        self, secret_key: str, api_base: str | None = None, timeout_seconds: float = 15, max_connections: int = 256
    ) -> None:
        # aiohttp's own limit of 100 would make calls wait here, after the pacer has let them go.
        trusted = ssl.create_default_context(cafile=stripe.ca_bundle_path)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=max_connections, ssl=trusted),
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        )
        self._client = stripe.StripeClient(
            secret_key,
            http_client=_WholeAnswers(self._session),
            max_network_retries=0,
            base_addresses={"api": api_base.rstrip("/")} if api_base else {},
        )

    async def register(self, request: Mapping[str, Any], *, idempotency_key: str, api_version: str) -> Registered:
        """Create a Checkout Session: one HTTP request, at most `timeout_seconds` long. Idempotent under its key.

        Raises GatewayFailure for every answer that is not a session, and for none.
        """
        answer = await self._post(_SESSIONS, request, idempotency_key=idempotency_key, api_version=api_version)
        return Registered(
            session=_session(answer),
            request_id=_header(answer.headers, "Request-Id"),
            replayed=_is_replay(answer.headers),
        )

    async def get(self, path: str, params: Mapping[str, Any], *, api_version: str) -> Answer:
        """Read `path` (ids in it already quoted): one HTTP request, at most `timeout_seconds` long. Changes nothing.

        Raises GatewayFailure for every answer that is not a JSON object, a body that breaks off included, and for none.
        """
        answer = await self._request("get", path, params, {"stripe_version": api_version})
        request_id = _header(answer.headers, "Request-Id")
        if not isinstance(answer.data, Mapping):
            detail = "the answer is not a JSON object"
            raise GatewayFailure("transient", detail, http_status=answer.code, request_id=request_id)
        return Answer(answer.body.encode(), answer.data, answer.headers, request_id)

    async def close(self) -> None:
        """Close the connections. Running calls end as transient failures."""
        await self._session.close()

    async def _post(
        self, path: str, request: Mapping[str, Any], *, idempotency_key: str, api_version: str
    ) -> stripe.StripeResponse:
        options = {"idempotency_key": idempotency_key, "stripe_version": api_version}
        return await self._request("post", path, request, options)

    async def _request(
        self, method: str, path: str, params: Mapping[str, Any], options: Mapping[str, str]
    ) -> stripe.StripeResponse:
        try:
            answer = await self._client.raw_request_async(method, path, **params, **options)
            return cast("stripe.StripeResponse", answer)
        except stripe.APIConnectionError as error:
            cause = type(error.__cause__ or error).__name__
            raise GatewayFailure("transient", f"no answer: {cause}") from error
        except stripe.StripeError as error:
            raise _failure(error) from error
        except AttributeError as error:  # what the SDK makes of an `error` that is not an object
            raise GatewayFailure("transient", "the answer's error is not an object") from error


class _WholeAnswers(stripe.AIOHTTPClient):
    """Reads the body inside the request: the SDK's own client lets a body that breaks off escape its wrapper."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        super().__init__(session=session)
        self._requests = session

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: str | None = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        try:
            # A redirected POST would arrive as a GET: whoever redirects is not the PSP.
            async with self._requests.request(
                method, url, headers=headers, data=post_data, allow_redirects=False
            ) as response:
                return await response.read(), response.status, response.headers
        except _NO_ANSWER as error:
            raise stripe.APIConnectionError(type(error).__name__) from error  # type: ignore[no-untyped-call]


def _failure(error: stripe.StripeError) -> GatewayFailure:
    # `e.code` is None on several classes; the error object in the body has it.
    body = error.error
    return GatewayFailure(
        _kind(error),
        str(getattr(body, "message", None) or f"HTTP {error.http_status} without an error object"),
        http_status=error.http_status,
        code=getattr(body, "code", None),
        request_id=_header(_headers(error), "Request-Id"),
    )


def _kind(error: stripe.StripeError) -> FailureKind:
    status = error.http_status or 0
    if getattr(error.error, "type", None) == "idempotency_error":
        return "mismatch"
    if status in _UNAUTHORISED or isinstance(error, stripe.AuthenticationError):
        return "configuration"
    if status == _TOO_MANY_REQUESTS:
        return "rate_limited"
    if status >= _SERVER_ERROR:
        return "replayed_failure" if _is_replay(_headers(error)) else "transient"
    # A refusal counts only in Stripe's own words: an HTML 404 is some proxy's, and proves nothing.
    is_refusal = _CLIENT_ERROR <= status < _SERVER_ERROR and status not in _TRANSIENT_4XX and error.error is not None
    return "permanent" if is_refusal else "transient"


def _headers(error: stripe.StripeError) -> Mapping[str, str]:
    # Where the body is not JSON, the SDK passes the headers in the place of the parsed body.
    if error.headers:
        return cast("Mapping[str, str]", error.headers)
    body: object = error.json_body
    return body if isinstance(body, Mapping) and "error" not in body else {}


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return next((value for key, value in headers.items() if key.lower() == name.lower()), None)


def _is_replay(headers: Mapping[str, str]) -> bool:
    return (_header(headers, "Idempotent-Replayed") or "").lower() == "true"


def _session(answer: stripe.StripeResponse) -> Session:
    data: object = answer.data
    if not isinstance(data, Mapping) or data.get("object") != "checkout.session":
        raise _not_a_session(answer)
    match data:
        case {"id": str() as session_id, "status": str() as status, "expires_at": int() as expires_at}:
            if status not in _SESSION_STATUSES:
                raise _not_a_session(answer)
        case _:
            raise _not_a_session(answer)
    return Session(
        session_id=session_id,
        status=cast("Literal['open', 'complete', 'expired']", status),
        hosted_page_url=data.get("url"),
        client_secret=data.get("client_secret"),
        expires_at=expires_at,
        metadata=dict(data.get("metadata") or {}),
    )


def _not_a_session(answer: stripe.StripeResponse) -> GatewayFailure:
    # A success that we cannot read may have made a session: the same key will show it again.
    return GatewayFailure(
        "transient",
        "the answer is not a Checkout Session",
        http_status=answer.code,
        request_id=_header(answer.headers, "Request-Id"),
    )
