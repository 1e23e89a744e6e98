"""The audit chain and the list of replays, in memory and in PostgreSQL: one suite for both."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from payonce.audit import chained, check, former_hashes, renumbered
from payonce.ports.ops import Action, OpsTransaction, Replay
from tests.fakes.ops_stores import Fake, Real, chosen
from tests.fakes.virtual_clock import START

NOW = datetime.fromtimestamp(START, UTC)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.stack)])
def world(request: pytest.FixtureRequest) -> Iterator[Fake | Real]:
    yield from chosen(request)


def test_the_chain_is_read_back_as_it_was_hashed(world: Fake | Real) -> None:
    def act(tx: OpsTransaction) -> None:
        detail = {"order": None, "paths": ["terms.amount"], "n": 3, "text": 'é"\\', "nested": {"b": 1, "a": [True]}}
        action = Action(NOW.replace(microsecond=123_987), "olga", "edit", "dl_1", "why ü", "b", None, detail)
        tx.append_action(chained(action, tx.last_action()))

    for _ in range(3):
        world.run(act)

    entries = world.run(lambda tx: tx.unpublished_actions(10))
    check(entries)
    assert [entry.sequence for entry in entries] == [1, 2, 3]
    assert world.run(lambda tx: tx.newest_published()) is None
    world.run(lambda tx: tx.mark_published(entries[:2]))
    assert [entry.sequence for entry in world.run(lambda tx: tx.unpublished_actions(10))] == [3]
    assert world.run(lambda tx: tx.newest_published()) == entries[1]
    assert world.run(lambda tx: tx.actions_between(2)) == entries[1:]
    assert world.run(lambda tx: tx.actions_between(1, 2)) == entries[:2]
    assert [entry.sequence for entry in world.run(lambda tx: tx.actions_of("dl_1", 2))] == [2, 3]


def test_what_is_not_published_may_follow_under_another_number_and_says_its_former_name(world: Fake | Real) -> None:
    """As after a restore: see services/ops_console/anchoring.py."""
    for subject in ("dl_1", "dl_2", "dl_3"):
        action = Action(NOW, "olga", "discard", subject, "spam")
        world.run(lambda tx, action=action: tx.append_action(chained(action, tx.last_action())))  # type: ignore[misc]
    first, displaced, _ = world.run(lambda tx: tx.actions_between(1))
    world.run(lambda tx: tx.mark_published([first]))
    other = chained(Action(NOW, "olga", "edit", "dl_4", "typo"), first)
    moved = renumbered(displaced, other)

    def heal(tx: OpsTransaction) -> None:
        tx.withdraw_unpublished()
        tx.append_action(other)
        tx.mark_published([displaced])  # number 2 is another entry's by now
        tx.append_action(moved)

    world.run(heal)

    chain = world.run(lambda tx: tx.actions_between(1))
    check(chain)
    assert chain == [first, other, moved]
    assert world.run(lambda tx: tx.newest_published()) == first
    assert world.run(lambda tx: tx.has_taken_up(displaced.hash))
    assert not world.run(lambda tx: tx.has_taken_up(first.hash))
    further = renumbered(moved, moved)
    world.run(lambda tx: tx.append_action(further))
    assert former_hashes(world.run(lambda tx: tx.actions_between(4))[0]) == (displaced.hash, moved.hash)


def test_replays_are_listed_newest_first_page_by_page(world: Fake | Real) -> None:
    for number, state in enumerate(("finished", "running", "cancelled", "running")):
        replay = Replay(f"rp_{number}", "olga", NOW + timedelta(seconds=number // 2), "why", state=state)  # type: ignore[arg-type]
        world.run(lambda tx, replay=replay: tx.insert_replay(replay, []))  # type: ignore[misc]

    def ids(**asked: Any) -> list[str]:
        return [each.replay_id for each in world.run(lambda tx: tx.replays(**asked))]

    assert ids(limit=10) == ["rp_3", "rp_2", "rp_1", "rp_0"]
    assert ids(limit=2, after="rp_3") == ["rp_2", "rp_1"]
    assert ids(limit=10, state="running") == ["rp_3", "rp_1"]
    assert ids(limit=10, state="running", after="rp_3") == ["rp_1"]
    assert ids(limit=10, after="rp_9") == []
