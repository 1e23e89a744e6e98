"""Operators: who may look, act and approve. Data in a mounted file, tokens hashed; no database.

Tokens are long random strings, so a plain SHA-256 of them is what is stored and looked up.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from payonce import telemetry
from payonce.ports import Clock

Role = Literal["viewer", "operator", "approver"]
_HASH_PREFIX = "sha256:"
#: A change is noticed by the first request at least this long after the last look.
_LOOK_SECONDS = 1.0
log = structlog.get_logger()


class BadOperatorsFile(Exception):
    """The operators file cannot be used; the message says where."""


@dataclass(frozen=True, slots=True)
class Operator:
    """A person. Every role includes looking; approving is apart from acting, so that it takes two."""

    id: str
    name: str
    roles: frozenset[Role]


class OperatorsFile:
    """The operators as the file last said. A broken new one locks nobody out. `by_token` costs one `stat` a second."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Read the file. Raises BadOperatorsFile: a console that nobody can use must not start."""
        self._path = path
        self._clock = clock
        self._looked_at = clock.monotonic()
        self._stamp = _stamp(path)
        self._by_hash = self._read()

    def by_token(self, token: str) -> Operator | None:
        """Return whose token it is. The digest is looked up, so timing tells nothing about the stored ones."""
        now = self._clock.monotonic()
        if now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            self._look()
        return self._by_hash.get(token_hash(token))

    def _look(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._by_hash = self._read()
        except BadOperatorsFile as error:
            telemetry.operators_file_broken.set(1)
            log.error("operators_file_broken", path=str(self._path), error=str(error))  # noqa: TRY400  (no traceback)
        else:
            telemetry.operators_file_broken.set(0)
            log.info("operators_file_read", path=str(self._path))

    def _read(self) -> Mapping[str, Operator]:
        try:
            return read_operators(self._path.read_text())
        except (OSError, UnicodeDecodeError) as error:
            raise BadOperatorsFile(str(error)) from error


def token_hash(token: str) -> str:
    """Return what the operators file holds instead of the token."""
    return _HASH_PREFIX + hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def read_operators(document: str) -> Mapping[str, Operator]:
    """Return the operators of a TOML document by token hash. Raises BadOperatorsFile."""
    try:
        declared = _Document.model_validate(tomllib.loads(document)).operator
    except tomllib.TOMLDecodeError as error:
        raise BadOperatorsFile(f"not TOML: {error}") from error
    except ValidationError as error:
        places = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise BadOperatorsFile(places) from error
    if len({item.id for item in declared}) < len(declared):
        raise BadOperatorsFile("the same operator id twice: an approval must be another person's")
    hashes = [hashed for item in declared for hashed in item.token_hashes]
    if len(set(hashes)) < len(hashes):
        raise BadOperatorsFile("the same token hash twice")
    return {
        hashed: Operator(item.id, item.name, frozenset(item.roles)) for item in declared for hashed in item.token_hashes
    }


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=r"^[A-Za-z0-9_.@-]{1,64}$")
    name: str
    token_hashes: list[Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")]] = Field(min_length=1)
    roles: list[Role] = Field(min_length=1)


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    operator: list[_Declared] = Field(min_length=1)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when the file does; None while it is missing (an editor or a mount swaps it)."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
