"""Ids of our own messages: pure functions of what they are about, so that a redelivery repeats them."""

from __future__ import annotations

import base64
import hashlib


def name_based_id(prefix: str, *parts: str) -> str:
    """Return `prefix_` and 26 base32 characters of SHA-256 over the parts, NUL-separated."""
    digest = hashlib.sha256("\x00".join(parts).encode()).digest()
    return f"{prefix}_{base64.b32encode(digest).decode().lower()[:26]}"
