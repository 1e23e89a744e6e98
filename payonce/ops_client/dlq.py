"""`payonce dlq list | show | edit | approve | withdraw | replay | discard`: dead letters, from a terminal.

Exit codes: 0 done, 1 refused or away (the reason is on standard error), 130 a replay stopped by Ctrl-C.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import Progress

from payonce.ops_client import screens
from payonce.ops_client.client import OpsClient, OpsProblem
from payonce.ops_client.wishes import BadWish, changes_of, edited_body, seconds_of
from payonce.settings import OpsClientSettings

_POLL_SECONDS = 0.3
_INTERRUPTED = 130
app = typer.Typer(no_args_is_help=True, help="Dead letters: look, edit, replay, discard. Needs PAYONCE_OPS_TOKEN.")
_out, _err = Console(), Console(stderr=True)

LetterId = Annotated[str, typer.Argument(help="the dead letter's id, dl_...")]
Why = Annotated[str, typer.Option("--why", help="the reason; it stands in the audit chain for ever")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead")]
Order = Annotated[str | None, typer.Option("--order", help="order id, or the PSP id of a webhook without one")]
Reason = Annotated[str | None, typer.Option("--reason", help="see docs/dead-letters.md")]
Topic = Annotated[str | None, typer.Option("--topic", help="the original or the dead-letter topic")]
Group = Annotated[str | None, typer.Option("--group", help="who failed: psp_worker, status_processor")]
Older = Annotated[str | None, typer.Option("--older-than", help="first seen longer ago than: 90s, 30m, 2h, 7d")]
Newer = Annotated[str | None, typer.Option("--newer-than", help="first seen within: 90s, 30m, 2h, 7d")]


@app.command("list")
def list_letters(
    *,
    order: Order = None,
    reason: Reason = None,
    topic: Topic = None,
    group: Group = None,
    state: Annotated[str | None, typer.Option("--state", help="open, replayed, resolved or discarded")] = "open",
    all_states: Annotated[bool, typer.Option("--all", help="in every state")] = False,
    older_than: Older = None,
    newer_than: Newer = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="at most so many")] = 100,
    as_json: AsJson = False,
) -> None:
    """List dead letters, oldest first."""
    with _client() as client:
        wanted = _filter(order, reason, topic, group, older_than, newer_than)
        letters = list(client.letters({**wanted, "state": None if all_states else state}, limit))
    if as_json:
        _print_json(letters)
    elif letters:
        _out.print(screens.letters_table(letters, time.time()))
    else:
        _out.print("no dead letters")


@app.command("show")
def show_letter(letter_id: LetterId, as_json: AsJson = False) -> None:
    """Show one: its body decoded, its order's timeline and ledger, what was done about it, what a replay would do."""
    with _client() as client:
        letter = client.letter(letter_id)
    if as_json:
        _print_json(letter)
    else:
        screens.show_letter(_out, letter)


@app.command("edit")
def edit_letter(
    *,
    letter_id: LetterId,
    why: Why,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="field=value, dotted: terms.amount=1050; without: $EDITOR")
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="another key")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="another ce_type")] = None,
    as_json: AsJson = False,
) -> None:
    """Change one for its next replay; shows what differs. Money needs another person's approval."""
    with _client() as client:
        wish: dict[str, Any] = {"why": why, "key": key, "type": kind}
        if assignments:
            wish["changes"] = changes_of(assignments)
        elif key is None and kind is None:
            wish["body"] = edited_body(client.letter(letter_id))
        answer = client.edit(letter_id, {name: value for name, value in wish.items() if value is not None})
    if as_json:
        _print_json(answer)
        return
    _out.print(screens.differences(answer))
    _out.print(f"it fits {answer['message']}; hash {answer['edit_hash']}")
    if answer["needs_approval"]:
        _out.print(
            f"it touches money: another person must run\n  payonce dlq approve {letter_id} --hash <hash> --why ..."
        )
    else:
        _out.print(f"send it with\n  payonce dlq replay {letter_id} --why ...")


