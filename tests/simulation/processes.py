"""The processes of payonce as incarnations: the real code of each, put together on simulated ports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from payonce.catalog import topics_read_by
from services.checkout_api.clients import Clients, Key, key_hash
from services.checkout_api.dependencies import Dependencies
from services.psp_worker.assembly import Ports, Worker, assemble
from services.reconciler import assembly as reconciler
from services.status_processor.chores import SWEEP_SECONDS, every
from services.status_processor.fold import Fold
from services.status_processor.relay import Relay
from tests.simulation.fold_member import FoldMember
from tests.simulation.fold_tables import SimulatedFoldStore
from tests.simulation.ledger_tables import SimulatedLedger
from tests.simulation.log import PARTITIONS
from tests.simulation.ops_process import OpsProcess
from tests.simulation.order_reads import SimulatedArchive, SimulatedReads
from tests.simulation.outbox_table import SimulatedOutbox
from tests.simulation.process import (
    API_VERSION,
    GRACE_SECONDS,
    LIMIT_PER_SECOND,
    LINKS,
    RECONCILER_PER_SECOND,
    SESSION_LIFETIME_SECONDS,
    SHOP,
    Process,
)
from tests.simulation.psp_gateway import SimulatedGateway
from tests.simulation.psp_reads import SimulatedPspReads
from tests.simulation.reconciler_tables import SimulatedReconcilerStore
from tests.simulation.versions import NewerFold
from tests.simulation.worker_member import WorkerMember

if TYPE_CHECKING:
    from tests.simulation.world import World

_ROUND_SECONDS = 30.0
_RELAY_POLL_SECONDS = 2.0


class WorkerProcess(Process):
    """services.psp_worker."""

    worker: Worker
    member: WorkerMember

    async def _begin(self) -> None:
        world, group = self.world, self.world.groups["psp_worker"]
        ports = Ports(
            gateway=SimulatedGateway(world.psp, world.network, self.rng, self.owner),
            ledger=SimulatedLedger(world.database, self.owner),
            log=self._producer(),
            clock=self.clock,
            last_poll_at=lambda: self.member.last_poll_at(),  # noqa: PLW0108  (there is no member yet)
            jitter=self.rng.random,
        )
        self.worker = assemble(
            ports,
            limit_per_second=LIMIT_PER_SECOND,
            partitions=PARTITIONS,
            concurrency=self.rng.choice((1, 2, 8)),
            reserved_per_second=RECONCILER_PER_SECOND,
        )
        intake = self.worker.intake
        self.member = WorkerMember(group, intake, world.network, rng=self.rng, owner=self.owner, failed=self._failed)
        self.owner.on_death.append(self.fall_silent)
        intake.attach(self.member)
        self._watch(_result(intake.failed))
        self._watch(intake.run())
        group.join(self.member)

    async def stop(self) -> None:
        await self.worker.intake.drain(8.0)
        await asyncio.sleep(0.1)
        self.world.groups["psp_worker"].leave(self.member)

    def fall_silent(self) -> None:
        if hasattr(self, "member"):
            self.world.groups["psp_worker"].silent(self.member)


class _UnhurriedRelay(Relay):
    """The relay, looking less often when nobody wakes it: its polls would be half of all that happens in a run."""

    async def _rest(self, stopping: asyncio.Event) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_RELAY_POLL_SECONDS):
                await self._woken.wait()


class ProcessorProcess(Process):
    """services.status_processor: the fold, its chores and the relay."""

    member: FoldMember

    async def _begin(self) -> None:
        world, group = self.world, self.world.groups["status_processor"]
        outbox = SimulatedOutbox(world.database, world.network, self.owner)
        relay = _UnhurriedRelay(outbox, self._producer, self.clock)
        fold = (NewerFold if self.name in world.newer else Fold)(
            SimulatedFoldStore(world.database, self.owner),
            self._producer(),
            self.clock,
            group="status_processor",
            livemode=False,
            on_announced=relay.wake,
        )
        self.member = FoldMember(
            group, fold, self.clock, world.network, rng=self.rng, owner=self.owner, failed=self._failed
        )
        self.owner.on_death.append(self.fall_silent)
        self._watch(self.member.run())
        self._watch(relay.run(asyncio.Event()))
        self._watch(every(SWEEP_SECONDS, fold.sweep, self.clock))
        group.join(self.member)

    async def stop(self) -> None:
        await self.member.revoke(())
        self.world.groups["status_processor"].leave(self.member)

    def fall_silent(self) -> None:
        if hasattr(self, "member"):
            self.world.groups["status_processor"].silent(self.member)


class ReconcilerProcess(Process):
    """services.reconciler."""

    async def _begin(self) -> None:
        world = self.world
        ports = reconciler.Ports(
            reads=SimulatedPspReads(world.psp, world.network, self.rng, self.owner, API_VERSION),
            store=SimulatedReconcilerStore(world.database, world.network, self.owner),
            log=self._producer(),
            clock=self.clock,
        )
        policy = reconciler.Policy(
            calls_per_second=RECONCILER_PER_SECOND,
            refreshes_per_second=1.0,
            interval_seconds=_ROUND_SECONDS,
            grace_seconds=GRACE_SECONDS,
            api_version=API_VERSION,
        )
        self._watch(reconciler.assemble(ports, policy).run())


class ApiProcess(Process):
    """services.checkout_api: its parts; requests come as coroutines over them."""

    parts: Dependencies

    async def _begin(self) -> None:
        producer = self._producer()
        outside = (self.world.database, self.world.network, self.owner)
        reads = SimulatedReads(*outside)
        self.parts = Dependencies(
            producer=producer,
            broker=producer,
            reads=reads,
            archive=SimulatedArchive(*outside),
            watch=reads,
            clock=self.clock,
            clients=_Shops(),
            links=LINKS,
            verify_signature=lambda _body, header: header == "valid",
            stripe_api_version=API_VERSION,
            session_lifetime_seconds=SESSION_LIFETIME_SECONDS,
        )


async def _result(future: asyncio.Future[None]) -> None:
    await future


class _Shops:
    """The one client."""

    def current(self) -> Clients:
        return Clients({key_hash("key"): Key(SHOP, frozenset())})


KINDS: dict[str, Callable[[World, str], Process]] = {
    "worker": WorkerProcess,
    "processor": ProcessorProcess,
    "reconciler": ReconcilerProcess,
    "api": ApiProcess,
    "ops": OpsProcess,
}
GROUPS = {name: topics_read_by(name) for name in ("psp_worker", "status_processor", "ops_console")}
