"""The plan of a chaos run: reproducible, spread over everything, and never two brokers at once."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from sandbox.chaos.faults import DATABASE_RESTARTS, KILLS, Fault, Kind, Track
from sandbox.chaos.plan import Targets, make_plan

SERVICES = ("checkout_api", "psp_worker", "psp_worker-2", "status_processor", "status_processor-2", "reconciler", "ops")
BROKERS = ("kafka-1", "kafka-2", "kafka-3")
TARGETS = Targets(SERVICES, BROKERS, (*BROKERS, "postgres", "stripe", "webhooks"))
SEEDS = range(20)


def of(plan: tuple[Fault, ...], *kinds: Kind) -> list[Fault]:
    return [fault for fault in plan if fault.kind in kinds]


def test_the_same_seed_gives_the_same_plan_and_another_seed_another() -> None:
    assert make_plan(7, 600, TARGETS) == make_plan(7, 600, TARGETS)
    assert make_plan(7, 600, TARGETS) != make_plan(8, 600, TARGETS)


@pytest.mark.parametrize("seed", SEEDS)
def test_ten_minutes_hold_what_the_proof_asks_for(seed: int) -> None:
    plan = make_plan(seed, 600, TARGETS)
    killed = Counter(fault.target for fault in plan if fault.kind in KILLS)

    assert killed.total() >= 60
    assert set(killed) == {*SERVICES, *BROKERS, "postgres"}
    assert max(killed[name] for name in SERVICES) - min(killed[name] for name in SERVICES) <= 1
    assert len(of(plan, *DATABASE_RESTARTS)) >= 5
    assert [fault.seconds for fault in of(plan, Kind.PSP_OUTAGE)] == [60.0]
    assert {fault.kind for fault in plan} == set(Kind)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_minute_still_kills_every_service_and_every_broker(seed: int) -> None:
    killed = {fault.target for fault in make_plan(seed, 60, TARGETS) if fault.kind in KILLS}

    assert killed >= {*SERVICES, *BROKERS}


@pytest.mark.parametrize("seconds", [45, 60, 600])
def test_faults_come_in_order_and_leave_time_to_show_that_traffic_recovered(seconds: int) -> None:
    times = [fault.at_seconds for fault in make_plan(3, seconds, TARGETS)]

    assert all(earlier <= later for earlier, later in pairwise(times))
    assert times[0] > 0
    assert times[-1] < seconds * 0.95


def test_brokers_share_one_track_so_that_two_are_never_taken_down_at_once() -> None:
    """Two of three away is fewer than min.insync.replicas: the executor runs a track one fault after the other."""
    broker_faults = {kind for kind in Kind if "broker" in kind.value}

    assert {kind.track for kind in broker_faults} == {Track.BROKERS}
    assert all(fault.kind in broker_faults for fault in make_plan(3, 600, TARGETS) if fault.kind.track is Track.BROKERS)


def test_without_a_small_disk_no_disk_is_filled_and_postgresql_is_still_restarted_often_enough() -> None:
    plan = make_plan(3, 600, Targets(SERVICES, BROKERS, ("postgres",), small_disk=False))

    assert not of(plan, Kind.FILL_DISK)
    assert len(of(plan, *DATABASE_RESTARTS)) >= 5


def test_a_freeze_is_sometimes_longer_than_a_consumers_session() -> None:
    """Then the group goes on without the frozen one, which later wakes up as a zombie."""
    lengths = [fault.seconds for fault in of(make_plan(3, 600, TARGETS), Kind.FREEZE_SERVICE)]

    assert max(lengths) > 10
    assert min(lengths) < 10


@pytest.mark.parametrize("seed", SEEDS)
def test_the_link_to_the_psp_never_holds_calls_back_only_to_release_them_in_one_burst(seed: int) -> None:
    silent = {fault.target for fault in of(make_plan(seed, 600, TARGETS), Kind.SILENT_LINK)}

    assert "stripe" not in silent
    assert silent
