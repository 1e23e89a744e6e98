"""A new entry of the clients file, for `payonce clients`. Prints none that the API would refuse when it reads the file.

The entry goes to standard output, what is secret to standard error: it is shown once, and does not slip into the file.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Sequence

import typer

from payonce.watched_file import BadFile
from services.checkout_api.clients import key_hash
from services.checkout_api.clients_file import check_clients

#: Beside the clients file, in the folder that docker-compose.yml mounts.
_SECRETS_FOLDER = "/etc/payonce/secrets"
_REFUSED = 2


def main(arguments: Sequence[str]) -> int:
    """Print the entry that is asked for: `new ID ORIGIN`, or `key SCOPE...`. Return 2 if it would be refused."""
    what, *given = arguments
    try:
        entry, notes = _new_key(given) if what == "key" else _new_client(*given)
    except BadFile as error:
        typer.echo(f"the API would refuse this entry: {error}", err=True)
        return _REFUSED
    typer.echo(notes, err=True)
    typer.echo(entry)
    return 0


def _new_client(client_id: str, origin: str) -> tuple[str, str]:
    api_key, return_secret = f"pk_{secrets.token_urlsafe(32)}", f"rs_{secrets.token_urlsafe(32)}"
    place = f"{_SECRETS_FOLDER}/{client_id}.return"
    entry = f"""
[[client]]
id = {_quoted(client_id)}
name = {_quoted(client_id)}
key_hashes = [{_quoted(key_hash(api_key))}]
scopes = ["orders:write", "orders:read"]
redirect_origins = [{_quoted(origin)}]
rate_limit_per_second = 50
return_secret = {_quoted(f"file:{place}")}"""
    check_clients(entry)
    return entry, f"API key, shown once: {api_key}\nReturn secret, to be written to {place}: {return_secret}"


def _new_key(scopes: Sequence[str]) -> tuple[str, str]:
    api_key = f"pk_{secrets.token_urlsafe(32)}"
    entry = f"""
[[client.keys]]
hash = {_quoted(key_hash(api_key))}
scopes = [{", ".join(map(_quoted, scopes))}]"""
    check_clients(f'[[client]]\nid = "a"\nname = "a"\nredirect_origins = []\nreturn_secret = "env:A"\n{entry}')
    return entry, f"API key, shown once: {api_key}\nThe entry belongs right below the one of its client."


def _quoted(text: str) -> str:
    """Return a TOML string. JSON's escapes are TOML's; what JSON leaves as it is and TOML forbids is refused later."""
    return json.dumps(text, ensure_ascii=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
