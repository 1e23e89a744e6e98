"""The jars of the embedded broker are those of the lock, or nothing starts."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sandbox.stack import ChecksumMismatch, DiskFull, DownloadFailed, jars
from sandbox.stack.cache import Cache
from sandbox.stack.jars import KAFKA_VERSION, LOCK, LockedJar, ensure_jars, lock_hash, read_lock

CONTENT = b"a jar"


@dataclass
class FakeResolver:
    """Brings the content it was given, after failing as often as it was told."""

    content: bytes = CONTENT
    failures: int = 0
    fetched: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fetch(self, jar: LockedJar, folder: Path) -> Path:
        with self.lock:
            self.fetched.append(jar.file_name)
            if self.failures:
                self.failures -= 1
                raise OSError("connection reset")
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / jar.file_name
        file.write_bytes(self.content)
        return file


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "RETRY_PAUSE_SECONDS", 0.0)


def locked(artifact: str = "broker") -> LockedJar:
    return LockedJar("org.example", artifact, "1.0", hashlib.sha256(CONTENT).hexdigest())


def ensure(cache: Cache, resolver: FakeResolver, *wanted: LockedJar) -> tuple[Path, ...]:
    return ensure_jars(cache, wanted or (locked(),), resolver, lambda _: None)


def test_lock_names_every_jar_once_and_no_hosts() -> None:
    text = LOCK.read_text()
    entries = read_lock()

    assert len(entries) == 46
    assert len({jar.file_name for jar in entries}) == 46
    assert f"kafka_2.13-{KAFKA_VERSION}.jar" in {jar.file_name for jar in entries}
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in entries)
    assert not any(mark in text for mark in ("://", "http", "www.", "repository"))


def test_class_path_keeps_one_order() -> None:
    """The AOT cache fits one order of the class path only."""
    names = [jar.file_name for jar in read_lock()]

    assert sorted(names) == names


def test_tampered_jar_is_refused_and_not_kept(cache: Cache) -> None:
    with pytest.raises(ChecksumMismatch, match=r"org\.example:broker:1\.0"):
        ensure(cache, FakeResolver(content=b"something else"))

    assert list(cache.path("jars").iterdir()) == []
    assert list(cache.folder.glob("fetch-*")) == []


def test_tampered_jar_is_not_asked_for_again(cache: Cache) -> None:
    resolver = FakeResolver(content=b"something else")

    with pytest.raises(ChecksumMismatch):
        ensure(cache, resolver)

    assert len(resolver.fetched) == 1


def test_jars_that_are_there_need_no_network(cache: Cache) -> None:
    first = ensure(cache, FakeResolver())
    offline = FakeResolver(failures=99)

    assert first == ensure(cache, offline)
    assert offline.fetched == []


def test_damaged_stored_jar_is_fetched_again(cache: Cache) -> None:
    (path,) = ensure(cache, FakeResolver())
    path.write_bytes(b"half a j")

    ensure(cache, FakeResolver())

    assert path.read_bytes() == CONTENT


def test_modification_time_is_the_same_after_each_fetch(cache: Cache) -> None:
    """The AOT cache is for jars with the times it was trained with."""
    (path,) = ensure(cache, FakeResolver())
    before = path.stat().st_mtime
    path.unlink()
    ensure(cache, FakeResolver())

    assert before == path.stat().st_mtime


def test_short_network_failure_is_survived(cache: Cache) -> None:
    (path,) = ensure(cache, FakeResolver(failures=2))

    assert path.read_bytes() == CONTENT


def test_lasting_network_failure_says_which_jar_and_what_to_do(cache: Cache) -> None:
    with pytest.raises(DownloadFailed, match=r"org\.example:broker:1\.0 .*connection reset.*check the network"):
        ensure(cache, FakeResolver(failures=99))


def test_jars_fetched_before_a_failure_are_kept(cache: Cache) -> None:
    ensure(cache, FakeResolver(), locked("first"))
    resolver = FakeResolver()
    ensure(cache, resolver, locked("first"), locked("second"))

    assert resolver.fetched == ["second-1.0.jar"]


def test_two_starts_at_once_fetch_each_jar_once(cache: Cache) -> None:
    resolver = FakeResolver()
    wanted = tuple(locked(f"part{number}") for number in range(5))

    def prepare(_: int) -> tuple[Path, ...]:
        with cache.locked("jars", lambda _: None):
            return ensure(cache, resolver, *wanted)

    with ThreadPoolExecutor(4) as pool:
        results = set(pool.map(prepare, range(4)))

    assert len(results) == 1
    assert sorted(jar.file_name for jar in wanted) == sorted(resolver.fetched)


def test_progress_counts_what_is_missing(cache: Cache) -> None:
    lines: list[str] = []
    ensure_jars(cache, (locked("a"), locked("b")), FakeResolver(), lines.append)

    assert [f"Kafka {KAFKA_VERSION}: 1/2 jars fetched", f"Kafka {KAFKA_VERSION}: 2/2 jars fetched"] == lines


def test_full_disk_is_noticed_before_the_download(cache: Cache) -> None:
    with pytest.raises(DiskFull, match="PAYONCE_CACHE_DIR"):
        cache.require_space(needed=1 << 62)


def test_lock_hash_changes_with_any_jar() -> None:
    other = LockedJar("org.example", "broker", "1.0", "0" * 64)

    assert lock_hash((locked(),)) != lock_hash((other,))
