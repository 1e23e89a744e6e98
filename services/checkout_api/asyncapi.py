"""/asyncapi.json: the topics, for whoever reads them, next to /openapi.json. Says nothing that is not in `schemas/`."""

from __future__ import annotations

from functools import cache

import orjson
from fastapi import APIRouter, Response

from payonce.asyncapi import asyncapi_document, read_contract

router = APIRouter(include_in_schema=False)


@router.get("/asyncapi.json")
async def describe_topics() -> Response:
    """Return the AsyncAPI document of this version."""
    return Response(_document(), media_type="application/json")


@cache
def _document() -> bytes:
    """Return it as bytes; the files are read at the first request."""
    return orjson.dumps(asyncapi_document(read_contract()))
