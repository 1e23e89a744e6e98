"""What a person sees of the demo: live progress, then the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sandbox.demo.life_lines import in_words
from sandbox.demo.summary import Summary
from sandbox.demo.traffic import Traffic, percentile


def progress(traffic: Traffic, statuses: Mapping[str, str], topics: Mapping[str, int]) -> RenderableType:
    """Return the live picture: orders by status, events per topic, latency."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("orders by status")
    table.add_column("records per topic")
    table.add_column("latency p50 / p99")
    by_status = "\n".join(f"{count:5}  {name}" for name, count in sorted(Counter(statuses.values()).items()))
    by_topic = "\n".join(f"{count:5}  {name}" for name, count in topics.items())
    latency = f"order accepted  {_pair(traffic.accepted_seconds)}\npage shown      {_pair(traffic.page_seconds)}"
    table.add_row(by_status, by_topic, latency)
    return Group(Text(f"{len(traffic.placed)} of {traffic.wanted} orders placed", style="bold"), table)


def one_line(traffic: Traffic, statuses: Mapping[str, str], topics: Mapping[str, int]) -> str:
    """Return the same for a log: one line."""
    by_status = ", ".join(f"{count} {name}" for name, count in sorted(Counter(statuses.values()).items()))
    records = sum(topics.values())
    return f"{len(traffic.placed)}/{traffic.wanted} placed; {by_status or 'none stored yet'}; {records} records"


class Progress:
    """Shows progress in place on a terminal, as lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4) if console.is_terminal else None
        self._last = ""

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, traffic: Traffic, statuses: Mapping[str, str], topics: Mapping[str, int]) -> None:
        """Show how it stands; an unchanged line is not printed again."""
        if self._live:
            self._live.update(progress(traffic, statuses, topics))
        elif (line := one_line(traffic, statuses, topics)) != self._last:
            self._console.print(line, highlight=False)
            self._last = line


def render(summary: Summary, traffic: Traffic) -> RenderableType:
    """Return the summary: every line ends in equal or DIFFERENT."""
    sessions = Text(f"orders with more than one session at the PSP: {summary.sessions_doubled}  ")
    sessions.append(_verdict(equal=summary.sessions_doubled == 0))
    latency = Text(
        f"order accepted p50 / p99: {_pair(traffic.accepted_seconds)}; hosted page shown: {_pair(traffic.page_seconds)}"
    )
    return Group(_customers(summary), _lives(summary), _money(summary), sessions, latency)


def _customers(summary: Summary) -> Table:
    table = _table("what each customer did, and what payment_order_status says", "customer", "must be", "is")
    for line in summary.behaviours:
        found = ", ".join(f"{count} {status}" for status, count in sorted(line.found.items()))
        table.add_row(line.behaviour.value, f"{line.orders} {line.expected}", found, _verdict(equal=line.equal))
    return table


def _lives(summary: Summary) -> Table:
    table = _table("the lives of a payment, while days pass", "life", "must be", "is", "money moved")
    for line in summary.lives:
        moved = in_words(line.moved)
        if line.moved != line.expected:
            moved += f", not {in_words(line.expected)}"
        is_now = Text(f"{line.status}: {line.trouble}" if line.trouble else line.status)
        table.add_row(line.life.name, line.life.status, is_now, moved, _verdict(equal=line.equal))
    return table


def _money(summary: Summary) -> Table:
    others = list(summary.money[0].further) if summary.money else []
    title = "money received, less what went back, in minor units"
    table = _table(title, "currency", "must be", "PostgreSQL", *others, "analytics", numbers=True)
    for line in summary.money:
        sums = (line.expected, line.recorded, *line.further.values(), line.analysed)
        table.add_row(line.currency, *(f"{amount:,}" for amount in sums), _verdict(equal=line.equal))
    return table


def _table(title: str, first: str, *headings: str, numbers: bool = False) -> Table:
    """Return an empty table whose last column is the verdict."""
    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for heading in headings:
        table.add_column(heading, justify="right" if numbers else "left")
    table.add_column("")
    return table


def _verdict(*, equal: bool) -> Text:
    return Text("equal", style="green") if equal else Text("DIFFERENT", style="bold red")


def _pair(seconds: list[float]) -> str:
    return f"{percentile(seconds, 0.5) * 1000:.0f} / {percentile(seconds, 0.99) * 1000:.0f} ms"
