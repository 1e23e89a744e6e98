"""The PSP worker's world with a subscription that lives, and what was said of it."""

from __future__ import annotations

from typing import Any

from payonce.domain.commands import SubscriptionEnd
from payonce.domain.events import SubscriptionCancelAccepted, TokenIssued
from payonce.domain.terms import Recurring
from tests.fakes.clock import simulated
from tests.fakes.psp_worker import World
from tests.fakes.registrations import register

MONTHLY = Recurring("month")
CLUB = register(recurring=MONTHLY)
SUBSCRIPTION, INVOICE = "sub_cs_test_1", "in_cs_test_1"
BOTH_ENDS: list[SubscriptionEnd] = ["now", "period_end"]


async def subscribed(world: World, recurring: Recurring = MONTHLY) -> None:
    """Let the worker register a subscription, and a customer sign up."""
    await world.handle(register(recurring=recurring))
    world.gateway.pay("cs_test_1")


def run(world: World, *commands: Any, recurring: Recurring = MONTHLY) -> None:
    """Let the worker handle commands about a subscription that lives."""

    async def scenario() -> None:
        await subscribed(world, recurring)
        for command in commands:
            await world.handle(command)

    simulated(scenario())


def answers(world: World) -> list[object]:
    """What was said after the registration."""
    return [each for each in world.outcomes() if not isinstance(each, TokenIssued)]


def accepted(world: World) -> list[SubscriptionCancelAccepted]:
    """The cancellations that the PSP has taken on."""
    return [each for each in answers(world) if isinstance(each, SubscriptionCancelAccepted)]


def cancellations(world: World) -> int:
    """How often the PSP was told to end one."""
    return sum(operation == "cancel_subscription" for _, operation in world.gateway.asked)
