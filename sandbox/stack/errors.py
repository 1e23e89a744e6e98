"""What can go wrong when the stack starts. Every message says what to do; none needs a traceback.

StackError
├── DownloadFailed      no network, or the repository does not have the file
├── ChecksumMismatch    a fetched file is not the one in the lock
├── DiskFull            too little room for the first download
├── PortTaken           no free port, or one was taken while its server was down
└── StartFailed         a server ended or stayed silent; carries the tail of its log
"""

from __future__ import annotations


class StackError(Exception):
    """The embedded stack cannot do what was asked."""


class DownloadFailed(StackError):
    """A file could not be fetched: check the network, then start again (what was fetched is kept)."""


class ChecksumMismatch(StackError):
    """A fetched file differs from the lock and was deleted: do not trust the network you are on."""


class DiskFull(StackError):
    """Too little free space: free some, or point PAYONCE_CACHE_DIR at another disk."""


class PortTaken(StackError):
    """Another process listens on the port: end it, or start the stack anew (it takes other ports)."""


class StartFailed(StackError):
    """A server did not start: its log says why."""
