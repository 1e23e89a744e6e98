"""How fast this worker may call the PSP: evenly spaced calls, a share of the limits by the partitions it holds.

All workers together, and the reconciler beside them, stay under every limit in any one second, handovers included: for
each endpoint and for all of them, also when the network holds calls back for a while (`gates`). Time comes from the
Clock port only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from payonce.ports import Clock
from services.psp_worker.gates import Gate
from services.psp_worker.timing import POLL_FRESH_SECONDS, SHARE_DELAY_SECONDS

#: What the PSP counts as one endpoint each; everything that is only read by its id is counted as one.
Endpoint = Literal[
    "sessions.create",
    "sessions.expire",
    "sessions.retrieve",
    "sessions.list",
    "refunds.create",
    "refunds.list",
    "subscriptions.cancel",
    "subscriptions.update",
    "reads",
]
#: The reconciler's endpoints, too.
_SHARED: Final[frozenset[Endpoint]] = frozenset({"sessions.retrieve", "sessions.list", "reads"})
#: Of an endpoint's pace, for all that is no live registration or refund: scans, refreshes, replays.
SPARE_SHARE = 0.25
#: After a 429: half the pace, at most this slow, doubled again after each quiet spell.
_SLOWEST_FACTOR = 0.1
_QUIET_SECONDS = 10.0
#: Answers to calls that left before we slowed down say nothing new.
_SAME_COMPLAINT_SECONDS = 1.0
_LOOK_AGAIN_SECONDS = 0.1
#: Calls whose quickest tenth tells what the PSP itself needs for one.
_REMEMBERED_CALLS = 20
#: Answers come evenly if the time between two is at least this part of the time between their calls.
_EVEN_SHARE = 0.5


def endpoint_of(psp_id: str) -> Endpoint:
    """Return what the PSP counts the reading of this object as."""
    return "sessions.retrieve" if psp_id.startswith("cs_") else "reads"


@dataclass(frozen=True, slots=True)
class Limits:
    """The PSP's limits in calls per second, and the part of them that the reconciler uses."""

    per_endpoint: float
    total: float
    reserved: float = 0.0


@dataclass(frozen=True, slots=True)
class _Answered:
    left_at: float
    at: float
    came_evenly: bool


class Lane:
    """One line of callers. Its head waits until a call is `due`, makes ready, says that it has `left`, and its end."""

    def __init__(self, pacer: Pacer, gates: tuple[Gate, ...]) -> None:
        self.line = asyncio.Lock()  # fair: first come, first called
        self._pacer = pacer
        self._gates = gates
        # At first nobody knows, and the worst is assumed.
        self._took = deque([0.0] * _REMEMBERED_CALLS, maxlen=_REMEMBERED_CALLS)
        self._before = _Answered(0.0, 0.0, came_evenly=False)

    async def due(self) -> None:
        """Return when a call may leave at once. Only for the head of the line, which must then say `left`."""
        await self._pacer.due(self._gates)

    def left(self) -> float:
        """Note that a call leaves now; return when that is, for `came_back`."""
        return self._pacer.left(self._gates)

    def came_back(self, left_at: float) -> None:
        """Note the end of a call, answered or not: once for each that has left."""
        now = self._pacer.now()
        self._remember(left_at, now)
        # Whatever a call took beyond what the quick ones take, it may have spent on its way there.
        quick = sorted(self._took)[_REMEMBERED_CALLS // 10]
        arrived_at = max(left_at, now - quick)
        for gate in self._gates:
            gate.came_back(arrived_at)

    def _remember(self, left_at: float, now: float) -> None:
        """Keep what the call before took, unless the network held it back: then answers come in a bunch."""
        before = self._before
        came_evenly = now - before.at >= _EVEN_SHARE * abs(left_at - before.left_at)
        if came_evenly and before.came_evenly:
            self._took.append(before.at - before.left_at)
        self._before = _Answered(left_at, now, came_evenly)


class Pacer:
    """The lanes of this worker.

    What is spare waits in lanes of its own, and there without a slot (`caller.py`), so that nothing live of another
    order stands behind it.
    """

    def __init__(self, clock: Clock, *, limits: Limits, partitions: int, last_poll_at: Callable[[], float]) -> None:
        self._clock = clock
        self._limits = limits
        self._partitions = partitions
        self._last_poll_at = last_poll_at
        self._held = 0
        self._gained: tuple[float, int] | None = None  # (from when on, partitions held then)
        self._factor = 1.0
        self._slowed_at = float("-inf")
        self._total = Gate(limits.total, limits.reserved, partitions)
        self._spare = Gate(limits.per_endpoint, 0.0, partitions, SPARE_SHARE)
        self._endpoints: dict[Endpoint, Gate] = {}
        self._lanes: dict[tuple[Endpoint, bool], Lane] = {}

    def lane(self, endpoint: Endpoint, *, spare: bool) -> Lane:
        """Return the line for an endpoint; `spare` for all that is no live registration or refund."""
        if (endpoint, spare) not in self._lanes:
            reserved = self._limits.reserved if endpoint in _SHARED else 0.0
            gate = self._endpoints.setdefault(endpoint, Gate(self._limits.per_endpoint, reserved, self._partitions))
            gates = (gate, self._total, self._spare) if spare else (gate, self._total)
            self._lanes[endpoint, spare] = Lane(self, gates)
        return self._lanes[endpoint, spare]

    def hold(self, partitions: int) -> None:
        """Note how many partitions are held now: less counts at once, more after their former owners have stopped."""
        now = self._clock.monotonic()
        self._held = min(self._held_at(now), partitions)
        self._gained = (now + SHARE_DELAY_SECONDS, partitions) if partitions > self._held else None

    def slow_down(self) -> None:
        """Call less often for a while: the PSP has complained."""
        now = self._clock.monotonic()
        if now - self._slowed_at < _SAME_COMPLAINT_SECONDS:
            return
        self._factor = max(_SLOWEST_FACTOR, self._factor_at(now) / 2)
        self._slowed_at = now

    async def due(self, gates: tuple[Gate, ...]) -> None:
        """Return when all gates are open."""
        while (seconds := self._seconds_left(gates)) > 0:
            await self._clock.sleep(seconds)

    def left(self, gates: tuple[Gate, ...]) -> float:
        """Note that a call leaves through these gates now; return when that is."""
        now = self._clock.monotonic()
        for gate in gates:
            gate.left(now)
        return now

    def now(self) -> float:
        """Return the clock's monotonic seconds."""
        return self._clock.monotonic()

    def _seconds_left(self, gates: tuple[Gate, ...]) -> float:
        now = self._clock.monotonic()
        held, factor = self._held_at(now), self._factor_at(now)
        if held <= 0 or now - self._last_poll_at() > POLL_FRESH_SECONDS:
            return _LOOK_AGAIN_SECONDS
        if any(gate.is_full(held, now) for gate in gates):
            return _LOOK_AGAIN_SECONDS
        opens_at = max(gate.opens_at(gate.rate(held) * factor) for gate in gates)
        # Look again now and then: a share gained meanwhile shortens the wait.
        return min(opens_at - now, _LOOK_AGAIN_SECONDS)

    def _held_at(self, now: float) -> int:
        if self._gained is not None and now >= self._gained[0]:
            self._held, self._gained = self._gained[1], None
        return self._held

    def _factor_at(self, now: float) -> float:
        quiet_spells = min(max(now - self._slowed_at, 0.0) / _QUIET_SECONDS, 64)
        return min(1.0, self._factor * 2.0 ** int(quiet_spells))
