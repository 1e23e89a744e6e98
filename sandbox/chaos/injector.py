"""Does what the plan says: one call per fault, which returns when the fault's cause is gone again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sandbox.chaos.faults import Fault, Kind
from sandbox.chaos.links import Links
from sandbox.chaos.psp_trouble import PspTrouble
from sandbox.chaos.repeating import repeat_topics
from sandbox.chaos.servers import Keeper, freeze_tree, thaw
from sandbox.chaos.small_disk import SmallDisk
from sandbox.chaos.waiting import wait_for
from sandbox.chaos.weather import CLEAR, SILENT, Weather
from sandbox.stack.postgres import Postgres
from sandbox.supervisor import Supervisor

_SLOW = Weather(latency_seconds=0.08, bytes_per_second=200_000)
_UP_SECONDS = 30.0
_COPIES_PER_TOPIC = 5_000


@dataclass(slots=True)
class Injector:
    """Thread-safe for faults of different tracks. `is_well` of each keeper tells when a broker may be next."""

    supervisor: Supervisor
    postgres: Postgres
    keepers: Mapping[str, Keeper]
    links: Links
    psp: PspTrouble
    disk: SmallDisk | None
    bootstrap_servers: str
    copies: int = 0
    _deeds: Mapping[Kind, Callable[[Fault], None]] = field(init=False)

    def __post_init__(self) -> None:
        """Say what each kind of fault is."""
        self._deeds = {
            Kind.KILL_SERVICE: self._kill_service,
            Kind.FREEZE_SERVICE: self._freeze_service,
            Kind.KILL_BROKER: lambda fault: self._keeper(fault).kill(fault.seconds),
            Kind.FREEZE_BROKER: lambda fault: self._keeper(fault).freeze(fault.seconds),
            Kind.KILL_DATABASE: lambda fault: self._keeper(fault).kill(fault.seconds),
            Kind.STOP_DATABASE: self._stop_database,
            Kind.FREEZE_DATABASE: lambda fault: self._keeper(fault).freeze(fault.seconds),
            Kind.FILL_DISK: self._fill_disk,
            Kind.SLOW_LINK: lambda fault: self._weather(fault, _SLOW),
            Kind.SILENT_LINK: lambda fault: self._weather(fault, SILENT),
            Kind.CUT_LINK: lambda fault: self._cut(fault.target),
            Kind.PSP_OUTAGE: lambda fault: self.psp.outage(fault.seconds),
            Kind.PSP_STORM: lambda fault: self.psp.storm(fault.seconds),
            Kind.PSP_TRICKS: lambda fault: self.psp.tricks(fault.seconds),
            Kind.WEBHOOK_TRICKS: lambda fault: self.psp.webhook_tricks(fault.seconds),
            Kind.REPEAT_LOG: self._repeat_log,
        }

    def inject(self, fault: Fault) -> None:
        """Block until it is over. Raises Overdue when the disturbed part does not come back by itself."""
        self._deeds[fault.kind](fault)

    def _keeper(self, fault: Fault) -> Keeper:
        return self.keepers[fault.target]

    def _kill_service(self, fault: Fault) -> None:
        while True:
            self._wait_running(fault.target)
            try:
                self.supervisor.kill(fault.target)
            except ProcessLookupError:  # it ended by itself between the look and the blow: the next incarnation
                continue
            return

    def _freeze_service(self, fault: Fault) -> None:
        self._wait_running(fault.target)
        frozen = freeze_tree(self.supervisor.pid(fault.target))
        try:
            time.sleep(fault.seconds)
        finally:
            thaw(frozen)

    def _wait_running(self, name: str) -> None:
        """Wait for a process: the supervisor may be about to start it again."""
        wait_for(lambda: self.supervisor.pid(name) is not None, f"{name} runs again", _UP_SECONDS)

    def _stop_database(self, fault: Fault) -> None:
        self._keeper(fault).take_down(lambda: self.postgres.stop("immediate"), fault.seconds)

    def _fill_disk(self, fault: Fault) -> None:
        assert self.disk is not None, "the plan fills a disk that is not there"
        self.disk.fill()
        try:
            time.sleep(fault.seconds)
        finally:
            self.disk.free()
        self._keeper(fault).wait_well()

    def _weather(self, fault: Fault, weather: Weather) -> None:
        self.links.change(fault.target, weather)
        try:
            time.sleep(fault.seconds)
        finally:
            self.links.change(fault.target, CLEAR)

    def _cut(self, link: str) -> None:
        self.links.cut(link)

    def _repeat_log(self, _fault: Fault) -> None:
        self.copies += repeat_topics(self.bootstrap_servers, _COPIES_PER_TOPIC)
