"""The PSP worker on the real gateway and the Stripe simulator, which counts what could be paid; time is moved by hand.

Ledger and log are in memory. Whoever sleeps moves both clocks, the worker's and the simulator's, at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx

from payonce.adapters.stripe import StripeGateway
from payonce.domain.commands import Command, RegisterPayment
from payonce.domain.events import TokenIssued
from payonce.ports import Record, Registered
from payonce.ports.ops import Letter
from payonce.ports.ops_reads import LedgerView, RefundView
from sandbox.stripe_simulator.config import Config
from sandbox.stripe_simulator.server import SimulatorServer
from services.ops_console.amending import Rules
from services.ops_console.letters import letter_of
from services.ops_console.planning import Send, Skip, plan
from services.psp_worker.request import registration_request
from tests.fakes.clock import LoopClock
from tests.fakes.gateway import MemoryGateway
from tests.fakes.psp_worker import COMMANDS_DLT, Crash, World

_SECRET_KEY = "sk_test_payonce"
#: No limit: how fast calls come in real time says nothing here.
_UNLIMITED = 0
_LIFETIME_SECONDS = 20 * 3600


class SimulatorClock:
    """Implements ports.Clock for one sleeper at a time: a sleep moves the simulator's clock as well."""

    def __init__(self, server: SimulatorServer) -> None:
        self._server = server
        self._shift = 0.0

    def now(self) -> float:
        """Return unix seconds, as the simulator counts them."""
        return time.time() + self._shift

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic() + self._shift

    async def sleep(self, seconds: float) -> None:
        """Let so much time pass everywhere, without waiting for it."""
        if seconds > 0:
            await asyncio.to_thread(self._server.control.advance_clock, seconds)
            self._shift += seconds


class _Watched:
    """The gateway. After each call the simulator is asked what can be paid now; then the process may end."""

    def __init__(self, gateway: StripeGateway, psp: PspOnSimulator) -> None:
        self._gateway = gateway
        self._psp = psp

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._gateway, name)

        async def call(*args: Any, **named: Any) -> Any:
            self._psp.calls.append(name)
            try:
                answer = await method(*args, **named)
                if isinstance(answer, Registered) and name != self._psp.ends_after:
                    self._psp.returned.add(answer.session.session_id)
            finally:
                await self._psp.look()
            if name == self._psp.ends_after:
                self._psp.ends_after = None
                raise Crash
            return answer

        return call


class PspOnSimulator(World):
    """A worker's world whose PSP is the simulator.

    `most_payable`: sessions of one order that were open at once, ever, and of which we had been told.
    `ends_after`: the call whose answer the process does not survive, once.
    """

    def __init__(self, server: SimulatorServer, gateway: StripeGateway) -> None:
        super().__init__()
        self.control = server.control
        self.url = server.url
        self.calls: list[str] = []
        self.returned: set[str] = set()
        self.most_payable = 0
        self.ends_after: str | None = None
        self.gateway = cast("MemoryGateway", _Watched(gateway, self))
        self.clock = cast("LoopClock", SimulatorClock(server))

    async def look(self) -> None:
        """Count what can be paid now."""
        told = self.returned | {each.session_id for each in self.outcomes() if isinstance(each, TokenIssued)}
        payable = Counter(each["order_id"] for each in await self.open_sessions() if each["id"] in told)
        self.most_payable = max([self.most_payable, *payable.values()])

    async def open_sessions(self) -> list[dict[str, Any]]:
        """Return the sessions that can be paid now, whoever knows of them."""
        return await asyncio.to_thread(lambda: self.control.sessions(status="open"))

    async def count(self, what: str, command: Command) -> int:
        """Return how many of these (sessions_per_order, ...) the simulator holds for the command's order."""
        stats = await asyncio.to_thread(self.control.stats)
        return sum(number for name, number in stats[what].items() if name.startswith(command.order_id))

    async def pay(self, command: Command) -> None:
        """Pay the order's only open session."""
        [mine] = [each for each in await self.open_sessions() if each["order_id"] == command.order_id]
        await asyncio.to_thread(lambda: self.control.pay(mine["id"], method="card"))

    async def trouble(self, kind: str, **rule: Any) -> None:
        """Let calls go wrong; without `times` until `calm`."""
        await asyncio.to_thread(lambda: self.control.add_fault(kind, **rule))

    async def calm(self) -> None:
        await asyncio.to_thread(self.control.clear_faults)

    async def bear_late(self, command: RegisterPayment) -> None:
        """Let a session of the command appear at the PSP of which no answer ever told."""
        request = dict(_flat(registration_request(command)))
        headers = {"Authorization": f"Bearer {_SECRET_KEY}", "Stripe-Version": command.api_version}
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{self.url}/v1/checkout/sessions", data=request, headers=headers)
        assert answer.status_code == 200, answer.text

    def letters(self) -> list[Record]:
        """Return what lies in the dead-letter topic of the commands."""
        return self.log.on(COMMANDS_DLT)

    def replay_of(self, letter: Record) -> Send | Skip:
        """Return what ops send for a dead letter now, by their own plan; or why they send nothing."""
        return self.plan_of(letter_of(letter))

    def plan_of(self, row: Letter) -> Send | Skip:
        """Return what ops send for a dead letter's row now, or why they send nothing."""
        attempts = self.ledger.registrations.get(row.order_id or "", {}).values()
        refunds = [each for (order_id, _), each in self.ledger.refunds.items() if order_id == row.order_id]
        ledger: list[LedgerView | RefundView] = [
            *(LedgerView(each.attempt, each.state, each.body_hash) for each in attempts),
            *(RefundView(each.refund_reference, each.state, each.command_id) for each in refunds),
        ]
        return plan(row, ledger, Rules(self.clock.now(), _LIFETIME_SECONDS, b"secret"))


@asynccontextmanager
async def psp_on_simulator() -> AsyncIterator[PspOnSimulator]:
    """A fresh simulator, and a world on it."""
    limits = Config(secret_key=_SECRET_KEY, rate_limit_per_endpoint=_UNLIMITED, rate_limit_total=_UNLIMITED)
    with SimulatorServer(limits) as server:
        gateway = StripeGateway(_SECRET_KEY, server.url)
        try:
            yield PspOnSimulator(server, gateway)
        finally:
            await gateway.close()


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield a request as a form has it: `metadata[order_id]`."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(each, f"{name}[{key}]" if name else str(key))
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from _flat(each, f"{name}[{index}]")
    else:
        yield name, str(value).lower() if isinstance(value, bool) else str(value)
