"""The clients file: a TOML document that declares the client apps. Keys stand in it as hashes, secrets by their places.

What a client may be is decided here alone: `payonce clients` prints no entry that this module would refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from payonce.watched_file import BadFile, toml_as
from services.checkout_api.clients import Client, Clients, Key, Scope
from services.checkout_api.origins import origin_of


def read_clients(document: str, environ: Mapping[str, str]) -> Clients:
    """Return the clients of a TOML document, secrets resolved. Reads secret files. Raises BadFile."""
    by_key_hash: dict[str, Key] = {}
    for declared in _declared(document):
        client = _client(declared, environ)
        by_key_hash.update({key.hash: Key(client, frozenset(key.scopes)) for key in declared.all_keys()})
    return Clients(by_key_hash)


def check_clients(document: str) -> None:
    """Raise BadFile for what `read_clients` would refuse, except for secrets that are not in their places yet."""
    _declared(document)


def secret_files(document: str) -> list[Path]:
    """Return the files that hold the document's secrets; none if the document cannot be read."""
    try:
        secrets = [declared.return_secret.partition(":") for declared in _declared(document)]
    except BadFile:
        return []
    return [Path(where) for kind, _, where in secrets if kind == "file"]


Hash = Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")]


class _DeclaredKey(BaseModel):
    model_config = ConfigDict(extra="forbid")

    hash: Hash
    scopes: list[Scope]


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    name: str
    key_hashes: list[Hash] = []
    scopes: list[Scope] | None = None
    keys: list[_DeclaredKey] = []
    redirect_origins: list[Annotated[str, AfterValidator(origin_of)]]
    rate_limit_per_second: float = Field(50.0, gt=0)
    return_secret: str = Field(pattern=r"^(env|file):[^\x00]+$")

    @model_validator(mode="after")
    def _every_key_has_scopes(self) -> _Declared:
        if not (self.key_hashes or self.keys):
            raise ValueError("key_hashes and keys are both empty: nobody could call")
        if self.key_hashes and self.scopes is None:
            raise ValueError("scopes is missing: what the keys of key_hashes may do")
        return self

    def all_keys(self) -> list[_DeclaredKey]:
        """Return the client's keys: those that share its scopes, and those that have their own."""
        return [*(_DeclaredKey(hash=hashed, scopes=self.scopes or []) for hashed in self.key_hashes), *self.keys]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    client: list[_Declared]


def _declared(document: str) -> list[_Declared]:
    declared = toml_as(_Document, document).client
    _refuse_doubles("client id", [client.id for client in declared])
    _refuse_doubles("key hash", [key.hash for client in declared for key in client.all_keys()])
    return declared


def _client(declared: _Declared, environ: Mapping[str, str]) -> Client:
    return Client(
        id=declared.id,
        name=declared.name,
        redirect_origins=frozenset(declared.redirect_origins),
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
