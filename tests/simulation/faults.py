"""What goes wrong in a run: a list of faults made from the seed, each of which can be left out to shrink the list."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tests.simulation import faults_inside as inside
from tests.simulation import faults_outside as outside
from tests.simulation.dice import dice
from tests.simulation.faults_inside import for_a_while, freeze, kill, scale, setter
from tests.simulation.faults_outside import never_sent
from tests.simulation.stage import Fault, Play, Stage

_DAY = 86_400.0


def plan(seed: int, starts: Sequence[float]) -> list[Fault]:
    """Return the faults of a seed: most of them while an order is on its way."""
    rng = dice(f"{seed} faults")
    kinds = [kind for kind, (weight, _) in KINDS.items() for _ in range(weight)]
    faults = []
    for _ in range(rng.choice((0, 2, 3, 4, 5, 6, 8))):
        near = rng.choice(starts) + rng.expovariate(1 / rng.choice((0.05, 0.5, 5.0, 60.0)))
        at = near if rng.random() < 0.75 else rng.uniform(0.0, 3 * _DAY)
        faults.append(Fault(at, rng.choice(kinds), rng.randrange(2**32)))
    return sorted(faults, key=lambda fault: fault.at)


async def play(stage: Stage, faults: Sequence[Fault]) -> None:
    """Let the faults happen at their times; return when the last one is over."""

    async def one(fault: Fault) -> None:
        await asyncio.sleep(fault.at)
        stage.world.trace("fault", fault.kind)
        await KINDS[fault.kind][1](stage, dice(fault.seed))

    await asyncio.gather(*(one(fault) for fault in faults))


KINDS: dict[str, tuple[int, Play]] = {
    "kill_worker": (5, kill("worker")),
    "kill_processor": (5, kill("processor")),
    "kill_api": (2, kill("api")),
    "freeze_worker": (4, freeze("worker")),
    "freeze_processor": (4, freeze("processor")),
    "scale_worker": (2, scale("worker")),
    "scale_processor": (2, scale("processor")),
    "kill_reconciler": (2, kill("reconciler")),
    "freeze_reconciler": (2, freeze("reconciler")),
    "kill_ops": (1, kill("ops")),
    "freeze_ops": (1, freeze("ops")),
    "skew": (1, inside.skew),
    "time_passes": (1, inside.time_passes),
    "rolling_deploy": (2, inside.rolling_deploy),
    "old_messages": (1, inside.old_messages),
    "restart_database": (2, inside.restart_database),
    "restore_database": (3, inside.restore_database),
    "flaky_database": (2, for_a_while(setter("world.database.flaky"), 0.05, 0.3)),
    "doubtful_commits": (2, for_a_while(setter("world.database.doubtful"), 0.1, 0.5)),
    "broker_away": (2, inside.broker_away),
    "lost_records": (2, for_a_while(setter("world.publishing.lost"), 0.2, 0.7)),
    "lost_reports": (3, for_a_while(setter("world.publishing.unreported"), 0.2, 0.7)),
    "answers_vanish": (2, outside.answers_vanish),
    "reset_offsets": (1, inside.reset_offsets),
    "repeat_records": (2, inside.repeat_records),
    "garbage": (1, inside.garbage),
    "psp_unreachable": (2, for_a_while(setter("world.psp.weather.unreachable"), 0.5, 1.0, longest=300.0)),
    "psp_unanswered": (3, for_a_while(setter("world.psp.weather.unanswered"), 0.5, 1.0, longest=120.0)),
    "psp_limited": (1, for_a_while(setter("world.psp.weather.limited"), 0.5, 1.0, longest=120.0)),
    "psp_saved_failures": (2, outside.saved_failures),
    "psp_refusals": (1, outside.refusals),
    "webhook_storm": (1, for_a_while(setter("sender.storm"), 0.7, longest=90_000.0)),
    "webhooks_given_up": (3, never_sent("given_up")),
    "endpoint_disabled": (3, never_sent("disabled")),
    "foreign_sale": (1, outside.foreign),
    "slow_network": (2, outside.slow_network),
    "burst": (1, outside.burst),
    "operators": (3, outside.operators),
}
