"""Two things done to one order at the same moment, many orders a run: what was meant to happen once must happen once.

`python -m tests.simulation.races NAME SEED` shows a red run again.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable

from payonce.domain.commands import CancelPayment
from tests.simulation.client import TAKEN
from tests.simulation.dice import dice
from tests.simulation.guarantees import violations, watch_cancellations, watch_sessions
from tests.simulation.run import rest, silence
from tests.simulation.runner import Runner
from tests.simulation.scheduler import Stalled
from tests.simulation.webhook_sender import WebhookSender
from tests.simulation.world import World

#: Orders of one run, each racing by itself at its own time: a run's beginning and end cost more than a race.
RACES_PER_RUN = 20
_APART_SECONDS = 8.0
_OK, _CONFLICT = 200, 409


async def attempt_against_payment(runner: Runner) -> None:
    """The customer pays, with two tabs open, while the shop closes the attempt and begins another one."""
    await runner.place()
    session_id = await runner.page()
    if session_id is None:
        return

    async def customer() -> None:
        for _ in range(runner.rng.choice((1, 2))):
            await runner.meanwhile()
            await runner.pay(session_id)
        for _ in range(4):
            await runner.gap()
            other = await runner.page()
            if other is not None:
                await runner.pay(other)

    async def shop() -> None:
        await runner.gap()
        if runner.rng.random() < 0.5:  # as ops' amendments come: nobody asks whether it is due
            await runner.client.send(runner.client.registration(runner.terms, 2))
            return
        await runner.client.cancel(runner.order.order_id, 1, wait=runner.rng.random() < 0.5)
        for _ in range(8):
            if await runner.client.attempt(runner.order.order_id, 2) in TAKEN:
                return
            await runner.gap()

    await asyncio.gather(customer(), shop(), *(shop() for _ in range(runner.rng.choice((0, 0, 1)))))


async def cancel_against_payment(runner: Runner) -> None:
    """The customer pays while the shop cancels; whoever is told that it is cancelled can rely on it."""
    await runner.place()

    async def shop() -> None:
        await runner.gap()
        if runner.rng.random() < 0.3:
            await runner.client.send(CancelPayment(runner.order.order_id, 1, runner.client.now()))
            return
        status = await runner.client.cancel(runner.order.order_id, 1, wait=runner.rng.random() < 0.5)
        if status == _OK and _payable(runner):
            runner.world.violations.append(f"order {runner.order.number} was said to be cancelled, and can be paid")

    async def customer() -> None:
        session_id = await runner.page()
        for _ in range(runner.rng.choice((1, 3))):
            await runner.meanwhile()
            if session_id is not None:
                await runner.pay(session_id)

    if runner.rng.random() < 0.7:  # else it is cancelled before there is a page, perhaps before there is a session
        await runner.page()
    await asyncio.gather(*(shop() for _ in range(runner.rng.choice((1, 1, 2)))), customer())


async def refund_against_dispute(runner: Runner) -> None:
    """The shop sends money back while the customer's bank takes it; some disputes are won, some refunds fail."""
    intent_id = await runner.paid()
    if intent_id is None:
        return
    psp, rng = runner.world.psp, runner.rng

    async def shop() -> None:
        await runner.gap()
        await _refunded(runner, "back", rng.choice((None, runner.amount, rng.randint(1, runner.amount))))

    async def bank() -> None:
        await runner.meanwhile()
        await runner.meanwhile()  # the shop has to hear of the payment first
        dispute_id = psp.dispute(intent_id)
        await asyncio.sleep(rng.choice((0.1, 3.0, 300.0)) * rng.random())
        if rng.random() < 0.8:
            psp.close_dispute(dispute_id, is_won=rng.random() < 0.6)

    await asyncio.gather(shop(), bank())
    await _refunded(runner, "again", rng.randint(1, runner.amount))


async def two_refunds(runner: Runner) -> None:
    """Two callers send money back at once, under one reference or two, together often more than was paid."""
    if await runner.paid() is None:
        return
    rng, amount = runner.rng, runner.amount
    asked = [("a", rng.choice((None, amount, rng.randint(amount // 2, amount))))]
    asked += [
        rng.choice((asked[0], ("b", rng.randint(amount // 2, amount)), ("a", 1))) for _ in range(rng.choice((1, 2)))
    ]

    async def caller(reference: str, part: int | None) -> None:
        await runner.gap()
        await _refunded(runner, reference, part)

    await asyncio.gather(*(caller(*each) for each in asked))


RACES: dict[str, Callable[[Runner], Awaitable[None]]] = {
    race.__name__: race
    for race in (attempt_against_payment, cancel_against_payment, refund_against_dispute, two_refunds)
}


def run_races(name: str, seed: int) -> list[str]:
    """Run a race with `RACES_PER_RUN` orders; return what went wrong. The same arguments give the same result."""
    world = World(seed)
    try:
        return world.loop.run(_life(world, RACES[name], seed))
    except Stalled as stalled:
        return [*world.violations, str(stalled)]


async def _life(world: World, race: Callable[[Runner], Awaitable[None]], seed: int) -> list[str]:
    rng, sender = dice(f"{seed} races"), WebhookSender(world, seed)
    more = ("worker1", "processor1") if rng.random() < 0.3 else ()
    for name in ("api0", "processor0", "worker0", *more):
        world.launch(name)
    world.psp.on_session = lambda: world.violations.extend(watch_sessions(world))
    watch_cancellations(world)
    world.psp.weather.unanswered = rng.choice((0.0, 0.0, 0.3))
    runners = [Runner(world, number, dice(rng.random())) for number in range(RACES_PER_RUN)]

    async def run(runner: Runner) -> None:
        await asyncio.sleep(runner.order.number * _APART_SECONDS)
        accidents = world.loop.create_task(_accident(world, dice(runner.rng.random())))
        await race(runner)
        await accidents

    await asyncio.gather(*(run(runner) for runner in runners))
    unrest = await rest(world, sender)
    return [*world.violations, unrest] if unrest else list(violations(world, [each.order for each in runners], sender))


async def _accident(world: World, rng: random.Random) -> None:
    """Kill or freeze somebody during one race in four."""
    await asyncio.sleep(rng.uniform(0.0, 10.0))
    kind = rng.choice(("worker", "processor"))
    fate = rng.random()
    if fate < 0.15:
        world.kill(rng.choice(world.named(kind)))
    elif fate < 0.25:
        world.freeze(rng.choice(world.named(kind)), rng.uniform(1.0, 20.0))


async def _refunded(runner: Runner, reference: str, amount: int | None) -> None:
    """Ask for a refund until the API knows of the payment and says yes or no."""
    for _ in range(20):
        if await runner.client.refund(runner.order.order_id, reference, amount) != _CONFLICT:
            return
        await asyncio.sleep(1.0)


def _payable(runner: Runner) -> bool:
    sessions = runner.world.psp.sessions.values()
    return any(each.is_open and each.metadata.get("order_id") == runner.order.order_id for each in sessions)


if __name__ == "__main__":
    silence()
    sys.stdout.write("\n".join([f"{sys.argv[1]} {sys.argv[2]}:", *run_races(sys.argv[1], int(sys.argv[2]))]) + "\n")
