"""The per-user cache of what is costly to make: jars, AOT cache, formatted and initialised folders.

Entries are made under a temporary name and renamed, so a half-made one is never seen; a file lock keeps two
starts from making the same entry. Nothing here is ever needed to be right, only to be quick.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.stack.errors import DiskFull, StackError

Progress = Callable[[str], None]

NEEDED_BYTES = 600 * 1024 * 1024
"""Jars twice (download and store), AOT cache, templates, and the data of one run."""

LOCK_WAIT_SECONDS = 600.0
"""A first start on a slow line takes minutes; longer than this means that the other one hangs."""


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of prepared things, shared by every stack of one user."""

    folder: Path

    @classmethod
    def of_user(cls) -> Cache:
        """PAYONCE_CACHE_DIR, else $XDG_CACHE_HOME/payonce, else ~/.cache/payonce; made when missing."""
        chosen = os.environ.get("PAYONCE_CACHE_DIR")
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(chosen) if chosen else Path(base) / "payonce"
        folder = folder.expanduser().absolute()
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder)

    def path(self, *names: str) -> Path:
        """Name a path inside the cache; nothing is made."""
        return self.folder.joinpath(*names)

    @contextmanager
    def locked(self, name: str, on_progress: Progress) -> Iterator[None]:
        """Hold the lock `name` against other processes and threads. Blocks at most LOCK_WAIT_SECONDS."""
        with self.path(f"{name}.lock").open("a") as file:
            deadline = time.monotonic() + LOCK_WAIT_SECONDS
            told = False
            while not try_lock(file.fileno()):
                if time.monotonic() > deadline:
                    raise StackError(f"another start holds {file.name} for over {LOCK_WAIT_SECONDS:.0f} s")
                if not told:
                    on_progress(f"waiting for another start that prepares {name}")
                    told = True
                time.sleep(0.05)
            yield

    @contextmanager
    def making(self, entry: Path) -> Iterator[Path]:
        """Give an empty folder to fill; it becomes `entry` when the block ends well, else it is removed.

        The caller holds a lock that belongs to the entry.
        """
        with self.scratch(f".draft-{entry.name}") as draft:
            filled = draft / "entry"
            filled.mkdir()
            yield filled
            filled.rename(entry)

    @contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """Give an empty folder that is gone afterwards, with what killed starts left under the same name.

        The caller holds a lock that belongs to the name.
        """
        for left in self.folder.glob(f"{name}-*"):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=self.folder) as folder:
            yield Path(folder)

    def require_space(self, needed: int = NEEDED_BYTES) -> None:
        """Raise DiskFull if the disk of the cache has fewer than `needed` bytes left."""
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise DiskFull(
                f"{self.folder} has {free >> 20} MB free, the first start needs {needed >> 20} MB: "
                "free some, or set PAYONCE_CACHE_DIR to a folder on another disk"
            )


def try_lock(descriptor: int) -> bool:
    """Take an exclusive flock without waiting; the kernel frees it when the descriptor's process ends."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
