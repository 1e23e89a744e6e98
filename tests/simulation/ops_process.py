"""services.ops_console as an incarnation: the index of the dead letters, the chores, and the API that operators use."""

from __future__ import annotations

from payonce.ports import Clock
from services.ops_console.anchoring import Auditor
from services.ops_console.chores import Chores, Settler
from services.ops_console.dependencies import Dependencies
from services.ops_console.indexer import Indexer
from services.ops_console.pacing import ReplayPace
from services.ops_console.replaying import Replayer
from services.ops_console.retention import Retention
from tests.fakes.ops_console import NoDeletion, StaticOperators
from tests.simulation.log import SimulatedAuditTopic
from tests.simulation.ops_tables import SimulatedOpsStore
from tests.simulation.process import SESSION_LIFETIME_SECONDS, Process
from tests.simulation.worker_member import WorkerMember

#: What the workers' lower share may be used for by replays.
_COMMANDS_PER_SECOND = 0.5
#: Its chores rest this long at least: that they look twice a second would be most of what happens in a run.
_REST_SECONDS = 5.0


class OpsProcess(Process):
    """services.ops_console."""

    parts: Dependencies
    member: WorkerMember

    async def _begin(self) -> None:
        world, group = self.world, self.world.groups["ops_console"]
        store = SimulatedOpsStore(world.database, world.network, self.owner)
        indexer = Indexer(store, self.clock)
        self.parts = Dependencies(
            store=store,
            clock=self.clock,
            operators=StaticOperators(),
            pace=ReplayPace(_COMMANDS_PER_SECOND),
            lifetime_seconds=SESSION_LIFETIME_SECONDS,
            link_secret=b"link-secret",
            new_id=lambda: f"rp_{self.rng.randrange(2**32)}",
            is_reading=lambda: True,
        )
        self.member = WorkerMember(group, indexer, world.network, rng=self.rng, owner=self.owner, failed=self._failed)
        self.owner.on_death.append(self.fall_silent)
        indexer.attach(self.member)
        self._watch(indexer.run())
        self._watch(self._chores(store).run())
        group.join(self.member)

    def _chores(self, store: SimulatedOpsStore) -> Chores:
        log, clock = self._producer(), _Unhurried(self.clock)
        audit_topic = SimulatedAuditTopic(self.world.log, self.world.network, self.owner)
        return Chores(
            store,
            clock,
            replayer=Replayer(store, log, self.clock, self.parts.rules, self.parts.pace),
            auditor=Auditor(store, log, audit_topic, self.clock),
            settler=Settler(store, self.clock),
            retention=Retention(store, NoDeletion(), self.clock, []),
        )

    async def stop(self) -> None:
        self.world.groups["ops_console"].leave(self.member)

    def fall_silent(self) -> None:
        if hasattr(self, "member"):
            self.world.groups["ops_console"].silent(self.member)


class _Unhurried:
    """A clock on which nobody rests for a moment only."""

    def __init__(self, clock: Clock) -> None:
        self.now = clock.now
        self.monotonic = clock.monotonic
        self._clock = clock

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(max(seconds, _REST_SECONDS))
