"""The worker put together from its ports: the same for the real process, for tests on fakes and for simulations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from payonce.ports import Clock, Ledger, LogProducer, PaymentGateway
from services.psp_worker.asking import Asking
from services.psp_worker.cancelling import Canceller
from services.psp_worker.cancelling_subscriptions import SubscriptionCanceller
from services.psp_worker.closing import Closing
from services.psp_worker.commands import Commands, Hands
from services.psp_worker.holds import Holds
from services.psp_worker.intake import Intake
from services.psp_worker.pace import Limits, Pacer
from services.psp_worker.patience import Patience, PatientLedger
from services.psp_worker.psp import Psp
from services.psp_worker.refreshing import Refresher
from services.psp_worker.refunding import Refunder
from services.psp_worker.registrar import Registrar
from services.psp_worker.resting import Rests
from services.psp_worker.scans import Scans
from services.psp_worker.settling import Settling
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


def assemble(
    ports: Ports,
    *,
    limit_per_second: float,
    partitions: int,
    concurrency: int,
    total_per_second: float | None = None,
    reserved_per_second: float = 0.0,
) -> Worker:
    """Return a worker that shares the PSP's limits with others by partitions. Call it inside the event loop.

    `limit_per_second` is for each endpoint, `total_per_second` for all (None: the same), `reserved_per_second` the part
    that others than workers use.
    """
    holds = Holds()
    patience = Patience(holds, ports.clock, ports.jitter)
    ledger = PatientLedger(ports.ledger, patience)
    limits = Limits(limit_per_second, total_per_second or limit_per_second, reserved_per_second)
    pacer = Pacer(ports.clock, limits=limits, partitions=partitions, last_poll_at=ports.last_poll_at)
    voice = Voice(ports.log, ports.clock, patience)
    rests = Rests(ports.clock, ports.jitter)
    psp = Psp(ports.gateway, ledger, pacer, holds, ports.clock, ports.jitter, rests)
    commands = Commands(_hands(psp, voice), voice)
    intake = Intake(
        commands.handle, ledger=ledger, holds=holds, pacer=pacer, clock=ports.clock, concurrency=concurrency
    )
    return Worker(intake, commands, pacer, holds)


def _hands(psp: Psp, voice: Voice) -> Hands:
    closing = Closing(psp)
    scans = Scans(psp)
    asking = Asking(psp, scans, closing)
    settling = Settling(psp, asking, closing, voice)
    return Hands(
        registrar=Registrar(psp, voice, asking, closing, settling),
        canceller=Canceller(psp, voice, settling),
        refresher=Refresher(psp, voice, settling, closing, scans),
        refunder=Refunder(psp, voice),
        subscription_canceller=SubscriptionCanceller(psp, voice),
    )
