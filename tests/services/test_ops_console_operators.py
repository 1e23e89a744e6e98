"""The operators file: who is who, read again when it changes, and never a lock-out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from payonce.ports import Clock
from payonce.telemetry import operators_file_broken
from payonce.watched_file import BadFile, WatchedFile
from services.ops_console.operators import Operators, read_operators, token_hash
from tests.fakes.ops_console import ADA, OLGA, operators_document
from tests.fakes.virtual_clock import VirtualClock

DOCUMENT = operators_document()


def watched(path: Path, clock: Clock) -> WatchedFile[Operators]:
    return WatchedFile(path, read_operators, clock, broken=operators_file_broken)


def test_a_token_names_its_person_and_roles(tmp_path: Path) -> None:
    path = tmp_path / "operators.toml"
    path.write_text(DOCUMENT)
    operators = watched(path, VirtualClock())

    olga = operators.current().by_token(OLGA)

    assert olga is not None
    assert (olga.id, sorted(olga.roles)) == ("olga", ["operator", "viewer"])
    assert operators.current().by_token("ot_nobody") is None


def test_a_changed_file_counts_at_once_and_a_broken_one_locks_nobody_out(tmp_path: Path) -> None:
    path, clock = tmp_path / "operators.toml", VirtualClock()
    path.write_text(DOCUMENT)
    operators = watched(path, clock)

    path.write_text("broken [")
    clock.advance(2)
    assert operators.current().by_token(OLGA) is not None
    path.write_text(DOCUMENT.replace(token_hash(OLGA), token_hash("ot_new")))
    os.utime(path, ns=(1, 1))
    clock.advance(2)

    assert operators.current().by_token(OLGA) is None
    assert operators.current().by_token("ot_new") is not None
    assert operators.current().by_token(ADA) is not None


def test_a_file_that_could_not_be_read_is_read_when_it_can_be_though_its_stamp_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A permission that came too late, a disk that did not answer once: neither changes time, size or inode."""
    path, clock = tmp_path / "operators.toml", VirtualClock()
    path.write_text(DOCUMENT)
    operators = watched(path, clock)
    path.write_text(DOCUMENT.replace(token_hash(OLGA), token_hash("ot_new_one")))
    os.utime(path, ns=(1, 1))

    def refused(_: Path) -> str:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch, capture_logs() as lines:
        patch.setattr(Path, "read_text", refused)
        for _ in range(3):
            clock.advance(1)
            assert operators.current().by_token(OLGA) is not None
    assert operators_file_broken._value.get() == 1
    assert [line["event"] for line in lines] == ["file_broken"]
    clock.advance(1)

    assert operators.current().by_token("ot_new_one") is not None
    assert operators_file_broken._value.get() == 0


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[[operator]]\nid = 'a'",
        DOCUMENT.replace('"viewer"', '"king"'),
        DOCUMENT.replace('id = "ada"', 'id = "olga"'),
        DOCUMENT.replace(token_hash(ADA), token_hash(OLGA)),
        DOCUMENT + "\ncolour = 'red'",
    ],
)
def test_a_file_that_says_nothing_clear_is_refused(document: str) -> None:
    """Two entries of one id would let a person approve an edit of their own."""
    with pytest.raises(BadFile):
        read_operators(document)


def test_the_console_does_not_start_without_operators(tmp_path: Path) -> None:
    with pytest.raises(BadFile):
        watched(tmp_path / "missing.toml", VirtualClock())


def test_the_example_that_is_shipped_can_be_read() -> None:
    example = Path(__file__).resolve().parents[2] / "deploy" / "operators.example.toml"

    assert read_operators(example.read_text())
