"""Operators: who may look, act and approve. Data, tokens hashed; no database.

Tokens are long random strings, so a plain SHA-256 of them is what is stored and looked up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from payonce.watched_file import BadFile, toml_as

Role = Literal["viewer", "operator", "approver"]
_HASH_PREFIX = "sha256:"


@dataclass(frozen=True, slots=True)
class Operator:
    """A person. Every role includes looking; approving is apart from acting, so that it takes two."""

    id: str
    name: str
    roles: frozenset[Role]


class Operators:
    """Every operator, by token."""

    def __init__(self, by_hash: Mapping[str, Operator]) -> None:
        self._by_hash = by_hash

    def by_token(self, token: str) -> Operator | None:
        """Return whose token it is. The digest is looked up, so timing tells nothing about the stored ones."""
        return self._by_hash.get(token_hash(token))


def token_hash(token: str) -> str:
    """Return what the operators file holds instead of the token."""
    return _HASH_PREFIX + hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def read_operators(document: str) -> Operators:
    """Return the operators of a TOML document. Raises BadFile."""
    declared = toml_as(_Document, document).operator
    if len({item.id for item in declared}) < len(declared):
        raise BadFile("the same operator id twice: an approval must be another person's")
    hashes = [hashed for item in declared for hashed in item.token_hashes]
    if len(set(hashes)) < len(hashes):
        raise BadFile("the same token hash twice")
    return Operators(
        {
            hashed: Operator(item.id, item.name, frozenset(item.roles))
            for item in declared
            for hashed in item.token_hashes
        }
    )


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=r"^[A-Za-z0-9_.@-]{1,64}$")
    name: str
    token_hashes: list[Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")]] = Field(min_length=1)
    roles: list[Role] = Field(min_length=1)


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    operator: list[_Declared] = Field(min_length=1)
