"""`t` ties a link of ours to one order and one body: who knows it posted this body, or was sent by the one who did."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

_IN_URL = re.compile(r"([?&]t=)[A-Za-z0-9_-]*")


def link_token(secret: bytes, order_id: str, body_hash: str) -> str:
    """Return `t`, 43 characters of base64url."""
    digest = hmac.new(secret, order_id.encode() + b"\x00" + body_hash.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def with_token(url: str, token: str) -> str:
    """Return a link of ours with another `t`."""
    return _IN_URL.sub(lambda found: found[1] + token, url, count=1)
