"""What goes wrong with our processes, with PostgreSQL and with Kafka."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from payonce.ports import OutgoingRecord, Record
from tests.simulation.database import Rows
from tests.simulation.groups import SESSION_SECONDS
from tests.simulation.stage import Play, Stage
from tests.simulation.versions import examples_of_every_version, watch_novelties

# -- processes


def _victim(stage: Stage, kind: str, rng: random.Random) -> str:
    return rng.choice(stage.world.named(kind) or [f"{kind}0"])


def kill(kind: str) -> Play:
    """SIGKILL some of a kind, one after the other."""

    async def fault(stage: Stage, rng: random.Random) -> None:
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            stage.world.kill(_victim(stage, kind, rng))
            await asyncio.sleep(rng.choice((0.2, 2.0, 12.0)) * rng.random())

    return fault


def freeze(kind: str) -> Play:
    """SIGSTOP one of a kind, for longer than its session or not."""

    async def fault(stage: Stage, rng: random.Random) -> None:
        seconds = rng.choice((2.0, 8.0, 15.0, 40.0, 300.0)) * rng.uniform(0.5, 1.5)
        stage.world.freeze(_victim(stage, kind, rng), seconds)
        await asyncio.sleep(seconds)

    return fault


def scale(kind: str) -> Play:
    """Start one more of a kind, or end one in order."""

    async def fault(stage: Stage, rng: random.Random) -> None:
        world = stage.world
        names = world.named(kind)
        if len(names) > 1 and rng.random() < 0.5:
            world.retire(rng.choice(names))
        elif len(names) < 3:
            free = next(number for number in range(10) if f"{kind}{number}" not in world.processes)
            world.launch(f"{kind}{free}")

    return fault


async def skew(stage: Stage, rng: random.Random) -> None:
    """Let a process's wall clock be wrong for a while."""
    name = rng.choice(list(stage.world.wanted))
    skew = rng.choice((-300.0, -5.0, 5.0, 300.0))
    stage.world.skews[name] = skew
    stage.world.processes[name].clock.skew = skew
    await asyncio.sleep(rng.choice((60.0, 7200.0)))
    stage.world.skews[name] = 0.0
    stage.world.processes[name].clock.skew = 0.0


async def time_passes(stage: Stage, rng: random.Random) -> None:
    """Let the chores come round, although nothing has happened."""
    await asyncio.sleep(rng.choice((700.0, 4000.0, 90_000.0)) * rng.uniform(0.9, 1.1))
    stage.world.stir()


async def rolling_deploy(stage: Stage, rng: random.Random) -> None:
    """Let two versions work side by side: some write as the one before, some fold as the next one."""
    world = stage.world
    if not world.newer:
        watch_novelties(world)
    for name in [name for name in world.wanted if rng.random() < 0.5]:
        if name.startswith("processor"):
            world.newer[name] = None
        elif not name.startswith("ops"):  # it sends other processes' words
            world.publishing.older[name] = None
        world.kill(name)
        await asyncio.sleep(rng.choice((0.1, 20.0)))
    await asyncio.sleep(rng.choice((30.0, 4000.0)))
    for names in (world.publishing.older, world.newer):
        for name in [name for name in names if rng.random() < 0.7]:
            names.pop(name)
            world.kill(name)


async def old_messages(stage: Stage, rng: random.Random) -> None:
    """Let what earlier versions wrote come again, as a replay after many releases would bring it."""
    for record in examples_of_every_version():
        stage.world.log.append(record)
        await asyncio.sleep(rng.choice((0.0, 0.1, 100.0)))


# -- PostgreSQL


async def restart_database(stage: Stage, rng: random.Random) -> None:
    """Let PostgreSQL go down and come back as it was."""
    database = stage.world.database
    database.stop()
    await asyncio.sleep(rng.choice((0.5, 5.0, 40.0)) * rng.uniform(0.5, 1.5))
    database.is_up = True


async def restore_database(stage: Stage, rng: random.Random) -> None:
    """Put a backup in the place of the database: of a moment ago, or of yesterday."""
    backup = stage.world.database.backup()
    await asyncio.sleep(rng.choice((0.3, 3.0, 30.0, 600.0, 90_000.0)) * rng.uniform(0.3, 1.5))
    await put_back(backup, stage, rng)


async def put_back(backup: tuple[Rows, dict[str, int]], stage: Stage, rng: random.Random) -> None:
    """Put this backup in the place of the database."""
    database = stage.world.database
    database.restore(backup)
    stage.world.was_restored = True
    await asyncio.sleep(rng.choice((0.0, 0.5, 20.0)) * rng.uniform(0.5, 1.5))
    database.is_up = True
    stage.world.stir()


def for_a_while(change: Callable[[Stage], Callable[[float], None]], *values: float, longest: float = 60.0) -> Play:
    """Set something to one of the values, and back to nothing."""

    async def fault(stage: Stage, rng: random.Random) -> None:
        put = change(stage)
        put(rng.choice(values))
        await asyncio.sleep(rng.choice((0.05, 0.3, 1.0)) * longest)
        put(0.0)

    return fault


def setter(path: str) -> Callable[[Stage], Callable[[float], None]]:
    """Return how to set an attribute of something in the world, by its dotted path."""
    *steps, name = path.split(".")

    def of(stage: Stage) -> Callable[[float], None]:
        thing: object = stage
        for step in steps:
            thing = getattr(thing, step)
        return lambda value: setattr(thing, name, value)

    return of


# -- Kafka


async def broker_away(stage: Stage, rng: random.Random) -> None:
    """Let no broker answer for a while."""
    log = stage.world.log
    log.is_up = False
    await asyncio.sleep(rng.choice((0.5, 5.0, 90.0)) * rng.uniform(0.5, 1.5))
    log.is_up = True
    for group in stage.world.groups.values():
        group.wake_all()


async def reset_offsets(stage: Stage, rng: random.Random) -> None:
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


async def repeat_records(stage: Stage, rng: random.Random) -> None:
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


async def garbage(stage: Stage, rng: random.Random) -> None:
    """Publish what nobody should."""
    log = stage.world.log
    for _ in range(rng.randint(1, 3)):
        topic = rng.choice(("payments.commands", "payments.tokens", "payments.webhooks"))
        value = rng.choice((b"\xff\x00", b"{}", b"[1]", b'{"id": 1}', None))
        kind = rng.choice((b"payonce.RegisterPayment.v1", b"payonce.TokenIssued.v9", b"com.stripe.x", b"?"))
        headers = (("ce_type", kind),) if rng.random() < 0.8 else ()
        log.append(OutgoingRecord(topic, rng.choice((b"garbage", None)), value, headers))
        await asyncio.sleep(rng.random())
