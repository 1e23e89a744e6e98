"""The processes of payonce as incarnations: the real code of each, put together on simulated ports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from payonce.catalog import topics_read_by
from payonce.domain.order_row import OrderRow
from payonce.ports import PositionMoved
from services.checkout_api.clients import Client, Clients, key_hash
from services.checkout_api.dependencies import Dependencies
from services.checkout_api.links import Links
from services.psp_worker.assembly import Ports, Worker, assemble
from services.psp_worker.exits import LedgerContradicted
from services.status_processor.chores import SWEEP_SECONDS, every
from services.status_processor.fold import Fold
from services.status_processor.relay import Relay
from tests.fakes.order_reads import FakeArchive, FakeOrders
from tests.simulation.database import Database
from tests.simulation.dice import dice
from tests.simulation.fold_member import FoldMember
from tests.simulation.fold_tables import ORDERS, SimulatedFoldStore
from tests.simulation.ledger_tables import SimulatedLedger
from tests.simulation.log import PARTITIONS, SimulatedProducer
from tests.simulation.network import Network
from tests.simulation.outbox_table import SimulatedOutbox
from tests.simulation.psp_gateway import SimulatedGateway
from tests.simulation.scheduler import Incarnation, LoopClock
from tests.simulation.worker_member import WorkerMember

if TYPE_CHECKING:
    from tests.simulation.world import World

LIMIT_PER_SECOND = 5.0
API_VERSION = "2026-10-28.endive"
LINKS = Links("https://pay.example", (b"link-secret",))
SHOP = Client("shop", "shop", frozenset(), frozenset({"https://shop.example"}), 1000.0, b"return-secret")
SESSION_LIFETIME_SECONDS = 82_500
#: How a process may end by itself; anything else is a bug.
EXPECTED_ENDS = (PositionMoved, LedgerContradicted, TimeoutError)


class Process:
    """One incarnation with its parts. `begin` runs inside it."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.owner = Incarnation(name, world.loop)
        self.clock = LoopClock(world.loop, world.epoch)
        self.clock.skew = world.skews.get(name, 0.0)
        self.rng = dice(world.rng.random())
        self.owner.on_death.append(lambda: world.database.hang_up(self.owner))

    def start(self) -> None:
        """Begin to live."""
        self.owner.start(self._begin())

    async def stop(self) -> None:
        """End in order (SIGTERM). Runs inside the incarnation."""

    def fall_silent(self) -> None:
        """Send no more heartbeats, by death or by frost."""

    async def _begin(self) -> None:
        raise NotImplementedError

    def _failed(self, error: BaseException) -> None:
        """The process cannot go on and ends as it stands."""
        if self.owner.state == "running":
            self.world.ended(self, error)

    def _producer(self) -> SimulatedProducer:
        world = self.world
        return SimulatedProducer(world.log, world.network, self.rng, world.publishing, self.owner)

    def _watch(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run work whose failure ends the process."""

        def over(task: asyncio.Task[Any]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                self._failed(error)

        asyncio.get_running_loop().create_task(work).add_done_callback(over)


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
            ports, limit_per_second=LIMIT_PER_SECOND, partitions=PARTITIONS, concurrency=self.rng.choice((1, 2, 8))
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


class ProcessorProcess(Process):
    """services.status_processor: the fold, its chores and the relay."""

    member: FoldMember

    async def _begin(self) -> None:
        world, group = self.world, self.world.groups["status_processor"]
        outbox = SimulatedOutbox(world.database, world.network, self.owner)
        relay = Relay(outbox, self._producer, self.clock)
        fold = Fold(
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


class ApiProcess(Process):
    """services.checkout_api: its parts; requests come as coroutines over them."""

    parts: Dependencies

    async def _begin(self) -> None:
        producer = self._producer()
        reads = _Reads(self.world.database, self.world.network, self.owner)
        self.parts = Dependencies(
            producer=producer,
            broker=producer,
            reads=reads,
            archive=FakeArchive(FakeOrders()),
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
        return Clients({key_hash("key"): SHOP})


class _Reads:
    """The API's OrderReads and OrderWatch: reads what is committed, and is never told that it has changed."""

    def __init__(self, database: Database, network: Network, owner: Incarnation) -> None:
        self._database = database
        self._network = network
        self._owner = owner
        self.healthy = True

    async def order(self, order_id: str) -> OrderRow | None:
        def read() -> OrderRow | None:
            self._database.require_up()
            row = self._database.tables.get(ORDERS, {}).get(order_id)
            return None if row is None else order_row(order_id, row)

        return await self._network.call(self._owner, read)

    @contextmanager
    def waiter(self, order_id: str) -> Iterator[_Reads]:
        yield self

    async def changed(self) -> None:
        await asyncio.get_running_loop().create_future()


def order_row(order_id: str, stored: tuple[bytes, Any, int]) -> OrderRow | None:
    """Return a stored order as the API reads it."""
    _, columns, version = stored
    known = dict(columns)
    status = known.pop("payment_order_status")
    if status is None:
        return None
    fields = {**known, "flags": tuple(known["flags"] or ())}
    return OrderRow(order_id=order_id, status=status, version=version, created_at=0, updated_at=0, **fields)


KINDS: dict[str, Callable[[World, str], Process]] = {
    "worker": WorkerProcess,
    "processor": ProcessorProcess,
    "api": ApiProcess,
}
GROUPS = {name: topics_read_by(name) for name in ("psp_worker", "status_processor")}
