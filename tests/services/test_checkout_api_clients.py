"""The clients file: read at start and on change, never half, never broken."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from payonce.ports import Clock
from payonce.telemetry import clients_file_broken
from payonce.watched_file import BadFile, WatchedFile
from services.checkout_api.clients import Clients, key_hash, read_clients
from tests.fakes.virtual_clock import VirtualClock

ENTRY = f"""
[[client]]
id = "shop"
name = "A shop"
key_hashes = ["{key_hash("pk_one")}", "{key_hash("pk_two")}"]
scopes = ["orders:write"]
redirect_origins = ["https://Shop.Example:443"]
rate_limit_per_second = 5
return_secret = "env:SECRET"
"""
ENVIRON = {"SECRET": "s3cret"}


def write(path: Path, document: str, moment: int) -> None:
    path.write_text(document)
    os.utime(path, (moment, moment))


def test_a_client_is_found_by_each_of_its_keys_and_by_nothing_else() -> None:
    clients = read_clients(ENTRY, ENVIRON)

    found = clients.by_key("pk_one")
    assert found is not None
    assert found is clients.by_key("pk_two") is clients.by_id("shop")
    assert found.redirect_origins == {"https://shop.example"}
    assert found.return_secret == b"s3cret"
    assert clients.by_key("pk_three") is None
    assert clients.by_key(key_hash("pk_one")) is None
    assert clients.by_id(None) is None


def test_a_return_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from a file\n")

    clients = read_clients(ENTRY.replace("env:SECRET", f"file:{secret}"), {})

    found = clients.by_id("shop")
    assert found is not None
    assert found.return_secret == b"from a file"


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("not toml", "not TOML"),
        ("", "client"),
        (ENTRY.replace("sha256:", "plain:"), "key_hashes"),
        (ENTRY.replace("orders:write", "orders:all"), "scopes"),
        (ENTRY.replace("https://Shop.Example:443", "http://shop.example"), "https"),
        (ENTRY.replace("env:SECRET", "env:NOWHERE"), "NOWHERE"),
        (ENTRY.replace("env:SECRET", "file:/nowhere/secret"), "nowhere"),
        (ENTRY.replace("env:SECRET", "s3cret"), "return_secret"),
        (ENTRY.replace('name = "A shop"', 'nmae = "A shop"'), "nmae"),
        (ENTRY + ENTRY, "twice"),
        (ENTRY + ENTRY.replace('id = "shop"', 'id = "shop2"'), "key hash twice"),
        (ENTRY.replace("rate_limit_per_second = 5", "rate_limit_per_second = 0"), "rate_limit"),
    ],
)
def test_a_broken_file_says_where(document: str, says: str) -> None:
    with pytest.raises(BadFile, match=says):
        read_clients(document, ENVIRON)


def watched(path: Path, clock: Clock) -> WatchedFile[Clients]:
    return WatchedFile(path, lambda document: read_clients(document, ENVIRON), clock, broken=clients_file_broken)


def test_a_process_that_knows_no_client_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(BadFile):
        watched(tmp_path / "missing.toml", VirtualClock())


def test_a_changed_file_is_read_within_a_second(tmp_path: Path) -> None:
    clock, path = VirtualClock(), tmp_path / "clients.toml"
    write(path, ENTRY, 1)
    file = watched(path, clock)

    write(path, ENTRY.replace(key_hash("pk_one"), key_hash("pk_new")), 2)
    assert file.current().by_key("pk_new") is None
    clock.advance(1)

    assert file.current().by_key("pk_new") is not None
    assert file.current().by_key("pk_one") is None


@pytest.mark.parametrize("broken", ["", "[[client", None])
def test_a_broken_change_keeps_the_clients_before_it_until_it_is_repaired(tmp_path: Path, broken: str | None) -> None:
    clock, path = VirtualClock(), tmp_path / "clients.toml"
    write(path, ENTRY, 1)
    file = watched(path, clock)

    if broken is None:
        path.unlink()
    else:
        write(path, broken, 2)
    clock.advance(1)
    assert file.current().by_key("pk_one") is not None
    write(path, ENTRY.replace(key_hash("pk_one"), key_hash("pk_new")), 3)
    clock.advance(1)

    assert file.current().by_key("pk_new") is not None
