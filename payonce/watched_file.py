"""A mounted file of data, read at start and again when it, or a file that it names, has changed.

A broken new one locks nobody out. It is read again at every look: what it lacks may be a permission, or a disk that
answers, which its stamp does not show.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

import structlog
from prometheus_client import Gauge
from pydantic import BaseModel, ValidationError

from payonce.ports import Clock

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

#: A change is noticed by the first look at least this long after the last one.
_LOOK_SECONDS = 1.0
_Stamp = tuple[int, int, int]
log = structlog.get_logger()


class BadFile(Exception):
    """The file cannot be used; the message says where, and never what stands there."""


def toml_as(model: type[M], document: str) -> M:
    """Return what a TOML document says, as the model understands it. Raises BadFile."""
    try:
        return model.model_validate(tomllib.loads(document))
    except tomllib.TOMLDecodeError as error:
        raise BadFile(f"not TOML: {error}") from error
    except ValidationError as error:
        places = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise BadFile(places) from error


class WatchedFile(Generic[T]):
    """What a file last said, as `read` understands it. `current` costs one `stat` a second and file, or a reading."""

    def __init__(
        self,
        path: Path,
        read: Callable[[str], T],
        clock: Clock,
        *,
        broken: Gauge,
        files_named: Callable[[str], Iterable[Path]] = lambda _document: (),
    ) -> None:
        """Read the file. `read` raises BadFile. Raises BadFile: what cannot be read at start must stop the start.

        `files_named` returns the files that `read` will open for a document, and never raises. `broken` is 1 while a
        changed file cannot be read and the content before it stays.
        """
        self._path = path
        self._parse = read
        self._files_named = files_named
        self._clock = clock
        self._broken = broken
        self._looked_at = clock.monotonic()
        self._failure: str | None = None
        self._seen: dict[Path, _Stamp | None] = {}
        self._content = self._read()

    def current(self) -> T:
        """Return what the file says; never raises: while a changed file is broken, what was before stays."""
        now = self._clock.monotonic()
        if now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            self._look()
        return self._content

    def _look(self) -> None:
        if self._failure is None and all(_stamp(path) == stamp for path, stamp in self._seen.items()):
            return
        try:
            self._content = self._read()
        except BadFile as error:
            self._failed(str(error))
        else:
            self._failure = None
            self._broken.set(0)
            log.info("file_read", path=str(self._path))

    def _failed(self, failure: str) -> None:
        """Say once what is wrong, however often it is read again."""
        self._broken.set(1)
        if failure != self._failure:
            log.error("file_broken", path=str(self._path), error=failure)
        self._failure = failure

    def _read(self) -> T:
        """Stamps come before what they stamp, so that a change in between is seen by the next look."""
        self._seen = {self._path: _stamp(self._path)}
        try:
            document = self._path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise BadFile(str(error)) from error
        self._seen.update((path, _stamp(path)) for path in self._files_named(document))
        return self._parse(document)


def _stamp(path: Path) -> _Stamp | None:
    """Return what changes when the file does; None while it is missing (an editor or a mount swaps it)."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
