"""The vocabulary: what can be done to a world, to whom, when and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Track(Enum):
    """Faults of one track never overlap each other; faults of different tracks do."""

    KILLS = "kills of services"
    FREEZES = "freezes of services"
    BROKERS = "brokers"
    DATABASE = "PostgreSQL"
    NETWORK = "network"
    PSP = "PSP"
    LOG = "log"


class Kind(Enum):
    """One way to disturb; the value is how the report names it."""

    KILL_SERVICE = "service killed (SIGKILL)"
    FREEZE_SERVICE = "service frozen (SIGSTOP)"
    KILL_BROKER = "broker killed (SIGKILL)"
    FREEZE_BROKER = "broker frozen (SIGSTOP)"
    KILL_DATABASE = "PostgreSQL killed (SIGKILL)"
    STOP_DATABASE = "PostgreSQL stopped (immediate)"
    FREEZE_DATABASE = "PostgreSQL frozen (SIGSTOP)"
    FILL_DISK = "PostgreSQL's disk full"
    SLOW_LINK = "link slow"
    SILENT_LINK = "link silent"
    CUT_LINK = "link cut"
    PSP_OUTAGE = "PSP away"
    PSP_STORM = "PSP answers 429"
    PSP_TRICKS = "PSP's answers get lost"
    WEBHOOK_TRICKS = "webhooks doubled, shuffled and lost"
    REPEAT_LOG = "topics published again"

    @property
    def track(self) -> Track:
        """Where it belongs."""
        return _TRACKS[self]


#: Those that end a process at once, and which restart PostgreSQL.
KILLS = frozenset({Kind.KILL_SERVICE, Kind.KILL_BROKER, Kind.KILL_DATABASE})
DATABASE_RESTARTS = frozenset({Kind.KILL_DATABASE, Kind.STOP_DATABASE})

_TRACKS = {
    Kind.KILL_SERVICE: Track.KILLS,
    Kind.FREEZE_SERVICE: Track.FREEZES,
    Kind.KILL_BROKER: Track.BROKERS,
    Kind.FREEZE_BROKER: Track.BROKERS,
    Kind.KILL_DATABASE: Track.DATABASE,
    Kind.STOP_DATABASE: Track.DATABASE,
    Kind.FREEZE_DATABASE: Track.DATABASE,
    Kind.FILL_DISK: Track.DATABASE,
    Kind.SLOW_LINK: Track.NETWORK,
    Kind.SILENT_LINK: Track.NETWORK,
    Kind.CUT_LINK: Track.NETWORK,
    Kind.PSP_OUTAGE: Track.PSP,
    Kind.PSP_STORM: Track.PSP,
    Kind.PSP_TRICKS: Track.PSP,
    Kind.WEBHOOK_TRICKS: Track.PSP,
    Kind.REPEAT_LOG: Track.LOG,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """`at_seconds` counts from the start of the traffic; `seconds` is how long it lasts (0: a blow)."""

    at_seconds: float
    kind: Kind
    target: str
    seconds: float = 0.0

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.0f} s" if self.seconds else ""
        return f"{self.kind.value}: {self.target}{lasting}"


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault that happened: when it began and when its cause was gone, in seconds from the start of the traffic."""

    fault: Fault
    began: float
    lifted: float
