"""What goes wrong in a run: a list of faults made from the seed, each of which can be left out to shrink the list."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from payonce.ports import OutgoingRecord, Record
from tests.simulation.dice import dice
from tests.simulation.groups import SESSION_SECONDS
from tests.simulation.shop import Shop
from tests.simulation.webhook_sender import WebhookSender
from tests.simulation.world import World

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong at a time; `seed` decides its details, whatever else happens."""

    at: float
    kind: str
    seed: int


@dataclass(slots=True)
class Stage:
    """All that a fault may touch."""

    world: World
    shop: Shop
    sender: WebhookSender


Play = Callable[[Stage, random.Random], Awaitable[None]]


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


# -- processes


def _victim(stage: Stage, kind: str, rng: random.Random) -> str:
    return rng.choice(stage.world.named(kind) or [f"{kind}0"])


def _kill(kind: str) -> Play:
    async def fault(stage: Stage, rng: random.Random) -> None:
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            stage.world.kill(_victim(stage, kind, rng))
            await asyncio.sleep(rng.choice((0.2, 2.0, 12.0)) * rng.random())

    return fault


def _freeze(kind: str) -> Play:
    async def fault(stage: Stage, rng: random.Random) -> None:
        seconds = rng.choice((2.0, 8.0, 15.0, 40.0, 300.0)) * rng.uniform(0.5, 1.5)
        stage.world.freeze(_victim(stage, kind, rng), seconds)
        await asyncio.sleep(seconds)

    return fault


def _scale(kind: str) -> Play:
    async def fault(stage: Stage, rng: random.Random) -> None:
        world = stage.world
        names = world.named(kind)
        if len(names) > 1 and rng.random() < 0.5:
            world.retire(rng.choice(names))
        elif len(names) < 3:
            free = next(number for number in range(10) if f"{kind}{number}" not in world.processes)
            world.launch(f"{kind}{free}")

    return fault


async def _skew(stage: Stage, rng: random.Random) -> None:
    name = rng.choice(list(stage.world.wanted))
    skew = rng.choice((-300.0, -5.0, 5.0, 300.0))
    stage.world.skews[name] = skew
    stage.world.processes[name].clock.skew = skew
    await asyncio.sleep(rng.choice((60.0, 7200.0)))
    stage.world.skews[name] = 0.0
    stage.world.processes[name].clock.skew = 0.0


# -- PostgreSQL


async def _restart_database(stage: Stage, rng: random.Random) -> None:
    database = stage.world.database
    database.stop()
    await asyncio.sleep(rng.choice((0.5, 5.0, 40.0)) * rng.uniform(0.5, 1.5))
    database.is_up = True


async def _restore_database(stage: Stage, rng: random.Random) -> None:
    database = stage.world.database
    backup = database.backup()
    await asyncio.sleep(rng.choice((0.3, 3.0, 30.0, 600.0, 90_000.0)) * rng.uniform(0.3, 1.5))
    database.restore(backup)
    await asyncio.sleep(rng.choice((0.0, 0.5, 20.0)) * rng.uniform(0.5, 1.5))
    database.is_up = True
    stage.world.stir()


def _for_a_while(change: Callable[[Stage], Callable[[float], None]], *values: float, longest: float = 60.0) -> Play:
    async def fault(stage: Stage, rng: random.Random) -> None:
        put = change(stage)
        put(rng.choice(values))
        await asyncio.sleep(rng.choice((0.05, 0.3, 1.0)) * longest)
        put(0.0)

    return fault


def _setter(path: str) -> Callable[[Stage], Callable[[float], None]]:
    """Return how to set an attribute of something in the world, by its dotted path."""
    *steps, name = path.split(".")

    def of(stage: Stage) -> Callable[[float], None]:
        thing: object = stage
        for step in steps:
            thing = getattr(thing, step)
        return lambda value: setattr(thing, name, value)

    return of


# -- Kafka


async def _broker_away(stage: Stage, rng: random.Random) -> None:
    log = stage.world.log
    log.is_up = False
    await asyncio.sleep(rng.choice((0.5, 5.0, 90.0)) * rng.uniform(0.5, 1.5))
    log.is_up = True
    for group in stage.world.groups.values():
        group.wake_all()


async def _reset_offsets(stage: Stage, rng: random.Random) -> None:
    """Stop a group's members, as Kafka's tool demands, and send the group back to the beginning."""
    world = stage.world
    kind, name = rng.choice((("worker", "psp_worker"), ("processor", "status_processor")))
    names = world.named(kind)
    for each in names:
        world.wanted.pop(each, None)
        world.kill(each)
    await asyncio.sleep(SESSION_SECONDS + 5.0)
    group = world.groups[name]
    group.reset()
    for each in names:
        world.launch(each)


