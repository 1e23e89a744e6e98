"""Errors as RFC 9457 problem documents that name the field and say what to change. Never an echo of the input.

400 is for what is not a readable request (broken JSON, forged signature), 422 for a readable one with wrong fields.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"
_TYPE_PREFIX = "urn:payonce:problem:"
_LONGEST_FIELD_NAME = 100
_MOST_FIELD_ERRORS = 50


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str = Field(description="Path of the field, dotted")
    detail: str


class ProblemDocument(BaseModel):
    """RFC 9457: what went wrong and what to change."""

    type: str = Field(description="Stable identifier of the kind of problem")
    title: str
    status: int
    detail: str
    errors: list[FieldError] = Field(default_factory=list)


class Problem(Exception):
    """The request is answered with this problem document."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """Return the JSON document."""
        document = ProblemDocument(
            type=_TYPE_PREFIX + self.kind,
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            errors=list(self.errors),
        )
        return document.model_dump_json().encode()

    def response(self) -> Response:
        """Return the HTTP answer."""
        return Response(self.body(), self.status, self.headers, MEDIA_TYPE)


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


def install(app: FastAPI) -> None:
    """Answer every error of the application, the framework's own included, as a problem document."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_bug)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's `responses` for these statuses."""
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


async def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _on_validation(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return Problem(400, "broken_json", "the body is not valid JSON").response()
    errors = [_field_error(item) for item in found[:_MOST_FIELD_ERRORS]]
    detail = "; ".join(f"{item.field}: {item.detail}" for item in errors[:3])
    return Problem(422, "invalid_request", detail, errors=errors).response()


async def _on_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return Problem(error.status_code, kind, str(error.detail), headers=error.headers).response()


async def _on_bug(_request: Request, _error: Exception) -> Response:
    return Problem(500, "internal_error", "this is our fault; the same request is safe to send again").response()


def _field_error(item: Mapping[str, Any]) -> FieldError:
    path = ".".join(str(part) for part in item["loc"] if part not in {"body", "query", "header", "path"}) or "body"
    printable = path.encode("ascii", "backslashreplace").decode()[:_LONGEST_FIELD_NAME]
    return FieldError(field=printable, detail=str(item["msg"]).removeprefix("Value error, "))
