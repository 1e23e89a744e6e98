"""Two things at once, a thousand times each: never two charges, never two payable pages, never more back than was paid.

The status and the sums are what Stripe's own objects say. Fresh interleavings in every run.
"""

from __future__ import annotations

import os
import time

import pytest

from tests.simulation import planted_in_races
from tests.simulation.planted import RACE_BUGS, planted
from tests.simulation.races import RACES, RACES_PER_RUN, run_races

START = int(os.environ.get("SIMULATION_START", time.time()))
INTERLEAVINGS = 1_000
_RUNS = INTERLEAVINGS // RACES_PER_RUN
_RUNS_PER_TEST = 10
#: Far more than any planted bug needs.
_PLANTED_RUNS = 40
assert planted_in_races  # importing it has put its bugs on the list


@pytest.mark.parametrize("start", [START + number for number in range(0, _RUNS, _RUNS_PER_TEST)])
@pytest.mark.parametrize("race", RACES)
def test_whoever_comes_first_money_moves_once_and_the_status_is_true(race: str, start: int) -> None:
    for seed in range(start, start + _RUNS_PER_TEST):
        found = run_races(race, seed)

        assert found == [], f"again: python -m tests.simulation.races {race} {seed}"


@pytest.mark.parametrize("race", RACES)
def test_a_race_finds_the_bug_that_is_planted_for_it(race: str) -> None:
    with planted(RACE_BUGS[race]):
        found = any(run_races(race, seed) for seed in range(_PLANTED_RUNS))

    assert found, f"{RACE_BUGS[race].rule}: broken, and nobody noticed"
