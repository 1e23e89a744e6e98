"""When an order is due, as both doubles of the tables reckon it: in Python what the real store does in SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from payonce.domain.facts import DISPUTE_DECIDED, DISPUTE_RANK
from payonce.ports import DueRule

_APPEALS = [status for status, rank in DISPUTE_RANK.items() if rank > DISPUTE_DECIDED]
_NOTHING: Mapping[str, Any] = {}


def due_times(rules: Mapping[str, DueRule], reason: str, begin: int, until: int) -> Iterator[int]:
    """Yield when what began then is due by the rule of that name; of the repetitions only the latest up to `until`."""
    rule = rules.get(reason)
    if rule is None:
        return
    yield from (begin + age for age in rule.ages)
    last = begin + rule.ages[-1]
    if rule.then_every is not None and until > last:
        yield until - (until - last) % rule.then_every


def appeal_begins(status: str, facts: Mapping[str, Any], since: int, updated_at: int) -> dict[str, int]:
    """Return from when on the rules for appeals count, by their reasons."""
    begins = {}
    if status in {"disputed", "charged_back"} and any(_is_unanswered(facts, name) for name in _appealed(facts)):
        begins["appealed"] = updated_at
    if status == "charged_back" and _appealed(facts):
        begins["lost_again"] = since
    return begins


def _appealed(facts: Mapping[str, Any]) -> list[str]:
    disputes = facts.get("disputes", _NOTHING)
    return [name for name, told in disputes.items() if told["state"][1] > DISPUTE_DECIDED]


def _is_unanswered(facts: Mapping[str, Any], name: str) -> bool:
    told = facts["disputes"][name]
    seen = facts.get("snapshots", _NOTHING).get(name)
    if seen is None or seen[3:5] != [told["state"][0], DISPUTE_DECIDED]:
        return True
    dates = [-told["seen"][status] for status in _APPEALS if status in told.get("seen", _NOTHING)]
    return bool(seen[1] <= max(dates, default=0))
