"""Client apps: who may call, with which key, for which origins, how fast. Data, not a database.

API keys are long random strings, so a plain SHA-256 of them is what is stored and looked up.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from payonce.watched_file import BadFile
from services.checkout_api.origins import BadRedirect, origin_of

Scope = Literal["orders:read", "orders:write"]
_HASH_PREFIX = "sha256:"


@dataclass(frozen=True, slots=True)
class Client:
    """A shop's back end."""

    id: str
    name: str
    scopes: frozenset[str]
    redirect_origins: frozenset[str]
    rate_limit_per_second: float
    return_secret: bytes


class Clients:
    """Every client, by key and by id."""

    def __init__(self, by_key_hash: Mapping[str, Client]) -> None:
        self._by_key_hash = dict(by_key_hash)
        self._by_id = {client.id: client for client in by_key_hash.values()}

    def by_key(self, api_key: str) -> Client | None:
        """Return the client of an API key. The digest is looked up, so timing tells nothing about the stored keys."""
        return self._by_key_hash.get(key_hash(api_key))

    def by_id(self, client_id: str | None) -> Client | None:
        """Return the client with that id, None if it has none or has left."""
        return None if client_id is None else self._by_id.get(client_id)


def key_hash(api_key: str) -> str:
    """Return what the clients file holds instead of the key."""
    return _HASH_PREFIX + hashlib.sha256(api_key.encode("utf-8", "surrogateescape")).hexdigest()


def read_clients(document: str, environ: Mapping[str, str]) -> Clients:
    """Return the clients of a TOML document, secrets resolved. Reads secret files. Raises BadFile."""
    try:
        declared = _Document.model_validate(tomllib.loads(document)).client
    except tomllib.TOMLDecodeError as error:
        raise BadFile(f"not TOML: {error}") from error
    except ValidationError as error:
        places = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise BadFile(places) from error
    _refuse_doubles("client id", [client.id for client in declared])
    _refuse_doubles("key hash", [hashed for client in declared for hashed in client.key_hashes])
    by_key_hash: dict[str, Client] = {}
    for item in declared:
        by_key_hash.update(dict.fromkeys(item.key_hashes, _client(item, environ)))
    return Clients(by_key_hash)


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    name: str
    key_hashes: list[Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")]] = Field(min_length=1)
    scopes: list[Scope]
    redirect_origins: list[str]
    rate_limit_per_second: float = Field(50.0, gt=0)
    return_secret: str = Field(pattern="^(env|file):.+$")


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    client: list[_Declared]


def _client(declared: _Declared, environ: Mapping[str, str]) -> Client:
    try:
        origins = frozenset(origin_of(origin) for origin in declared.redirect_origins)
    except BadRedirect as error:
        raise BadFile(f"{declared.id}: a redirect origin {error}") from error
    return Client(
        id=declared.id,
        name=declared.name,
        scopes=frozenset(declared.scopes),
        redirect_origins=origins,
        rate_limit_per_second=declared.rate_limit_per_second,
        return_secret=_secret(declared, environ),
    )


def _secret(declared: _Declared, environ: Mapping[str, str]) -> bytes:
    kind, _, where = declared.return_secret.partition(":")
    try:
        value = environ.get(where, "") if kind == "env" else Path(where).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"{declared.id}: return_secret: {error}") from error
    if not value:
        raise BadFile(f"{declared.id}: return_secret {declared.return_secret} is empty or missing")
    return value.encode()


def _refuse_doubles(what: str, values: Sequence[str]) -> None:
    doubles = sorted({value for value in values if values.count(value) > 1})
    if doubles:
        raise BadFile(f"the same {what} twice: {', '.join(doubles)}")
