"""The pipeline under simulated time: fresh seeds in every run, every seed that was ever red, every planted bug.

`make simulate SEEDS=10000` runs more of the first kind.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.simulation import planted_in_the_fold, planted_in_the_worker
from tests.simulation.planted import BUGS, planted
from tests.simulation.run import report, run_seed, silence

#: Moves with every run. A red one is printed with its own command, and then belongs into RED_ONCE.
START = int(os.environ.get("SIMULATION_START", time.time()))
FRESH_SEEDS = 200
#: Enough to find each planted bug several times over (docs/guarantees.md tells how many it takes).
PLANTED_SEEDS = 700
PLANTED_START = 1000
assert planted_in_the_fold
assert planted_in_the_worker  # importing them has put their bugs on the list
ROOT = Path(__file__).parents[2]

#: Seeds that have found a bug of ours, each with what it was.
RED_ONCE = {
    2: "the database was restored while nothing arrived, and nobody noticed",
    41: "offsets were reset to the beginning, and what was finished again was never committed",
    68: "the database was restored after the last event",
}


@pytest.fixture(autouse=True)
def _quiet_processes() -> Iterator[None]:
    before = structlog.get_config()
    silence()
    yield
    structlog.configure(**before)


@pytest.mark.parametrize("start", [START + number for number in range(0, FRESH_SEEDS, 20)])
def test_fresh_seeds_break_no_guarantee(start: int) -> None:
    for seed in range(start, start + 20):
        result = run_seed(seed)
        if result.violations:
            pytest.fail(report(result))


@pytest.mark.parametrize("seed", RED_ONCE)
def test_a_seed_that_was_red_stays_green(seed: int) -> None:
    assert run_seed(seed).violations == ()


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name: str) -> None:
    with planted(name):
        found = any(run_seed(seed).violations for seed in range(PLANTED_START, PLANTED_START + PLANTED_SEEDS))

    assert found, f"{BUGS[name].rule}: broken, and nobody noticed in {PLANTED_SEEDS} seeds"


def test_the_same_seed_is_the_same_run_whatever_the_hash_seed() -> None:
    """No effect depends on the order of a set, on addresses or on hashes: else a red seed could not be seen again."""
    command = [sys.executable, "-m", "tests.simulation", "--start", "7", "--seeds", "25", "--fingerprints"]
    runs = {
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        ).stdout
        for hash_seed in ("0", "1", "4711")
    }

    [fingerprints] = runs
    assert len(set(fingerprints.split())) > 20
