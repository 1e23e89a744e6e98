"""What `payonce dlq` shows people. Everything that came from outside is shown as plain text, control characters out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_LONG = 60


def letters_table(letters: Iterable[Mapping[str, Any]], now: float) -> Table:
    """Return a list of dead letters."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "order", "reason", "from", "failed in", "times", "age", "state"):
        table.add_column(column, overflow="fold" if column in {"id", "order"} else "ellipsis")
    for letter in letters:
        state = letter["state"] + ("" if letter["edit"] == "none" else f" (edit: {letter['edit']})")
        cells = (
            letter["id"],
            letter["order"] or "-",
            letter["reason"],
            letter["topic"],
            letter["group"],
            str(letter["attempts"]),
            age(now - letter["first_seen"]),
            state,
        )
        table.add_row(*(plain(cell) for cell in cells))
    return table


def show_letter(console: Console, letter: Mapping[str, Any]) -> None:
    """Print one dead letter with all that helps to judge it."""
    facts = ("id", "state", "reason", "error", "topic", "group", "origin", "position", "key", "type", "attempts")
    for name in (*facts, "readable", "next_replay"):
        console.print(f"[bold]{name:<12}[/bold] {plain(str(letter[name]))}")
    console.print(f"[bold]{'seen':<12}[/bold] {moment(letter['first_seen'])} to {moment(letter['last_seen'])}")
    if letter["other_groups"]:
        console.print(f"[bold]{'also':<12}[/bold] {plain(', '.join(letter['other_groups']))}")
    body = letter["body"]
    console.rule(f"body: {body['size_bytes']} bytes, {body['encoding']}")
    console.print(plain(document(body["content"])), highlight=False)
    if letter["replaced_by"]:
        console.rule("what was sent last in its place")
        console.print(plain(document(letter["replaced_by"]["content"])), highlight=False)
    _show_edit(console, letter["pending_edit"])
    attempts = [(f"attempt {row['attempt']}", row["state"]) for row in letter["ledger"]]
    refunds = [(f"refund {row['refund_reference']}", row["state"]) for row in letter["refunds"]]
    _show_lines(console, "ledger", attempts + refunds)
    _show_lines(
        console,
        "timeline of the order",
        [
            (moment(line["at"]), line["type"], line["effect"], line["reason"] or "", line["position"])
            for line in letter["timeline"]
        ],
    )
    _show_lines(
        console,
        "what was done",
        [(moment(line["at"]), line["actor"], line["action"], line["why"]) for line in letter["actions"]],
    )


def differences(answer: Mapping[str, Any]) -> Table:
    """Return an edit's differences."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("field", "before", "after"):
        table.add_column(column, overflow="fold")
    for each in answer["differences"]:
        before, after = plain(document(each["before"])), plain(document(each["after"]))
        table.add_row(plain(each["path"]), f"[red]{before}[/red]", f"[green]{after}[/green]")
    return table


def preview_text(preview: Mapping[str, Any]) -> str:
    """Return what a replay would do, in a few lines."""
    lines = [f"{preview['selected']} selected, {preview['sending']} would be sent"]
    lines += [f"  {count:>6}  {how}" for how, count in sorted(preview["by_how"].items())]
    lines += [f"  {count:>6}  stay: {plain(why)}" for why, count in sorted(preview["skipped"].items())]
    rate = preview["commands_per_second"]
    lines.append(f"commands at {rate:g}/s, the PSP's share for replays; it takes about {age(preview['eta_seconds'])}")
    lines += [f"  {each['id']}  {each['how']}: {plain(each['note'])}" for each in preview["first"] if each["note"]]
    return "\n".join(lines)


def ended_text(status: Mapping[str, Any]) -> str:
    """Return how a replay ended."""
    items = status["items"]
    left = items.get("waiting", 0)
    lines = [f"{status['state']}: {items.get('sent', 0)} sent, {items.get('skipped', 0)} stay, {left} not reached"]
    lines += [f"  {each['id']}  {plain(each['note'] or '')}" for each in status["skipped"]]
    return "\n".join(lines)


def replays_table(replays: Iterable[Mapping[str, Any]], now: float) -> Table:
    """Return a list of replays."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "state", "by", "age", "sent", "stay", "of", "why"):
        table.add_column(column, overflow="fold" if column in {"id", "why"} else "ellipsis")
    for replay in replays:
        items = replay["items"]
        counts = (items.get("sent", 0), items.get("skipped", 0), replay["total"])
        cells = (replay["id"], replay["state"], replay["started_by"], age(now - replay["started_at"]))
        table.add_row(*(plain(cell) for cell in (*cells, *map(str, counts), replay["why"])))
    return table


def age(seconds: float) -> str:
    """Return a duration as people say it: 12s, 5m, 3h, 9d."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


def moment(seconds: float) -> str:
    """Return a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def document(content: Any) -> str:
    """Return JSON for reading, text as it is."""
    return content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False)


def plain(text: str) -> str:
    """Return text that cannot steer the terminal or the markup."""
    return escape("".join(sign if sign.isprintable() or sign == "\n" else "\ufffd" for sign in text))


def _show_edit(console: Console, edit: Mapping[str, Any] | None) -> None:
    if edit is None:
        return
    if edit["approved_by"]:
        approval = f"approved by {edit['approved_by']}"
    else:
        approval = "needs a second person's approval" if edit["needs_approval"] else "needs no approval"
    console.rule("its edit")
    console.print(plain(f"{edit['by']}, {moment(edit['at'])}: {edit['why']} ({approval})"))
    console.print(plain(f"hash {edit['hash']}"))
    console.print(plain(document(edit["body"])), highlight=False)


def _show_lines(console: Console, title: str, lines: Iterable[tuple[str, ...]]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for line in lines:
        table.add_row(*(plain(cell) for cell in line))
    if table.row_count:
        console.rule(title)
        console.print(table)
