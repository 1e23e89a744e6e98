"""The worker put together from its ports: the same for the real process, for tests on fakes and for simulations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from payonce.ports import Clock, Ledger, LogProducer, PaymentGateway
from services.psp_worker.calling import Psp
from services.psp_worker.commands import Commands
from services.psp_worker.holds import Holds
from services.psp_worker.intake import Intake
from services.psp_worker.pace import Pacer
from services.psp_worker.patience import Patience, PatientLedger
from services.psp_worker.registrar import Registrar
from services.psp_worker.voice import Voice


@dataclass(frozen=True, slots=True)
class Ports:
    """The outside, handed in. `last_poll_at` and `jitter` (0..1) are the group's sign of life and the dice."""

    gateway: PaymentGateway
    ledger: Ledger
    log: LogProducer
    clock: Clock
    last_poll_at: Callable[[], float]
    jitter: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Worker:
    """The parts that others look at."""

    intake: Intake
    commands: Commands
    pacer: Pacer
    holds: Holds


def assemble(ports: Ports, *, limit_per_second: float, partitions: int, concurrency: int) -> Worker:
    """Return a worker that shares the PSP's limit with others by partitions. Call it inside the event loop."""
    holds = Holds()
    patience = Patience(holds, ports.clock, ports.jitter)
    ledger = PatientLedger(ports.ledger, patience)
    pacer = Pacer(
        ports.clock, limit_per_second=limit_per_second, partitions=partitions, last_poll_at=ports.last_poll_at
    )
    voice = Voice(ports.log, ports.clock, patience)
    psp = Psp(ports.gateway, ledger, pacer, holds, ports.clock, ports.jitter)
    commands = Commands(Registrar(psp, voice), voice)
    intake = Intake(
        commands.handle, ledger=ledger, holds=holds, pacer=pacer, clock=ports.clock, concurrency=concurrency
    )
    return Worker(intake, commands, pacer, holds)
