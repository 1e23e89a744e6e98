"""`payonce dlq`: list, show, edit, approve, withdraw, discard, replay, replays, cancel: dead letters, from a terminal.

Exit codes: 0 done, 1 refused or away (the reason is on standard error), 130 a replay stopped by Ctrl-C.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from payonce.ops_client import replaying, screens
from payonce.ops_client.client import OpsClient
from payonce.ops_client.terminal import (
    AsJson,
    Group,
    Newer,
    Older,
    Order,
    Reason,
    Topic,
    Why,
    out,
    print_json,
    show,
    speaking_client,
    wanted_letters,
)
from payonce.ops_client.wishes import changes_of, edited_body

app = typer.Typer(no_args_is_help=True, help="Dead letters: look, edit, replay, discard. Needs PAYONCE_OPS_TOKEN.")

LetterId = Annotated[str, typer.Argument(help="the dead letter's id, dl_...")]


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
    with speaking_client() as client:
        wanted = wanted_letters(order, reason, topic, group, older_than, newer_than)
        letters = list(client.letters({**wanted, "state": None if all_states else state}, limit))
    if as_json:
        print_json(letters)
    elif letters:
        out.print(screens.letters_table(letters, time.time()))
    else:
        out.print("no dead letters")


@app.command("show")
def show_letter(letter_id: LetterId, as_json: AsJson = False) -> None:
    """Show one: its body decoded, its order's timeline and ledger, what was done about it, what a replay would do."""
    with speaking_client() as client:
        letter = client.letter(letter_id)
    if as_json:
        print_json(letter)
    else:
        screens.show_letter(out, letter)


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
    with speaking_client() as client:
        wish: dict[str, Any] = {"why": why, "key": key, "type": kind}
        if assignments:
            wish["changes"] = changes_of(assignments)
        elif key is None and kind is None:
            wish["body"] = edited_body(client.letter(letter_id))
        answer = client.edit(letter_id, {name: value for name, value in wish.items() if value is not None})
    if as_json:
        print_json(answer)
        return
    out.print(screens.differences(answer))
    out.print(f"it fits {answer['message']}; hash {answer['edit_hash']}")
    if answer["needs_approval"]:
        out.print(
            f"it touches money: another person must run\n  payonce dlq approve {letter_id} --hash <hash> --why ..."
        )
    else:
        out.print(f"send it with\n  payonce dlq replay {letter_id} --why ...")


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


app.command("replay")(replaying.replay_letters)
app.command("replays")(replaying.list_replays)
app.command("cancel")(replaying.cancel_replay)


def _act(deed: Callable[[OpsClient], Mapping[str, Any]], done: str, *, as_json: bool) -> None:
    with speaking_client() as client:
        answer = deed(client)
    show(answer, done, as_json=as_json)
