"""Errors over HTTP as RFC 9457 problem documents that name the field and say what to change; never an echo of input.

400 is for what is not a readable request (broken JSON, forged signature), 422 for a readable one with wrong fields.
What a service refuses, and why, is its own: this module knows how a refusal looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
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
_REFERENCE = "#/components/schemas/{model}"
#: What the framework documents for a route with parameters unless told otherwise; no route answers so.
_FRAMEWORKS_422 = {"application/json": {"schema": {"$ref": _REFERENCE.format(model="HTTPValidationError")}}}


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


def install(api: FastAPI, *, after_a_bug: str) -> None:
    """Answer every error of the application, the framework's own included, as a problem document, and document it so.

    `after_a_bug` says what the client may do when the fault is ours.
    """
    api.add_exception_handler(Problem, _on_problem)
    api.add_exception_handler(RequestValidationError, _on_validation)
    api.add_exception_handler(HTTPException, _on_http)
    api.add_exception_handler(Exception, partial(_on_bug, after_a_bug))
    _complete_openapi(api)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's `responses` for these statuses; `install` adds the schema that they name."""
    schema = {"$ref": _REFERENCE.format(model="ProblemDocument")}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def _complete_openapi(api: FastAPI) -> None:
    generate = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            _complete(generate())
        assert api.openapi_schema is not None
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]


def _complete(document: dict[str, Any]) -> None:
    """Put the problem document where the framework's own error schemas are."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = ProblemDocument.model_json_schema(ref_template=_REFERENCE)
    schemas.update({**problem.pop("$defs"), "ProblemDocument": problem})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for operations in document["paths"].values():
        for operation in operations.values():
            answers = operation["responses"]
            if "422" in answers and answers["422"].get("content") == _FRAMEWORKS_422:
                answers["422"] = documented(422)[422]


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


async def _on_bug(what_to_do: str, _request: Request, _error: Exception) -> Response:
    return Problem(500, "internal_error", f"this is our fault; {what_to_do}").response()


def _field_error(item: Mapping[str, Any]) -> FieldError:
    path = ".".join(str(part) for part in item["loc"] if part not in {"body", "query", "header", "path"}) or "body"
    printable = path.encode("ascii", "backslashreplace").decode()[:_LONGEST_FIELD_NAME]
    return FieldError(field=printable, detail=str(item["msg"]).removeprefix("Value error, "))
