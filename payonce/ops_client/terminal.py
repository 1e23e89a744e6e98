"""What every command of `payonce dlq` shares: its options, the client, and how it speaks and fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from payonce.ops_client import screens
from payonce.ops_client.client import OpsClient, OpsProblem
from payonce.ops_client.wishes import BadWish, seconds_of
from payonce.settings import OpsClientSettings

out, err = Console(), Console(stderr=True)

Why = Annotated[str, typer.Option("--why", help="the reason; it stands in the audit chain for ever")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead")]
Order = Annotated[str | None, typer.Option("--order", help="order id, or the PSP id of a webhook without one")]
Reason = Annotated[str | None, typer.Option("--reason", help="see docs/dead-letters.md")]
Topic = Annotated[str | None, typer.Option("--topic", help="the original or the dead-letter topic")]
Group = Annotated[str | None, typer.Option("--group", help="who failed: psp_worker, status_processor")]
Older = Annotated[str | None, typer.Option("--older-than", help="first seen longer ago than: 90s, 30m, 2h, 7d")]
Newer = Annotated[str | None, typer.Option("--newer-than", help="first seen within: 90s, 30m, 2h, 7d")]


@contextmanager
def speaking_client() -> Iterator[OpsClient]:
    """Yield the client of whoever has the token; what it refuses, or a wish that cannot be meant, ends with code 1."""
    settings = OpsClientSettings()
    if not settings.ops_token.get_secret_value():
        fail("set PAYONCE_OPS_TOKEN to your operator token")
    try:
        yield OpsClient(settings.ops_url, settings.ops_token.get_secret_value())
    except (OpsProblem, BadWish) as error:
        fail(str(error))


def fail(message: str) -> NoReturn:
    """Say why not, and end with code 1."""
    err.print(screens.plain(message), style="red", highlight=False)
    raise typer.Exit(1)


def show(document: Any, text: str, *, as_json: bool) -> None:
    """Print an answer, for people or for programs."""
    if as_json:
        print_json(document)
    else:
        out.print(text, highlight=False)


def print_json(document: Any) -> None:
    """Print an answer for programs."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def wanted_letters(*values: str | None) -> dict[str, Any]:
    """Return the filter that the six options make, in the order in which they stand above. Raises BadWish."""
    order, reason, topic, group, older_than, newer_than = values
    given = {
        "order": order,
        "reason": reason,
        "topic": topic,
        "group": group,
        "older_than_seconds": seconds_of(older_than),
        "newer_than_seconds": seconds_of(newer_than),
    }
    return {name: value for name, value in given.items() if value is not None}
