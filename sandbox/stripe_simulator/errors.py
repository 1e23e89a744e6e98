"""Stripe's error objects: one exception that carries status, body and headers, and the errors that have a name."""

from __future__ import annotations

from typing import Any

_DOCUMENTATION = "https://stripe.com/docs/error-codes/"


class ApiError(Exception):
    """A request that Stripe answers with an error object. It is not a failure of the simulator."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
        executed: bool = False,
    ) -> None:
        """Set `executed` when the endpoint had begun its work: the idempotency layer keeps this answer."""
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.headers = headers or {}
        self.executed = executed

    def body(self, request_id: str | None) -> dict[str, Any]:  # Any: JSON
        error: dict[str, Any] = {"message": str(self), "type": self.kind}
        if self.code:
            error["code"] = self.code
            error["doc_url"] = _DOCUMENTATION + self.code.replace("_", "-")
        if self.param:
            error["param"] = self.param
        if request_id:
            error["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{request_id}"
        return {"error": error}


def missing_parameter(param: str) -> ApiError:
    """Refuse a call that lacks a required parameter."""
    return ApiError(400, f"Missing required param: {param}.", code="parameter_missing", param=param)


def unknown_parameters(params: list[str]) -> ApiError:
    """Refuse parameters that the operation does not have."""
    plural = "s" if len(params) > 1 else ""
    message = f"Received unknown parameter{plural}: {', '.join(params)}"
    return ApiError(400, message, code="parameter_unknown", param=params[0])


def invalid_parameter(param: str, message: str, code: str | None = None) -> ApiError:
    """Refuse a parameter's value."""
    return ApiError(400, message, code=code, param=param)


def not_simulated(what: str, param: str | None = None) -> ApiError:
    """Refuse what Stripe would accept: the double says so instead of pretending."""
    return ApiError(400, f"The Stripe simulator does not simulate {what}.", code="not_simulated", param=param)


def missing_resource(kind: str, object_id: str, param: str = "id") -> ApiError:
    """Say that there is no such object."""
    message = f"No such {kind}: '{object_id}'"
    return ApiError(404, message, code="resource_missing", param=param, executed=True)


def no_such_reference(kind: str, object_id: str) -> ApiError:
    """Say that an object named in a parameter does not exist: a 400, because the URL itself is right."""
    message = f"No such {kind}: '{object_id}'"
    return ApiError(400, message, code="resource_missing", param=kind, executed=True)


def unauthorized(key: str | None) -> ApiError:
    """Refuse a key, which is shown masked."""
    if not key:
        message = "You did not provide an API key. Use Authorization: Bearer YOUR_SECRET_KEY."
    else:
        message = f"Invalid API Key provided: {key[:7]}{'*' * 8}{key[-4:] if len(key) > 15 else ''}"  # noqa: PLR2004 - enough to recognise it
    return ApiError(401, message)


def rate_limited(reason: str) -> ApiError:
    """Refuse a call over a limit; the reason goes in a header."""
    message = (
        "Request rate limit exceeded. You can learn more about rate limits here https://stripe.com/docs/rate-limits."
    )
    return ApiError(429, message, code="rate_limit", headers={"Stripe-Rate-Limited-Reason": reason})


def lock_timeout() -> ApiError:
    """Refuse a call because its object is being worked on."""
    message = (
        "This object cannot be accessed right now because another API request or Stripe process is currently "
        "accessing it. If you see this error intermittently, retry the request."
    )
    return ApiError(429, message, code="lock_timeout", headers={"Stripe-Should-Retry": "true"})


def internal_error() -> ApiError:
    """Fail as Stripe itself sometimes does."""
    return ApiError(500, "An unknown error occurred", kind="api_error")
