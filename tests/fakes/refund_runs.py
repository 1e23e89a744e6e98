"""RefundPayment on in-memory ports: a paid order, the commands about it, and what they gave back."""

from __future__ import annotations

from payonce.domain.commands import RefundPayment
from payonce.domain.events import RefundAccepted, RefundRejected
from tests.fakes.clock import simulated
from tests.fakes.psp_worker import World
from tests.fakes.registrations import register

ORDER = register().order_id


async def paid_order(world: World) -> None:
    """Let the order be registered and paid."""
    await world.handle(register())
    world.gateway.pay("cs_test_1")


def answers(world: World) -> list[RefundAccepted | RefundRejected]:
    """Return what was said about refunds."""
    return [each for each in world.outcomes() if isinstance(each, RefundAccepted | RefundRejected)]


def returned(world: World) -> int:
    """Return what the PSP paid back, in minor units."""
    return sum(each["amount"] for each in world.gateway.refunds.values())


def run(world: World, *commands: RefundPayment) -> None:
    """Let the order be paid, then the commands be handled one after the other."""

    async def scenario() -> None:
        await paid_order(world)
        for command in commands:
            await world.handle(command)

    simulated(scenario())
