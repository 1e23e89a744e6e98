"""The broker's jars: exactly those of `kafka-jars.lock.toml`, by SHA-256, or none.

The resolver is trusted for nothing but delivering bytes. No POM is read and no version is chosen here; a new
lock is made by `sandbox.stack.renew_lock`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sandbox.stack.cache import Cache, Progress
from sandbox.stack.errors import ChecksumMismatch, DownloadFailed

LOCK = Path(__file__).with_name("kafka-jars.lock.toml")
KAFKA_VERSION = "4.3.1"
AT_ONCE = 8
TRIES = 3
RETRY_PAUSE_SECONDS = 0.5
JAR_TIME = 1_577_836_800
"""2020-01-01. The AOT cache fits only jars with the modification times it was trained with: so all have one."""


@dataclass(frozen=True, slots=True)
class LockedJar:
    """One line of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


class Resolver(Protocol):
    """Brings a jar from wherever jars come from."""

    def fetch(self, jar: LockedJar, folder: Path) -> Path:
        """Put the jar somewhere under `folder` and return its path. Blocks; raises OSError on failure."""
        ...


class MavenResolver:
    """Fetches from the public Maven repository."""

    def fetch(self, jar: LockedJar, folder: Path) -> Path:
        from jgo.maven import MavenContext

        # jgo only warns about checksums, and says so on the root logger; ours is the one that counts.
        logging.getLogger("jgo").setLevel(logging.CRITICAL)
        context = MavenContext(repo_cache=folder)
        component = context.project(jar.group, jar.artifact).at_version(jar.version)
        try:
            return Path(component.artifact(packaging="jar").resolve())
        except RuntimeError as error:
            raise OSError(str(error)) from error


def read_lock(lock: Path = LOCK) -> tuple[LockedJar, ...]:
    """Read the jars of the lock, sorted by file name, which is the class path's order."""
    rows = tomllib.loads(lock.read_text())["dependencies"]
    jars = (LockedJar(row["groupId"], row["artifactId"], row["version"], row["sha256"]) for row in rows)
    return tuple(sorted(jars, key=lambda jar: jar.file_name))


def lock_hash(jars: tuple[LockedJar, ...]) -> str:
    """Make a short name for exactly this set of jars."""
    return hashlib.sha256("\n".join(jar.sha256 for jar in jars).encode()).hexdigest()[:12]


def ensure_jars(
    cache: Cache, jars: tuple[LockedJar, ...], resolver: Resolver, on_progress: Progress
) -> tuple[Path, ...]:
    """Give the jars' paths in the cache, in the lock's order, after fetching the missing or damaged ones.

    Blocks; uses the network only for what is missing. The caller holds the cache's lock `jars`.
    Raises ChecksumMismatch, DownloadFailed or DiskFull.
    """
    store = cache.path("jars")
    store.mkdir(exist_ok=True)
    missing = [jar for jar in jars if not _is_right(store / jar.file_name, jar)]
    if missing:
        cache.require_space()
        with cache.scratch("fetch") as scratch:
            _fetch_all(missing, store, scratch, resolver, on_progress)
    return tuple(store / jar.file_name for jar in jars)


def sha256_of(file: Path) -> str:
    """Compute the file's SHA-256 in hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _fetch_all(missing: list[LockedJar], store: Path, scratch: Path, resolver: Resolver, on_progress: Progress) -> None:
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="jars") as pool:
        pending = [pool.submit(_fetch_one, jar, store, scratch, resolver) for jar in missing]
        try:
            for done, future in enumerate(as_completed(pending), start=1):
                future.result()
                on_progress(f"Kafka {KAFKA_VERSION}: {done}/{len(missing)} jars fetched")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch_one(jar: LockedJar, store: Path, scratch: Path, resolver: Resolver) -> None:
    fetched = _fetch_with_retries(jar, scratch, resolver)
    actual = sha256_of(fetched)
    if actual != jar.sha256:
        fetched.unlink()
        raise ChecksumMismatch(
            f"{jar.group}:{jar.artifact}:{jar.version} has SHA-256 {actual}, the lock says {jar.sha256}; "
            "the file was deleted and nothing was started"
        )
    draft = store / f".{jar.file_name}.draft"
    shutil.copyfile(fetched, draft)
    os.utime(draft, (JAR_TIME, JAR_TIME))
    draft.replace(store / jar.file_name)


def _fetch_with_retries(jar: LockedJar, scratch: Path, resolver: Resolver) -> Path:
    for attempt in range(1, TRIES + 1):
        # A folder per try: a file cut short by the last one would be taken for the whole.
        folder = scratch / f"try-{attempt}"
        try:
            return resolver.fetch(jar, folder)
        except OSError as error:  # requests' exceptions are OSErrors too
            if attempt == TRIES:
                raise DownloadFailed(
                    f"{jar.group}:{jar.artifact}:{jar.version} could not be fetched ({error}): check the "
                    "network and start again; what was fetched is kept, and later starts need no network"
                ) from error
            time.sleep(RETRY_PAUSE_SECONDS * attempt)
    raise AssertionError("the loop returns or raises")


def _is_right(file: Path, jar: LockedJar) -> bool:
    return file.exists() and sha256_of(file) == jar.sha256
