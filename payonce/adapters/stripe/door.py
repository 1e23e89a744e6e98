"""One HTTP request to Stripe: sent once, read whole, and its failure named by what it means.

No retries, no waiting. Nothing here builds SDK objects; they cost more than the request (1-2 ms each) and hide error
codes.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, cast

import aiohttp
import stripe
from aiohttp.http_exceptions import HttpProcessingError

from payonce.ports import FailureKind, GatewayFailure

#: Without this the SDK writes a file into the home directory, and dies where there is none.
stripe.enable_telemetry = False
#: It logs every call at INFO, and bodies with payment links at DEBUG: neither belongs in a log of ours.
logging.getLogger("stripe").setLevel(logging.WARNING)

#: Refusals that are about this moment, not about the request: timeout, conflict, dependency, lock.
_TRANSIENT_4XX = frozenset({408, 409, 423, 424, 425})
_UNAUTHORISED = frozenset({401, 403})
_TOO_MANY_REQUESTS = 429
_CLIENT_ERROR = 400
_SERVER_ERROR = 500
#: What ends a request without an answer, whether it broke before the body, in it, or in its encoding.
_NO_ANSWER = (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError)


@dataclass(frozen=True, slots=True)
class Answer:
    """A success of Stripe: its bytes as they came, the same parsed, and its headers (`Date` is Stripe's clock)."""

    body: bytes
    data: Mapping[str, Any]
    headers: Mapping[str, str]
    request_id: str | None

    @property
    def is_replay(self) -> bool:
        """Whether it is the answer saved for the key at an earlier request."""
        return _is_replay(self.headers)

    @property
    def date(self) -> int:
        """Stripe's clock at the answer, unix seconds; 0 if it does not say."""
        try:
            return int(parsedate_to_datetime(_header(self.headers, "Date") or "").timestamp())
        except ValueError:
            return 0

    def unusable(self, detail: str) -> GatewayFailure:
        """Return the failure of a success that cannot be read: asking again may show it whole."""
        return GatewayFailure("transient", detail, request_id=self.request_id)


class Door:
    """The connections to Stripe. Made inside the event loop that it belongs to."""

    def __init__(self, secret_key: str, api_base: str | None, timeout_seconds: float, max_connections: int) -> None:
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

    async def get(self, path: str, params: Mapping[str, Any], *, api_version: str) -> Answer:
        """Read `path`. Raises GatewayFailure for every answer that is not a JSON object, and for none."""
        return await self._request("get", path, params, {"stripe_version": api_version})

    async def post(self, path: str, params: Mapping[str, Any], *, idempotency_key: str, api_version: str) -> Answer:
        """Post to `path`, idempotent under the key. Raises GatewayFailure as `get` does."""
        options = {"idempotency_key": idempotency_key, "stripe_version": api_version}
        return await self._request("post", path, params, options)

    async def delete(self, path: str, *, api_version: str) -> Answer:
        """Delete `path`: idempotent at Stripe without a key. Raises GatewayFailure as `get` does."""
        return await self._request("delete", path, {}, {"stripe_version": api_version})

    async def close(self) -> None:
        """Close the connections. Running requests end as transient failures."""
        await self._session.close()

    async def _request(self, method: str, path: str, params: Mapping[str, Any], options: Mapping[str, str]) -> Answer:
        if not all(value.isprintable() for value in options.values()):
            raise GatewayFailure("permanent", "no header can carry this key or version: it was not sent")
        try:
            response = await self._client.raw_request_async(method, path, **params, **options)
        except stripe.APIConnectionError as error:
            cause = type(error.__cause__ or error).__name__
            raise GatewayFailure("transient", f"no answer: {cause}") from error
        except stripe.StripeError as error:
            raise _failure(error) from error
        except AttributeError as error:  # what the SDK makes of an `error` that is not an object
            raise GatewayFailure("transient", "the answer's error is not an object") from error
        return _answer(cast("stripe.StripeResponse", response))


def _answer(response: stripe.StripeResponse) -> Answer:
    request_id = _header(response.headers, "Request-Id")
    if not isinstance(response.data, Mapping):
        detail = "the answer is not a JSON object"
        raise GatewayFailure("transient", detail, http_status=response.code, request_id=request_id)
    return Answer(response.body.encode(), response.data, response.headers, request_id)


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
