"""What the checkout API refuses, or cannot do now, in more than one place; how a refusal looks is not its matter."""

from __future__ import annotations

import math

from payonce.problem_documents import FieldError, Problem


def wrong_field(field: str, detail: str, kind: str = "invalid_request") -> Problem:
    """Return the problem of one field."""
    return Problem(422, kind, f"{field} {detail}", errors=(FieldError(field=field, detail=detail),))


def unavailable(what: str, retry_after_seconds: int = 2) -> Problem:
    """Return the problem of a part that is away; the same request is safe to send again."""
    detail = f"{what} does not answer at the moment; send the same request again, it will not be carried out twice"
    return Problem(503, "temporarily_unavailable", detail, headers={"Retry-After": str(retry_after_seconds)})


def too_many_requests(seconds: float) -> Problem:
    """Return the problem of a client above its rate."""
    wait = str(max(1, math.ceil(seconds)))
    return Problem(429, "rate_limited", "more requests per second than agreed", headers={"Retry-After": wait})
