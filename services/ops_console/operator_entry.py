"""A new entry of the operators file, for `payonce operators`. Prints none that the console would refuse to read.

The entry goes to standard output, the token to standard error: it is shown once, and does not slip into the file.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Sequence

import typer

from payonce.watched_file import BadFile
from services.ops_console.operators import read_operators, token_hash

_REFUSED = 2


def main(arguments: Sequence[str]) -> int:
    """Print the entry of `ID NAME ROLE...`. Return 2 if it would be refused."""
    operator_id, name, *roles = arguments
    token = f"ot_{secrets.token_urlsafe(32)}"
    entry = f"""
[[operator]]
id = {_quoted(operator_id)}
name = {_quoted(name)}
token_hashes = [{_quoted(token_hash(token))}]
roles = [{", ".join(map(_quoted, roles))}]"""
    try:
        read_operators(entry)
    except BadFile as error:
        typer.echo(f"the console would refuse this entry: {error}", err=True)
        return _REFUSED
    typer.echo(f"Token, shown once: {token}", err=True)
    typer.echo(entry)
    return 0


def _quoted(text: str) -> str:
    """Return a TOML string. JSON's escapes are TOML's; what JSON leaves as it is and TOML forbids is refused later."""
    return json.dumps(text, ensure_ascii=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
