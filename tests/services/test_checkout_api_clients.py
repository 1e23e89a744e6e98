"""The clients file: read at start and on change, never half, never broken."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from payonce.ports import Clock
from payonce.telemetry import clients_file_broken
from payonce.watched_file import BadFile, WatchedFile
from services.checkout_api.clients import Clients, key_hash
from services.checkout_api.clients_file import check_clients, read_clients, secret_files
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
READER = f"""
[[client.keys]]
hash = "{key_hash("pk_reader")}"
scopes = ["orders:read"]
"""


def write(path: Path, document: str, moment: int) -> None:
    path.write_text(document)
    os.utime(path, (moment, moment))


def test_a_client_is_found_by_each_of_its_keys_and_by_nothing_else() -> None:
    clients = read_clients(ENTRY, ENVIRON)

    found = clients.by_key("pk_one")
    assert found is not None
    assert found == clients.by_key("pk_two")
    assert found.scopes == {"orders:write"}
    assert found.client is clients.by_id("shop")
    assert found.client.redirect_origins == {"https://shop.example"}
    assert found.client.return_secret == b"s3cret"
    assert clients.by_key("pk_three") is None
    assert clients.by_key(key_hash("pk_one")) is None
    assert clients.by_id(None) is None


@pytest.mark.parametrize("others", [True, False], ids=["beside others", "alone"])
def test_a_key_with_scopes_of_its_own_is_the_same_clients(others: bool) -> None:
    """So a reporting job sees the shop's orders, and can place, cancel and refund none."""
    shared = [line for line in ENTRY.splitlines() if line.startswith(("key_hashes", "scopes"))]
    entry = ENTRY if others else "\n".join(line for line in ENTRY.splitlines() if line not in shared)

    clients = read_clients(entry + READER, ENVIRON)

    reader = clients.by_key("pk_reader")
    assert reader is not None
    assert reader.scopes == {"orders:read"}
    assert reader.client is clients.by_id("shop")
    assert (clients.by_key("pk_one") is not None) == others


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
        (ENTRY.replace("env:SECRET", "file:/a\\u0000b"), "return_secret"),
        (ENTRY + READER.replace("orders:read", "orders:all"), "keys.0.scopes"),
        (ENTRY + READER + READER, "key hash twice"),
        (ENTRY + READER + "colour = 'red'", "colour"),
        (ENTRY + READER.replace(key_hash("pk_reader"), key_hash("pk_one")), "key hash twice"),
        (ENTRY.replace('scopes = ["orders:write"]', ""), "scopes is missing"),
        ("\n".join(line for line in ENTRY.splitlines() if "key_hashes" not in line), "nobody could call"),
        (ENTRY + ENTRY, "twice"),
        (ENTRY + ENTRY.replace('id = "shop"', 'id = "shop2"'), "key hash twice"),
        (ENTRY.replace("rate_limit_per_second = 5", "rate_limit_per_second = 0"), "rate_limit"),
    ],
)
def test_a_broken_file_says_where(document: str, says: str) -> None:
    with pytest.raises(BadFile, match=says):
        read_clients(document, ENVIRON)


def watched(path: Path, clock: Clock) -> WatchedFile[Clients]:
    return WatchedFile(
        path,
        lambda document: read_clients(document, ENVIRON),
        clock,
        broken=clients_file_broken,
        files_named=secret_files,
    )


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


def secret_of(file: WatchedFile[Clients]) -> bytes:
    client = file.current().by_id("shop")
    assert client is not None
    return client.return_secret


def test_a_changed_secret_signs_within_a_second_though_the_clients_file_is_as_it_was(tmp_path: Path) -> None:
    clock, path, secret = VirtualClock(), tmp_path / "clients.toml", tmp_path / "shop.return"
    write(secret, "old", 1)
    write(path, ENTRY.replace("env:SECRET", f"file:{secret}"), 1)
    file = watched(path, clock)

    write(secret, "new", 2)
    clock.advance(1)

    assert secret_of(file) == b"new"


def test_a_client_whose_secret_comes_late_is_known_when_it_has_come(tmp_path: Path) -> None:
    """The clients file names it first: the file before stays, and nobody needs to touch the new one again."""
    clock, path, secret = VirtualClock(), tmp_path / "clients.toml", tmp_path / "late.return"
    write(path, ENTRY, 1)
    file = watched(path, clock)
    late = ENTRY.replace("env:SECRET", f"file:{secret}").replace('"shop"', '"late"')

    write(path, late.replace(key_hash("pk_one"), key_hash("pk_new")), 2)
    clock.advance(1)
    assert file.current().by_id("late") is None
    assert secret_of(file) == b"s3cret"
    write(secret, "here", 3)
    clock.advance(1)

    assert file.current().by_id("late") is not None
    assert file.current().by_key("pk_new") is not None


def test_the_example_that_is_shipped_would_be_read_once_its_secret_is_there() -> None:
    example = (Path(__file__).resolve().parents[2] / "deploy" / "clients.example.toml").read_text()

    check_clients(example)

    assert len(secret_files(example)) == 1
