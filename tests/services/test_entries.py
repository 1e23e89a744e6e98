"""`payonce clients` and `payonce operators` print entries that the services read, and none that they would refuse."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from payonce.cli import app
from payonce.watched_file import BadFile
from services.checkout_api.client_entry import main as client_entry
from services.checkout_api.clients_file import check_clients, read_clients, secret_files
from services.ops_console.operator_entry import main as operator_entry
from services.ops_console.operators import read_operators

ROOT = Path(__file__).resolve().parents[2]
SHOP = ("new", "my-shop", "https://shop.example.com")


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """The entry, and what is told beside it."""
    assert client_entry(arguments) == 0
    said = capsys.readouterr()
    return said.out, said.err


def drawn(told: str, prefix: str) -> str:
    """The key, token or secret that is shown."""
    (found,) = re.findall(rf": ({prefix}\S+)$", told, re.MULTILINE)
    return str(found)


def test_a_client_works_with_what_was_printed_for_it_once_its_secret_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    entry, told = printed(capsys, *SHOP)
    (place,) = secret_files(entry)
    here = tmp_path / place.name
    here.write_text(drawn(told, "rs_"))

    key = read_clients(entry.replace(str(place), str(here)), {}).by_key(drawn(told, "pk_"))

    assert key is not None
    assert (key.client.id, sorted(key.scopes)) == ("my-shop", ["orders:read", "orders:write"])
    assert key.client.redirect_origins == {"https://shop.example.com"}
    assert key.client.return_secret == drawn(told, "rs_").encode()


def test_what_is_secret_does_not_slip_into_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output is the entry alone, so it can be appended to the file."""
    client, told = printed(capsys, *SHOP)
    further, told_further = printed(capsys, "key", "orders:read")
    operator_entry(("olga", "Olga", "viewer"))
    operator = capsys.readouterr()

    assert drawn(told, "pk_") not in client
    assert drawn(told, "rs_") not in client
    assert drawn(told_further, "pk_") not in further
    assert drawn(operator.err, "ot_") not in operator.out


def test_the_secret_lies_where_the_containers_look(capsys: pytest.CaptureFixture[str]) -> None:
    """In the mounted folder of the clients file, and where the shipped example says."""
    (place,) = secret_files(printed(capsys, *SHOP)[0])

    assert secret_files((ROOT / "deploy" / "clients.example.toml").read_text()) == [place]
    assert "./clients:/etc/payonce:ro" in (ROOT / "docker-compose.yml").read_text()
    assert place.is_relative_to("/etc/payonce")


@pytest.mark.parametrize("client_id", [".", "..", "my.shop_2"])
def test_every_id_has_a_file_of_its_own_in_the_folder(capsys: pytest.CaptureFixture[str], client_id: str) -> None:
    (place,) = secret_files(printed(capsys, "new", client_id, "https://shop.example.com")[0])

    assert place == Path("/etc/payonce/secrets", f"{client_id}.return")


def test_a_further_key_of_a_client_may_only_read(capsys: pytest.CaptureFixture[str]) -> None:
    entry, _ = printed(capsys, *SHOP)
    further, told = printed(capsys, "key", "orders:read")
    document = re.sub('"file:.*"', '"env:SECRET"', entry + further)

    clients = read_clients(document, {"SECRET": "x"})

    key = clients.by_key(drawn(told, "pk_"))
    assert key is not None
    assert (key.client, list(key.scopes)) == (clients.by_id("my-shop"), ["orders:read"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("new", "my shop", "https://shop.example.com"), "client.0.id"),
        (("new", 'a"\nb', "https://shop.example.com"), "client.0.id"),
        (("new", "my-shop", "javascript:x"), "redirect_origins"),
        (("new", "my-shop", "http://shop.example.com"), "https"),
        (("key", "orders:all"), "scopes"),
    ],
)
def test_what_the_api_would_refuse_is_not_printed(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    assert client_entry(arguments) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err


def test_an_operator_works_with_what_was_printed(capsys: pytest.CaptureFixture[str]) -> None:
    name = 'Olga "O" \\ Ωμέγα 🦉'

    assert operator_entry(("olga", name, "viewer", "operator")) == 0

    said = capsys.readouterr()
    operator = read_operators(said.out).by_token(drawn(said.err, "ot_"))
    assert operator is not None
    assert (operator.id, operator.name, sorted(operator.roles)) == ("olga", name, ["operator", "viewer"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(("olga", "Olga", "admin"), "roles"), (("ol ga", "Olga", "viewer"), "id"), (("olga", "O\x7f", "viewer"), "TOML")],
)
def test_what_the_console_would_refuse_is_not_printed(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    assert operator_entry(arguments) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err


@pytest.mark.parametrize(
    ("command", "rows"),
    [
        (["clients", "new", "my-shop", "--origin", "https://shop.example.com"], ["client"]),
        (["clients", "key"], ["client"]),
        (["clients", "key", "--scope", "orders:write", "--scope", "orders:read"], ["client"]),
        (["operators", "new", "olga", "--name", "Olga", "--role", "viewer", "--role", "operator"], ["operator"]),
    ],
    ids=["client", "reading key", "writing key", "operator"],
)
def test_the_commands_print_toml(capfd: pytest.CaptureFixture[str], command: list[str], rows: list[str]) -> None:
    assert CliRunner().invoke(app, command).exit_code == 0

    assert list(tomllib.loads(capfd.readouterr().out)) == rows


def test_a_refused_entry_is_told_by_the_exit_code(capfd: pytest.CaptureFixture[str]) -> None:
    command = ["clients", "new", "my shop", "--origin", "https://shop.example.com"]

    assert CliRunner().invoke(app, command).exit_code == 2
    assert "client.0.id" in capfd.readouterr().err


def test_a_key_without_its_client_is_no_clients_file(capsys: pytest.CaptureFixture[str]) -> None:
    """So an entry that is put above its client stops no running API: the file before stays."""
    with pytest.raises(BadFile):
        check_clients(printed(capsys, "key", "orders:read")[0])
