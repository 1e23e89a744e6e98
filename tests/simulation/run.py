"""Runs seeds: one world each, its faults, then silence and the guarantees. Prints how to see a red one again."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context

import structlog

from tests.simulation.dead_letters import letters
from tests.simulation.faults import plan, play
from tests.simulation.guarantees import violations, watch_cancellations, watch_sessions
from tests.simulation.psp import LONGEST_REFUND_SECONDS
from tests.simulation.scheduler import Stalled
from tests.simulation.shop import Shop
from tests.simulation.stage import Fault, Stage
from tests.simulation.webhook_sender import WebhookSender
from tests.simulation.world import World

_MOST_SHOWN = 6
_MOST_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Result:
    """How a seed went."""

    seed: int
    violations: tuple[str, ...]
    faults: tuple[Fault, ...]
    fingerprint: str
    steps: int
    simulated_seconds: float


def run_seed(seed: int, only: Sequence[int] | None = None) -> Result:
    """Run one seed with its faults, or only those of the given numbers. The same arguments give the same result."""
    world = World(seed)
    shop, sender = Shop(world, seed), WebhookSender(world, seed)
    planned = plan(seed, [order.starts_at for order in shop.orders])
    faults = [fault for number, fault in enumerate(planned) if only is None or number in only]
    try:
        found = world.loop.run(_life(Stage(world, shop, sender), faults))
    except Stalled as stalled:
        found = [*world.violations, str(stalled)]
    return Result(seed, tuple(found), tuple(faults), world.fingerprint(), world.loop.steps, world.loop.time())


async def _life(stage: Stage, faults: Sequence[Fault]) -> list[str]:
    world = stage.world
    world.launch("api0")
    for kind, counts in (("processor", (1, 1, 1, 2, 3)), ("worker", (1, 1, 2)), ("reconciler", (0, 1, 1, 2))):
        for number in range(world.rng.choice(counts)):
            world.launch(f"{kind}{number}")
    world.psp.on_session = lambda: world.violations.extend(watch_sessions(world))
    watch_cancellations(world)
    stage.shop.open()
    await play(stage, faults)
    await stage.shop.closed()
    unrest = await rest(world, stage.sender)
    return [*world.violations, unrest] if unrest else list(violations(world, stage.shop.orders, stage.sender))


async def rest(world: World, sender: WebhookSender) -> str | None:
    """Let everything come to its end: pages close, refunds end, events arrive. Return what never came to rest."""
    for _ in range(_MOST_ROUNDS):
        await sender.done()
        if not await world.settle():
            return f"never quiet: {_unrest(world)}"
        open_until = [record.object["expires_at"] for record in world.psp.sessions.values() if record.is_open]
        if open_until:
            await asyncio.sleep(max(open_until) - world.clock.now() + 60.0)
        elif any(refund["status"] == "pending" for refund in world.psp.refunds.values()):
            await asyncio.sleep(LONGEST_REFUND_SECONDS)
        elif not sender.is_busy and not await _has_found_more(world):
            break
    return None


async def _has_found_more(world: World) -> bool:
    """Let the reconciler and ops_console look at everything once more; return whether anything came of it."""
    if any(letters(world)) and not world.named("ops"):
        world.launch("ops0")
    if not world.named("reconciler") and not world.named("ops"):
        return False
    before = sum(len(records) for records in world.log.partitions.values())
    world.stir()
    return not await world.settle() or before != sum(len(records) for records in world.log.partitions.values())


def _unrest(world: World) -> str:
    lags = {name: group.lag() for name, group in world.groups.items()}
    return f"lag {lags}, {len(world.database.tables.get('outbox', {}))} in the outbox, {world.requests} requests"


def shrink(seed: int) -> list[int]:
    """Return the numbers of the fewest faults, found one by one, with which the seed is still red."""
    numbers = list(range(len(run_seed(seed).faults)))
    for number in list(numbers):
        fewer = [each for each in numbers if each != number]
        if run_seed(seed, fewer).violations:
            numbers = fewer
    return numbers


def report(result: Result) -> str:
    """Return what a person needs to see a red seed again, its faults shrunk."""
    numbers = shrink(result.seed)
    shrunk = run_seed(result.seed, numbers)
    lines = [f"seed {result.seed} is red:", *(f"  {each}" for each in result.violations[:_MOST_SHOWN])]
    lines.append(f"with {len(numbers)} of its {len(result.faults)} faults it is still red:")
    lines += [f"  at {fault.at:.3f} s: {fault.kind}" for fault in shrunk.faults]
    lines += [f"  {each}" for each in shrunk.violations[:_MOST_SHOWN]]
    listed = ",".join(map(str, numbers)) or "none"
    lines.append(f"again: python -m tests.simulation --seeds 1 --start {result.seed} --faults {listed}")
    return "\n".join(lines)


def silence() -> None:
    """Let the processes say nothing: a run has thousands of lines, and its findings are the guarantees."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL), cache_logger_on_first_use=False
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return 1 if a seed is red."""
    options = _options(arguments)
    silence()
    seeds = range(options.start, options.start + options.seeds)
    if options.fingerprints:
        _say(*(run_seed(seed).fingerprint for seed in seeds))
        return 0
    if options.faults is not None:
        only = [int(each) for each in options.faults.split(",") if each.isdecimal()]
        for seed in seeds:
            result = run_seed(seed, only)
            _say(f"seed {seed}: {result.fingerprint}", *result.violations, *result.faults)
        return 0
    _say(f"seeds {seeds.start} to {seeds.stop - 1}, {options.jobs} at once")
    began = time.perf_counter()
    red: list[Result] = []
    number = 0
    with get_context("spawn").Pool(options.jobs, silence) as pool:
        for result in pool.imap_unordered(run_seed, seeds, chunksize=8):
            number += 1
            if result.violations:
                red.append(result)
                _say(report(result))
                if len(red) >= options.most:
                    pool.terminate()
                    break
    seconds = time.perf_counter() - began
    _say(f"{number} seeds, {len(red)} red, {seconds:.0f} s, {number / seconds:.0f} seeds/s")
    return 1 if red else 0


def _say(*lines: object) -> None:
    sys.stdout.write("\n".join(map(str, lines)) + "\n")
    sys.stdout.flush()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--start", type=int, default=int(time.time()), help="the first; moves with time by default")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    parser.add_argument("--most", type=int, default=5, help="stop after so many red seeds")
    parser.add_argument("--faults", help="only these of the seed's faults, by number: 0,3 or none")
    parser.add_argument("--fingerprints", action="store_true", help="print only each run's fingerprint")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
