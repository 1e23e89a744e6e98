"""Looking for sessions of which no answer told us: one scan of the PSP's list for all orders that wait for one.

A session cannot be found by its order, so the list of a time is read and compared with the metadata. Orders that ask
while a scan runs share the next one. What happened long ago has scans of its own, so that no live order waits for it.
Only the times that somebody asks about are read: a replay of last month beside an order of today costs what both cost.
Each worker scans for the orders of its own partitions: what it finds belongs to them alone, and its part of the lower
share bounds all scans together, so nothing would be won by handing sessions from process to process.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from payonce.ports import GatewayFailure, Registration, Session, SessionPage
from services.psp_worker.caller import Caller
from services.psp_worker.outcome import is_stale
from services.psp_worker.psp import Psp
from services.psp_worker.timing import CLOCK_SKEW_SECONDS, LONGEST_SESSION_SECONDS

#: What was first tried longer ago is looked for in other scans.
YOUNG_SECONDS = 1800.0
#: A page is asked for so often before those who wait are told; they ask again, each at its own pace.
_PAGE_TRIES = 3


@dataclass(frozen=True, slots=True)
class Sighting:
    """The sessions that name an attempt, and when the scan that saw them began (unix seconds)."""

    sessions: tuple[Session, ...]
    began_at: float


@dataclass(eq=False, slots=True)
class _Search:
    order_id: str
    attempt: str
    created_from: int
    created_until: int
    api_version: str
    every: bool
    answer: asyncio.Future[Sighting]
    found: list[Session] = field(default_factory=list)

    def sees(self, session: Session) -> None:
        if session.created >= self.created_from:
            self.found.append(session)

    def ends(self, *, oldest_created: int | None, began_at: float) -> None:
        """Answer if nothing older can be of interest; None: the list is at its end."""
        is_over = oldest_created is None or oldest_created < self.created_from or (self.found and not self.every)
        if is_over and not self.answer.done():
            self.answer.set_result(Sighting(tuple(self.found), began_at))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the next page of the list begins, newest first: up to `until`, and after the session read last."""

    until: int = 0
    after: str | None = None
    oldest_created: int | None = None  # of what was read

    def next(self, until: int) -> _Place:
        """Return this place, or a later one if nobody waits any more for what lies between: they do from `until` on."""
        if self.after is None or (self.oldest_created is not None and until < self.oldest_created):
            return _Place(until)
        return self


class _Line:
    def __init__(self) -> None:
        self.waiting: list[_Search] = []
        self.runner: asyncio.Task[None] | None = None


class Scans:
    """Shared searches. Belongs to one event loop."""

    def __init__(self, psp: Psp) -> None:
        self._psp = psp
        self._young, self._old = _Line(), _Line()

    async def find(self, row: Registration, *, every: bool = False) -> Sighting:
        """Look for sessions of the row's attempt made since its first try; `every`: not only the newest.

        Raises GatewayFailure when the PSP cannot be asked now: ask again.
        """
        search = _Search(
            order_id=row.order_id,
            attempt=str(row.attempt),
            created_from=self._earliest(row),
            created_until=_latest(row),
            api_version=row.api_version,
            every=every,
            answer=asyncio.get_running_loop().create_future(),
        )
        line = self._young if self._is_recent(row) else self._old
        line.waiting.append(search)
        if line.runner is None or line.runner.done():
            line.runner = asyncio.get_running_loop().create_task(self._run(line))
        return await search.answer

    def _is_recent(self, row: Registration) -> bool:
        """Return whether all tries were made lately, and by us. A stale row may be one that an older ledger knew."""
        now = self._psp.clock.now()
        return now - row.first_try_at <= YOUNG_SECONDS and not is_stale(row, now)

    def _earliest(self, row: Registration) -> int:
        """Return before when no session of the row can have been made, by the PSP's clock.

        A try of long ago may have been dated by another process, whose clock nobody knows: there, what counts is that
        the PSP makes no session that lives longer than a day.
        """
        if self._is_recent(row):
            return int(row.first_try_at) - CLOCK_SKEW_SECONDS
        return min(int(row.first_try_at) - CLOCK_SKEW_SECONDS, row.expires_at - LONGEST_SESSION_SECONDS)

    async def _run(self, line: _Line) -> None:
        while line.waiting:
            searches, line.waiting = line.waiting, []
            try:
                await self._scan(searches)
            except Exception as error:  # noqa: BLE001  (it is raised where it is waited for)
                for search in _unanswered(searches):
                    search.answer.set_exception(error)

    async def _scan(self, searches: Sequence[_Search]) -> None:
        began_at, place = self._psp.clock.now(), _Place()
        api_version = max(search.api_version for search in searches)
        by_name: defaultdict[tuple[str | None, str | None], list[_Search]] = defaultdict(list)
        for search in searches:
            by_name[search.order_id, search.attempt].append(search)
        with Caller(self._psp, None, order_id="", spare=True) as caller:
            while open_searches := _unanswered(searches):
                place = place.next(max(search.created_until for search in open_searches))
                created_from = min(search.created_from for search in open_searches)
                page = await self._page(caller, created_from, place, api_version)
                for session in page.sessions:
                    for search in by_name.get((session.metadata.get("order_id"), session.metadata.get("attempt")), ()):
                        search.sees(session)
                oldest = page.oldest_created if page.next_after is not None else None
                for search in open_searches:
                    search.ends(oldest_created=oldest, began_at=began_at)
                place = _Place(place.until, page.next_after, oldest)

    async def _page(self, caller: Caller, created_from: int, place: _Place, api_version: str) -> SessionPage:
        tries = 0
        while True:
            tries += 1
            try:
                return await caller.call(
                    "sessions.list",
                    lambda: self._psp.gateway.sessions_created(
                        created_from=created_from,
                        created_until=place.until,
                        after=place.after,
                        api_version=api_version,
                    ),
                )
            except GatewayFailure as failure:
                if tries == _PAGE_TRIES or failure.kind == "permanent":
                    raise
                await caller.pause(failure)


def _latest(row: Registration) -> int:
    """Return when a session of the row has expired at the latest: the PSP makes none later, by the clock that dates it.

    A row without a request was entered by a cancellation. What an earlier ledger may have registered had been commanded
    before it, to live for 23 hours at most; the hour up to a day is for the clocks that dated the two.
    """
    return row.expires_at if row.request else int(row.last_try_at) + LONGEST_SESSION_SECONDS


def _unanswered(searches: Iterable[_Search]) -> list[_Search]:
    return [search for search in searches if not search.answer.done()]
