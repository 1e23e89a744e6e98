"""Who calls: bearer API keys, scopes, and the agreed rate. A client never learns whether another one's order exists."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from payonce.problem_documents import Problem
from services.checkout_api.clients import Client, Scope
from services.checkout_api.dependencies import Parts
from services.checkout_api.problems import too_many_requests

_bearer = HTTPBearer(
    auto_error=False, description="Your API key, `Authorization: Bearer pk_...`", scheme_name="api_key"
)
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="payonce"'}


async def _reader(parts: Parts, credentials: _Credentials) -> Client:
    return _admit(parts, credentials, "orders:read")


async def _writer(parts: Parts, credentials: _Credentials) -> Client:
    return _admit(parts, credentials, "orders:write")


def _admit(parts: Parts, credentials: HTTPAuthorizationCredentials | None, scope: Scope) -> Client:
    key = parts.clients.current().by_key(credentials.credentials) if credentials else None
    if key is None:
        raise Problem(401, "unauthorized", "send a valid API key: Authorization: Bearer pk_...", headers=_CHALLENGE)
    if scope not in key.scopes:
        raise Problem(403, "missing_scope", f"this API key lacks the scope {scope}")
    if seconds := parts.rate_limit.take(key.client.id, key.client.rate_limit_per_second):
        raise too_many_requests(seconds)
    return key.client


Reader = Annotated[Client, Depends(_reader)]
Writer = Annotated[Client, Depends(_writer)]
