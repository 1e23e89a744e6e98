"""A Kafka client that takes records from the log and hands them to nobody, at random: the fold must not go on."""

from __future__ import annotations

import asyncio
import random

import pytest

from services.status_processor.chores import LOOK_SECONDS
from services.status_processor.succession import RecordsPassedOver, Succession
from tests.simulation.fold_member import FoldMember
from tests.simulation.run import report, run_seed

SEEDS = range(1_000, 1_060)


@pytest.fixture
def passed_over(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let every third assignment's first fetch pass a record over; returns the offsets."""
    offsets: list[int] = []
    rng = random.Random(7)  # noqa: S311  (a seed of a test)
    fetch = FoldMember._fetch

    def clumsy(self: FoldMember) -> None:
        log, ahead = self._group.log, self._next
        unread = [place for place in ahead if ahead[place] < log.end(place)]
        if unread and not self.is_leaving and vars(self).get("_clumsy_in") != self.generation:
            vars(self)["_clumsy_in"] = self.generation
            if rng.random() < 1 / 3:
                place = rng.choice(unread)
                offsets.append(ahead[place])
                ahead[place] += 1
        fetch(self)

    run = FoldMember.run

    async def looking(self: FoldMember) -> None:
        self._network.loop.create_task(_look(self))
        await run(self)

    monkeypatch.setattr(FoldMember, "_fetch", clumsy)
    monkeypatch.setattr(FoldMember, "run", looking)
    return offsets


async def _look(member: FoldMember) -> None:
    """Do the process's chore, which the other seeds do without: nothing is passed over there."""
    while member.owner.is_alive:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            await member.batches.look({place: member._group.log.end(place) for place in member._next})
        except RecordsPassedOver as error:
            member._failed(error)


def test_records_that_are_passed_over_are_read_again(passed_over: list[int]) -> None:
    for seed in SEEDS:
        result = run_seed(seed)
        assert result.violations == (), report(result)

    assert len(passed_over) > len(SEEDS)


@pytest.mark.parametrize("unnoticed", ["what later records have passed over", "what nothing comes after"])
def test_without_either_check_they_would_be_lost(
    unnoticed: str, passed_over: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if unnoticed == "what later records have passed over":
        monkeypatch.setattr(Succession, "holes", lambda *_: [])
    else:
        monkeypatch.setattr("tests.simulation.test_passing_over._look", _never)

    assert any(run_seed(seed).violations for seed in SEEDS)


async def _never(member: FoldMember) -> None:
    """Look at nothing."""
