"""A small disk for PostgreSQL that can be filled to the last byte and freed again.

It is a tmpfs in a mount namespace of our own: nobody else sees it, and the kernel removes it with our last process,
however that ends. Both need root on Linux; elsewhere `unavailable` says so, and the run goes without this fault.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox.stack.postgres_programs import public_folder

_CLONE_NEWNS = 0x00020000
_PIECE_BYTES = 1024 * 1024
_FILLER = "filler"


def unavailable() -> str | None:
    """Return why this machine gives us no small disk; None if it does."""
    if not sys.platform.startswith("linux"):
        return "a size-limited disk is made with Linux's tmpfs"
    if os.geteuid() != 0:
        return "mounting a size-limited disk needs root"
    return None


class SmallDisk:
    """Mounted inside the `with` block, for this thread and what it starts. Enter it before other threads start."""

    def __init__(self, size_mb: int) -> None:
        self._size_mb = size_mb
        self._cleanup = ExitStack()
        self.folder = Path()

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="payonce-disk-", dir=public_folder()))
        self._cleanup.callback(shutil.rmtree, self.folder, ignore_errors=True)
        try:
            _leave_namespace()
            _mount("--make-rprivate", "/")
            _mount("-t", "tmpfs", "-o", f"size={self._size_mb}m,mode=0711", "payonce-disk", str(self.folder))
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)
        self._cleanup.close()

    def fill(self) -> None:
        """Leave not one byte. Blocking."""
        with (self.folder / _FILLER).open("ab") as file:
            size = _PIECE_BYTES
            while size:
                try:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size //= 2

    def free(self) -> None:
        """Give the space back. Idempotent."""
        (self.folder / _FILLER).unlink(missing_ok=True)


def _leave_namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"unshare: {os.strerror(number)}")


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)
