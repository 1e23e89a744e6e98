"""Commands that fit their schema and carry texts that no header or path should: each has an answer, none ends us."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from payonce.domain.commands import Command, RegisterPayment
from payonce.domain.events import RefundAccepted
from tests.fakes.orders import cancel, refresh, refund
from tests.fakes.psp_on_simulator import PspOnSimulator, psp_on_simulator
from tests.fakes.registrations import register

NEWLINE = "2026-10-28\r\nX-Evil: 1"


async def paid(psp: PspOnSimulator) -> int:
    now = int(psp.clock.now())
    command = register(issued_at=now)
    await psp.handle(command)
    await psp.pay(command)
    return now


@pytest.mark.parametrize(
    "command",
    [
        replace(register("A-2"), api_version=NEWLINE),
        replace(register("A-2"), api_version="\U0001f4b6" * 10),
        replace(refund(), api_version=NEWLINE),
        replace(refund(refund_reference="back\r\nX-Evil: 1"), payment="cs_\r\n"),
        refund(refund_reference="back\r\nX-Evil: 1"),
        replace(refresh(), api_version=NEWLINE),
        replace(refresh(), psp_ids=("pi_\r\n", "cs_../../../v1/refunds", "in_%00", "", "\U0001f4b6", "x" * 255)),
        cancel(attempt=10**12),
    ],
)
async def test_whatever_a_command_carries_it_is_answered(command: Command) -> None:
    """One such record, read again after each restart, would hold its partition for ever."""
    async with psp_on_simulator() as psp:
        now = await paid(psp)
        before = len(psp.log.published)
        fresh = replace(command, issued_at=now)
        if isinstance(fresh, RegisterPayment):
            fresh = replace(fresh, expires_at=now + 7_200)

        await asyncio.wait_for(psp.handle(fresh), 30)

        assert len(psp.log.published) > before
        assert set(psp.control.stats()["refunds_per_reference"].values()) <= {1}


@pytest.mark.parametrize("reference", ["R\u00fcckgabe \u20ac", "\U0001f4b6" * 128, "x" * 128, "a b:c/d"])
async def test_a_refund_reference_in_any_script_moves_money_once(reference: str) -> None:
    async with psp_on_simulator() as psp:
        now = await paid(psp)
        command = refund(refund_reference=reference, amount=100, issued_at=now)
        await psp.trouble("reset_after_commit", operation="refunds.create", times=2)

        for _ in range(2):
            await psp.handle(command)

        assert [type(each) for each in psp.outcomes()][1:] == [RefundAccepted] * 2
        assert psp.control.stats()["refunds_per_reference"] == {f"{command.order_id}/{reference}": 1}
