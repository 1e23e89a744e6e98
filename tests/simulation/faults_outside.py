"""What goes wrong at Stripe and on the way there, and what people do at a bad moment."""

from __future__ import annotations

import asyncio
import random

from tests.simulation.faults_inside import garbage, put_back
from tests.simulation.operators import Operators
from tests.simulation.stage import Play, Stage

# -- Stripe


async def refusals(stage: Stage, rng: random.Random) -> None:
    """Let Stripe refuse our API key for a while."""
    stage.world.psp.weather.refused = True
    await asyncio.sleep(rng.uniform(5.0, 200.0))
    stage.world.psp.weather.refused = False


async def saved_failures(stage: Stage, rng: random.Random) -> None:
    """Answer 500 and save it for the key; what was asked for may appear later all the same."""
    weather = stage.world.psp.weather
    weather.broken, weather.born_late = rng.choice((0.5, 1.0)), rng.choice((0.0, 1.0))
    await asyncio.sleep(rng.choice((3.0, 60.0)))
    weather.broken = 0.0


async def answers_vanish(stage: Stage, rng: random.Random) -> None:
    """Lose what the log has confirmed: only the reconciler's question makes the worker say it again."""
    if not stage.world.named("reconciler"):
        stage.world.launch("reconciler0")
    stage.world.publishing.vanishing = rng.choice((0.5, 1.0))
    await asyncio.sleep(rng.choice((0.5, 5.0, 60.0)))
    stage.world.publishing.vanishing = 0.0


def never_sent(way: str) -> Play:
    """Lose webhooks for ever; somebody has to look after them then."""

    async def fault(stage: Stage, rng: random.Random) -> None:
        if not stage.world.named("reconciler"):
            stage.world.launch("reconciler0")
        setattr(stage.sender, way, rng.choice((0.3, 1.0)))
        await asyncio.sleep(rng.choice((5.0, 600.0, 20_000.0)) * rng.uniform(0.5, 1.5))
        setattr(stage.sender, way, 0.0)

    return fault


async def foreign(stage: Stage, rng: random.Random) -> None:
    """Let another app of the account sell something with our order's id where anyone can write one."""
    stage.world.psp.foreign_sale(rng.choice(stage.shop.orders).order_id)


async def slow_network(stage: Stage, rng: random.Random) -> None:
    """Let every way take many times as long."""
    stage.world.network.slow = rng.choice((5.0, 30.0))
    await asyncio.sleep(rng.choice((2.0, 20.0)))
    stage.world.network.slow = 1.0


async def burst(stage: Stage, rng: random.Random) -> None:
    """Many commands at once, so that the pace has something to do."""
    shop = stage.shop
    shop.burst(rng.randint(8, 16))


async def operators(stage: Stage, rng: random.Random) -> None:
    """Let people do something about what lies in the dead-letter topics; mostly there is something."""
    world = stage.world
    for number in range(rng.choice((1, 1, 2))):
        world.launch(f"ops{number}")
    if rng.random() < 0.5:
        await garbage(stage, rng)
    if rng.random() < 0.4:
        await saved_failures(stage, rng)
    await asyncio.sleep(rng.choice((1.0, 400.0, 110_000.0)) * rng.uniform(0.5, 1.5))
    backup = world.database.backup()
    await Operators(world, rng).clear_up()
    if rng.random() < 0.3:  # the database forgets what they did, and they do it again
        await put_back(backup, stage, rng)
        await Operators(world, rng).clear_up()
    if rng.random() < 0.5:
        for name in world.named("ops"):
            world.retire(name)