@app.command("approve")
def approve_edit(
    letter_id: LetterId,
    why: Why,
    edit_hash: Annotated[str, typer.Option("--hash", help="the edit that you have looked at (payonce dlq show)")],
    as_json: AsJson = False,
) -> None:
    """Approve another person's edit."""
    _act(lambda client: client.approve(letter_id, edit_hash, why), "approved", as_json=as_json)


@app.command("withdraw")
def withdraw_edit(letter_id: LetterId, why: Why, as_json: AsJson = False) -> None:
    """Forget the pending edit."""
    _act(lambda client: client.withdraw_edit(letter_id, why), "the edit is withdrawn", as_json=as_json)


@app.command("discard")
def discard_letter(letter_id: LetterId, why: Why, as_json: AsJson = False) -> None:
    """Set one aside for good. It stays readable."""
    _act(lambda client: client.discard(letter_id, why), "discarded", as_json=as_json)


@app.command("replay")
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
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    as_json: AsJson = False,
) -> None:
    """Send dead letters again, after a preview. Ctrl-C stops: what was sent stays sent."""
    with _client() as client:
        wanted = _filter(order, reason, topic, group, older_than, newer_than)
        selection = _selection(letter_ids, wanted, everything=everything)
        preview = client.replay(selection, why=why, dry_run=True)
        if dry_run or not as_json:
            _show(preview, screens.preview_text(preview), as_json=as_json)
        if dry_run:
            return
        if not (yes or as_json or typer.confirm("replay them?")):
            raise typer.Exit(1)
        status = _follow(client, client.replay(selection, why=why, dry_run=False), quiet=as_json)
    _show(status, _ended(status), as_json=as_json)
    if status["state"] == "cancelled":
        raise typer.Exit(_INTERRUPTED)


def _follow(client: OpsClient, status: Mapping[str, Any], *, quiet: bool) -> Mapping[str, Any]:
    """Show progress until the replay has ended; Ctrl-C cancels it."""
    replay_id = str(status["id"])
    try:
        with Progress(console=_err, disable=quiet) as progress:
            bar = progress.add_task(replay_id, total=status["total"])
            while status["state"] == "running":
                time.sleep(_POLL_SECONDS)
                status = client.replay_status(replay_id)
                items = status["items"]
                progress.update(bar, completed=items.get("sent", 0) + items.get("skipped", 0))
    except KeyboardInterrupt:
        return client.cancel_replay(replay_id, "stopped at the terminal")
    return status


def _ended(status: Mapping[str, Any]) -> str:
    items = status["items"]
    left = items.get("waiting", 0)
    lines = [f"{status['state']}: {items.get('sent', 0)} sent, {items.get('skipped', 0)} stay, {left} not reached"]
    lines += [f"  {each['id']}  {screens.plain(each['note'] or '')}" for each in status["skipped"]]
    return "\n".join(lines)


def _filter(*values: str | None) -> dict[str, Any]:
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


def _selection(ids: list[str] | None, wanted: Mapping[str, Any], *, everything: bool) -> dict[str, Any]:
    if ids and (wanted or everything):
        raise BadWish("name ids or select with options, not both")
    if not ids and not wanted and not everything:
        raise BadWish("say which: ids, options, or --all")
    return {"ids": ids} if ids else {"filter": dict(wanted)}


def _act(deed: Callable[[OpsClient], Mapping[str, Any]], done: str, *, as_json: bool) -> None:
    with _client() as client:
        answer = deed(client)
    _show(answer, done, as_json=as_json)


@contextmanager
def _client() -> Iterator[OpsClient]:
    settings = OpsClientSettings()
    if not settings.ops_token.get_secret_value():
        _fail("set PAYONCE_OPS_TOKEN to your operator token")
    try:
        yield OpsClient(settings.ops_url, settings.ops_token.get_secret_value())
    except (OpsProblem, BadWish) as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    _err.print(screens.plain(message), style="red", highlight=False)
    raise typer.Exit(1)


def _show(document: Any, text: str, *, as_json: bool) -> None:
    if as_json:
        _print_json(document)
    else:
        _out.print(text, highlight=False)


def _print_json(document: Any) -> None:
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
