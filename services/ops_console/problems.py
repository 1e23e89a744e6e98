"""Errors as RFC 9457 problem documents that name the field and say what to change. Never an echo of the input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from payonce.ports import StoreRejected, StoreUnavailable
from services.ops_console.refusals import Refused

MEDIA_TYPE = "application/problem+json"
_TYPE_PREFIX = "urn:payonce:problem:"
_MOST_FIELD_ERRORS = 50
_LONGEST_FIELD_NAME = 100


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


def problem(
    status: int,
    kind: str,
    detail: str,
    *,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the HTTP answer."""
    title = HTTPStatus(status).phrase
    document = ProblemDocument(type=_TYPE_PREFIX + kind, title=title, status=status, detail=detail, errors=list(errors))
    return Response(document.model_dump_json(), status, dict(headers or {}), MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's `responses` for these statuses."""
    return {
        status: {"model": ProblemDocument, "description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {}}}
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Answer every error of the application, the framework's own included, as a problem document."""
    app.add_exception_handler(Refused, _on_refused)
    app.add_exception_handler(StoreUnavailable, _on_store_away)
    app.add_exception_handler(StoreRejected, _on_store_rejected)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_bug)


async def _on_refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    errors = [FieldError(field=error.field, detail=error.detail)] if error.field else []
    return problem(error.status, error.kind, error.detail, errors=errors)


async def _on_store_away(_request: Request, _error: Exception) -> Response:
    detail = "the database does not answer at the moment; nothing was written, send the same request again"
    return problem(503, "temporarily_unavailable", detail, headers={"Retry-After": "2"})


async def _on_store_rejected(_request: Request, _error: Exception) -> Response:
    return problem(422, "not_storable", "the database cannot store this text")


async def _on_validation(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return problem(400, "broken_json", "the body is not valid JSON")
    errors = [_field_error(item) for item in found[:_MOST_FIELD_ERRORS]]
    detail = "; ".join(f"{item.field}: {item.detail}" for item in errors[:3])
    return problem(422, "invalid_request", detail, errors=errors)


async def _on_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return problem(error.status_code, kind, str(error.detail), headers=error.headers)


async def _on_bug(_request: Request, _error: Exception) -> Response:
    return problem(500, "internal_error", "this is our fault; look at the letter again before you repeat it")


def _field_error(item: Mapping[str, Any]) -> FieldError:
    path = ".".join(str(part) for part in item["loc"] if part not in {"body", "query", "header", "path"}) or "body"
    printable = path.encode("ascii", "backslashreplace").decode()[:_LONGEST_FIELD_NAME]
    return FieldError(field=printable, detail=str(item["msg"]).removeprefix("Value error, "))
