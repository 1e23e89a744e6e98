"""Scenarios of the PSP worker on the simulator, each followed by the look for what nobody may ever see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from payonce.domain.commands import Command, RegisterPayment
from tests.fakes.psp_on_simulator import PspOnSimulator, psp_on_simulator
from tests.fakes.registrations import register

HOUR = 3600.0
CREATE = "checkout.sessions.create"
#: What an attempt may live at most: less than the PSP's keys do.
LIFE = 22 * 3600


def on_simulator(scenario: Callable[[PspOnSimulator], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario; then nothing of any order may be payable twice, or ever have been."""

    async def run() -> None:
        async with psp_on_simulator() as psp:
            await scenario(psp)
            await psp.look()
            assert psp.most_payable <= 1
            refunds = psp.control.stats()["refunds_per_reference"]
            assert {name: times for name, times in refunds.items() if times > 1} == {}

    asyncio.run(run())


def order(psp: PspOnSimulator, *, attempt: int = 1, **terms: Any) -> RegisterPayment:
    """Return a registration that is commanded now."""
    return register(attempt=attempt, issued_at=int(psp.clock.now()), life_seconds=LIFE, **terms)


def kinds(psp: PspOnSimulator, command: Command) -> list[type]:
    """Return the kinds of what was said about the order."""
    return [type(each) for each in psp.outcomes() if each.order_id == command.order_id]  # type: ignore[attr-defined]
