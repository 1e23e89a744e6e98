"""`payonce dlq replay | replays | cancel`: a replay runs in the console, whatever becomes of the terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.progress import Progress

from payonce.ops_client import screens
from payonce.ops_client.client import OpsClient, OpsProblem
from payonce.ops_client.terminal import (
    AsJson,
    Group,
    Newer,
    Older,
    Order,
    Reason,
    Topic,
    Why,
    err,
    out,
    print_json,
    show,
    speaking_client,
    wanted_letters,
)
from payonce.ops_client.wishes import BadWish

_POLL_SECONDS = 0.3
#: So long a console may be away while its replay is followed: it starts again within seconds.
_PATIENCE_SECONDS = 60.0
_AWAY = frozenset({0, 502, 503, 504})
_INTERRUPTED = 130


def replay_letters(
    *,
    why: Why,
    letter_ids: Annotated[list[str] | None, typer.Argument(help="ids; or select with the options")] = None,
    order: Order = None,
    reason: Reason = None,
    topic: Topic = None,
    group: Group = None,
    older_than: Older = None,
    newer_than: Newer = None,
    everything: Annotated[bool, typer.Option("--all", help="all open ones")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would happen")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask; needed with --json, unless --dry-run")] = False,
    as_json: AsJson = False,
) -> None:
    """Send dead letters again, after a preview. Ctrl-C stops: what was sent stays sent."""
    with speaking_client() as client:
        if as_json and not (yes or dry_run):
            raise BadWish("--json cannot ask: say --yes to send them, or --dry-run to see what would happen")
        wanted = wanted_letters(order, reason, topic, group, older_than, newer_than)
        selection = _selection(letter_ids, wanted, everything=everything)
        preview = client.replay(selection, why=why, dry_run=True)
        if dry_run or not as_json:
            show(preview, screens.preview_text(preview), as_json=as_json)
        if dry_run:
            return
        if not (yes or typer.confirm("replay them?")):
            raise typer.Exit(1)
        status = _follow(client, client.replay(selection, why=why, dry_run=False), quiet=as_json)
    show(status, screens.ended_text(status), as_json=as_json)
    if status["state"] == "cancelled":
        raise typer.Exit(_INTERRUPTED)


def list_replays(
    *,
    running: Annotated[bool, typer.Option("--running", help="only those that are not at their end")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="at most so many")] = 20,
    as_json: AsJson = False,
) -> None:
    """List replays, the newest first: who started them, why, and how far they are."""
    with speaking_client() as client:
        replays = list(client.replays("running" if running else None, limit))
    if as_json:
        print_json(replays)
    elif replays:
        out.print(screens.replays_table(replays, time.time()))
    else:
        out.print("no replays")


def cancel_replay(
    replay_id: Annotated[str, typer.Argument(help="the replay's id, rp_... (payonce dlq replays)")],
    why: Why,
    as_json: AsJson = False,
) -> None:
    """Stop a replay, whoever started it. What was sent stays sent."""
    with speaking_client() as client:
        status = client.cancel_replay(replay_id, why)
    show(status, screens.ended_text(status), as_json=as_json)


def _selection(ids: list[str] | None, wanted: Mapping[str, Any], *, everything: bool) -> dict[str, Any]:
    if ids and (wanted or everything):
        raise BadWish("name ids or select with options, not both")
    if not ids and not wanted and not everything:
        raise BadWish("say which: ids, options, or --all")
    return {"ids": ids} if ids else {"filter": dict(wanted)}


def _follow(client: OpsClient, status: Mapping[str, Any], *, quiet: bool) -> Mapping[str, Any]:
    """Show progress until the replay has ended; Ctrl-C cancels it. Raises OpsProblem, and the replay goes on."""
    replay_id = str(status["id"])
    err.print(f"replay {replay_id}, {status['total']} letters", highlight=False)
    try:
        with Progress(console=err, disable=quiet) as progress:
            bar = progress.add_task(replay_id, total=status["total"])
            while status["state"] == "running":
                time.sleep(_POLL_SECONDS)
                status = _patient_status(client, replay_id)
                items = status["items"]
                progress.update(bar, completed=items.get("sent", 0) + items.get("skipped", 0))
    except KeyboardInterrupt:
        return client.cancel_replay(replay_id, "stopped at the terminal")
    except OpsProblem as problem:
        detail = f"{problem.detail}\nthe replay goes on: payonce dlq replays, payonce dlq cancel {replay_id} --why ..."
        raise OpsProblem(problem.status, problem.kind, detail) from problem
    return status


def _patient_status(client: OpsClient, replay_id: str) -> Mapping[str, Any]:
    """Return how far the replay is, waiting a while for a console that is away. Raises OpsProblem."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return client.replay_status(replay_id)
        except OpsProblem as problem:
            if problem.status not in _AWAY or time.monotonic() > until:
                raise
        time.sleep(_POLL_SECONDS)
