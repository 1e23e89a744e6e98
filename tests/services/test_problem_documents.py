"""Errors as problem documents: both services' OpenAPI documents say so, and an application of neither does it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from payonce.problem_documents import MEDIA_TYPE, FieldError, Problem, documented, install
from services.checkout_api.app import create_api as checkout_api
from services.ops_console.app import create_api as ops_console
from tests.fakes.checkout_api import World
from tests.fakes.ops_console import Console

PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}


class Form(BaseModel):
    amount: int
    note: str = ""


def application() -> FastAPI:
    """A service with one of each error."""
    api = FastAPI()
    install(api, after_a_bug="call again")

    @api.post("/forms", responses=documented(409))
    async def fill(form: Form) -> Form:
        if form.amount == 0:
            raise Problem(
                409, "nothing", "no amount", errors=[FieldError(field="amount", detail="0")], headers={"X-A": "b"}
            )
        return Form(amount=100 // (form.amount - 1))

    return api


async def ask(method: str, path: str, **sent: Any) -> httpx.Response:
    # The framework hands a bug on to the server after it has answered.
    transport = httpx.ASGITransport(application(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service.example") as caller:
        return await caller.request(method, path, **sent)


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "kind"),
    [
        ("POST", "/forms", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "broken_json"),
        ("GET", "/nowhere", {}, 404, "not_found"),
        ("GET", "/forms", {}, 405, "method_not_allowed"),
        ("POST", "/forms", {"json": {"amount": 0}}, 409, "nothing"),
        ("POST", "/forms", {"json": {"amount": "x"}}, 422, "invalid_request"),
        ("POST", "/forms", {"json": {"amount": 1}}, 500, "internal_error"),
    ],
)
async def test_every_error_is_a_problem_document(
    method: str, path: str, sent: dict[str, Any], status: int, kind: str
) -> None:
    answer = await ask(method, path, **sent)

    assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE)
    assert answer.json()["type"] == f"urn:payonce:problem:{kind}"
    assert answer.json()["status"] == status


async def test_a_problem_keeps_its_fields_and_headers() -> None:
    answer = await ask("POST", "/forms", json={"amount": 0})

    assert answer.json()["errors"] == [{"field": "amount", "detail": "0"}]
    assert answer.headers["x-a"] == "b"


async def test_a_wrong_field_is_named_and_its_content_is_not_repeated() -> None:
    answer = await ask("POST", "/forms", json={"amount": "a secret", "note": 7})

    assert [each["field"] for each in answer.json()["errors"]] == ["amount", "note"]
    assert "a secret" not in answer.text


async def test_a_bug_tells_what_to_do_and_nothing_of_itself() -> None:
    answer = await ask("POST", "/forms", json={"amount": 1})

    assert answer.json()["detail"] == "this is our fault; call again"


DOCUMENTS = {
    "checkout_api": checkout_api(World().dependencies).openapi(),
    "ops_console": ops_console(Console().dependencies).openapi(),
    "neither": application().openapi(),
}


def answers(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                yield path, status, answer


@pytest.mark.parametrize("service", DOCUMENTS)
def test_every_error_that_is_documented_is_a_problem_document(service: str) -> None:
    """But for the pages that people see."""
    errors = [(path, status, each["content"]) for path, status, each in answers(DOCUMENTS[service]) if status >= "4"]
    for_programs = [each for each in errors if "text/html" not in each[2]]

    assert for_programs
    assert [each for each in for_programs if each[2] != PROBLEM] == []


@pytest.mark.parametrize("service", DOCUMENTS)
def test_every_schema_that_is_named_is_there(service: str) -> None:
    document = DOCUMENTS[service]
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))

    assert {"ProblemDocument", "FieldError"} <= named
    assert named <= set(document["components"]["schemas"])