async def _repeat_records(stage: Stage, rng: random.Random) -> None:
    """Publish some records again, as a producer without idempotence or an operator's replay would."""
    world = stage.world
    for _ in range(rng.randint(1, 4)):
        written = [
            record
            for topic in ("payments.commands", "payments.tokens", "payments.webhooks")
            for record in world.log.topic(topic)
        ]
        if written:
            world.log.append(_again(rng.choice(written), rng))
        await asyncio.sleep(rng.choice((0.01, 3.0, 4000.0, 50_000.0)) * rng.random())


def _again(record: Record, rng: random.Random) -> OutgoingRecord:
    headers = record.headers
    if rng.random() < 0.5:
        group = "psp_worker" if record.topic == "payments.commands" and rng.random() < 0.5 else "status_processor"
        headers = (*headers, ("replay-for", group.encode()))
    return OutgoingRecord(record.topic, record.key, record.value, headers)


async def _garbage(stage: Stage, rng: random.Random) -> None:
    """Publish what nobody should."""
    log = stage.world.log
    for _ in range(rng.randint(1, 3)):
        topic = rng.choice(("payments.commands", "payments.tokens", "payments.webhooks"))
        value = rng.choice((b"\xff\x00", b"{}", b"[1]", b'{"id": 1}', None))
        kind = rng.choice((b"payonce.RegisterPayment.v1", b"payonce.TokenIssued.v9", b"com.stripe.x", b"?"))
        headers = (("ce_type", kind),) if rng.random() < 0.8 else ()
        log.append(OutgoingRecord(topic, rng.choice((b"garbage", None)), value, headers))
        await asyncio.sleep(rng.random())


# -- Stripe


async def _refusals(stage: Stage, rng: random.Random) -> None:
    stage.world.psp.weather.refused = True
    await asyncio.sleep(rng.uniform(5.0, 200.0))
    stage.world.psp.weather.refused = False


async def _saved_failures(stage: Stage, rng: random.Random) -> None:
    weather = stage.world.psp.weather
    weather.broken, weather.born_late = rng.choice((0.5, 1.0)), rng.choice((0.0, 1.0))
    await asyncio.sleep(rng.choice((3.0, 60.0)))
    weather.broken = 0.0


async def _foreign(stage: Stage, rng: random.Random) -> None:
    stage.world.psp.foreign_sale(rng.choice(stage.shop.orders).order_id)


async def _slow_network(stage: Stage, rng: random.Random) -> None:
    stage.world.network.slow = rng.choice((5.0, 30.0))
    await asyncio.sleep(rng.choice((2.0, 20.0)))
    stage.world.network.slow = 1.0


async def _burst(stage: Stage, rng: random.Random) -> None:
    """Many commands at once, so that the pace has something to do."""
    shop = stage.shop
    shop.burst(rng.randint(8, 16))


KINDS: dict[str, tuple[int, Play]] = {
    "kill_worker": (5, _kill("worker")),
    "kill_processor": (5, _kill("processor")),
    "kill_api": (2, _kill("api")),
    "freeze_worker": (4, _freeze("worker")),
    "freeze_processor": (4, _freeze("processor")),
    "scale_worker": (2, _scale("worker")),
    "scale_processor": (2, _scale("processor")),
    "skew": (1, _skew),
    "restart_database": (2, _restart_database),
    "restore_database": (3, _restore_database),
    "flaky_database": (2, _for_a_while(_setter("world.database.flaky"), 0.05, 0.3)),
    "doubtful_commits": (2, _for_a_while(_setter("world.database.doubtful"), 0.1, 0.5)),
    "broker_away": (2, _broker_away),
    "lost_records": (2, _for_a_while(_setter("world.publishing.lost"), 0.2, 0.7)),
    "lost_reports": (3, _for_a_while(_setter("world.publishing.unreported"), 0.2, 0.7)),
    "reset_offsets": (1, _reset_offsets),
    "repeat_records": (2, _repeat_records),
    "garbage": (1, _garbage),
    "psp_unreachable": (2, _for_a_while(_setter("world.psp.weather.unreachable"), 0.5, 1.0, longest=300.0)),
    "psp_unanswered": (3, _for_a_while(_setter("world.psp.weather.unanswered"), 0.5, 1.0, longest=120.0)),
    "psp_limited": (1, _for_a_while(_setter("world.psp.weather.limited"), 0.5, 1.0, longest=120.0)),
    "psp_saved_failures": (2, _saved_failures),
    "psp_refusals": (1, _refusals),
    "webhook_storm": (1, _for_a_while(_setter("sender.storm"), 0.7, longest=90_000.0)),
    "foreign_sale": (1, _foreign),
    "slow_network": (2, _slow_network),
    "burst": (1, _burst),
}
