"""What the ops console refuses, and a database that cannot take part, as problem documents."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

from payonce import problem_documents
from payonce.ports import StoreRejected, StoreUnavailable
from payonce.problem_documents import FieldError, Problem
from services.ops_console.refusals import Refused


def install(api: FastAPI) -> None:
    """Answer every error of the application, the framework's own included, as a problem document."""
    problem_documents.install(api, after_a_bug="look at the letter again before you repeat it")
    api.add_exception_handler(Refused, _on_refused)
    api.add_exception_handler(StoreUnavailable, _on_store_away)
    api.add_exception_handler(StoreRejected, _on_store_rejected)


async def _on_refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    errors = [FieldError(field=error.field, detail=error.detail)] if error.field else []
    return Problem(error.status, error.kind, error.detail, errors=errors).response()


async def _on_store_away(_request: Request, _error: Exception) -> Response:
    detail = "the database does not answer at the moment; nothing was written, send the same request again"
    return Problem(503, "temporarily_unavailable", detail, headers={"Retry-After": "2"}).response()


async def _on_store_rejected(_request: Request, _error: Exception) -> Response:
    return Problem(422, "not_storable", "the database cannot store this text").response()
