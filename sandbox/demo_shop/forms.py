"""Reads the shop's small forms, never more than a few hundred bytes of them."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

_LARGEST_FORM_BYTES = 1000


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a URL-encoded form. Raises 413 for a larger one, 400 for one that is no form."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_FORM_BYTES:
            raise HTTPException(413, "that is too much")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=10))
    except ValueError as error:
        raise HTTPException(400, "that is not a form of this shop") from error
