"""When money was first seen to move. Shown to people and used for sums over time; no status ever depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from payonce.domain.merge import Facts

#: Where the PSP's status stands in a state, by family.
_STATUS_AT: Final = {"refunds": 1, "disputes": 2}


def dated(facts: Facts, at: int) -> Facts:
    """Return the facts with the time (unix seconds) of the message that tells them.

    A refund and a dispute have a time per status, so that going and coming back are told apart. Pure; merging keeps the
    earliest.
    """
    added: dict[str, Any] = {}
    if "payments" in facts:
        added["payments"] = {name: {**told, "seen": -at} for name, told in facts["payments"].items()}
    for family, status_at in _STATUS_AT.items():
        if family in facts:
            added[family] = {
                psp_id: {**told, "seen": {told["state"][status_at]: -at}} for psp_id, told in facts[family].items()
            }
    return {**facts, **added} if added else facts


def first_seen(told: Mapping[str, Any]) -> int | None:
    """Return when a payment, a refund or a dispute was first told, None if its facts are older than this question."""
    seen = told.get("seen")
    if isinstance(seen, Mapping):
        return -max(seen.values(), default=0) or None
    return None if seen is None else -int(seen)


def first_seen_as(told: Mapping[str, Any], *statuses: str) -> int | None:
    """Return when a refund or a dispute was first told to be in one of these statuses, None if that is not known."""
    seen = told.get("seen", {})
    return min((-seen[status] for status in statuses if status in seen), default=None)
