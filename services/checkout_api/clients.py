"""Client apps: who may call, with which key, for which origins, how fast. How they are declared is `clients_file`'s.

API keys are long random strings, so a plain SHA-256 of them is what is stored and looked up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Scope = Literal["orders:read", "orders:write"]
_HASH_PREFIX = "sha256:"


@dataclass(frozen=True, slots=True)
class Client:
    """A shop's back end."""

    id: str
    name: str
    redirect_origins: frozenset[str]
    rate_limit_per_second: float
    return_secret: bytes


@dataclass(frozen=True, slots=True)
class Key:
    """What an API key opens: one client's orders, and what may be done with them."""

    client: Client
    scopes: frozenset[Scope]


class Clients:
    """Every client, by key and by id."""

    def __init__(self, by_key_hash: Mapping[str, Key]) -> None:
        self._by_key_hash = dict(by_key_hash)
        self._by_id = {key.client.id: key.client for key in by_key_hash.values()}

    def by_key(self, api_key: str) -> Key | None:
        """Return what an API key opens. The digest is looked up, so timing tells nothing about the stored keys."""
        return self._by_key_hash.get(key_hash(api_key))

    def by_id(self, client_id: str | None) -> Client | None:
        """Return the client with that id, None if it has none or has left."""
        return None if client_id is None else self._by_id.get(client_id)


def key_hash(api_key: str) -> str:
    """Return what the clients file holds instead of the key."""
    return _HASH_PREFIX + hashlib.sha256(api_key.encode("utf-8", "surrogateescape")).hexdigest()
