"""When what is asked: the reconciler's decisions as data and pure functions. Times are unix seconds, ages seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from payonce.domain.commands import RefreshPayment
from payonce.domain.identity import name_based_id
from payonce.ports import DueOrder, DueRule, WaitingEvent

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400

#: The PSP lists the events of so many days.
HORIZON_SECONDS: Final = 30 * _DAY
#: The PSP may list an event later than it dates it.
OVERLAP_SECONDS: Final = 10 * _MINUTE
#: So much of a long absence is fetched before the watermark moves.
WINDOW_SECONDS: Final = 15 * _MINUTE
#: When a waiting event's reference is looked up; before that, our own messages have most likely told the order.
WAITING_AGES: Final = (_MINUTE, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 8 * _HOUR, 20 * _HOUR)


@dataclass(frozen=True, slots=True)
class Watch:
    """An unfinished status: at which age the PSP is first asked, and from which age on people should look."""

    asked_after: int
    stuck_after: int


WATCHED: Final[Mapping[str, Watch]] = {
    "created": Watch(10 * _MINUTE, _HOUR),
    "registered": Watch(_HOUR, 25 * _HOUR),
    "processing": Watch(_HOUR, 15 * _DAY),
    "disputed": Watch(_DAY, 120 * _DAY),
    "past_due": Watch(_DAY, 60 * _DAY),
    "unpaid": Watch(_DAY, 60 * _DAY),
}


@dataclass(frozen=True, slots=True)
class Window:
    """A time from which to fetch events: [begin, end)."""

    begin: int
    end: int


def windows(done_until: int | None, target: int) -> Iterator[Window]:
    """Yield what to fetch, in order, so that everything up to `target` is fetched after the last one.

    It begins an overlap before what is done, and never before what the PSP still lists; if nothing was ever done, an
    overlap before the target. A watermark in the future (a clock that was wrong) counts as the target.
    """
    begin = target if done_until is None else min(done_until, target)
    begin = max(begin - OVERLAP_SECONDS, target - HORIZON_SECONDS)
    while begin < target:
        end = min(begin + OVERLAP_SECONDS + WINDOW_SECONDS, target)
        yield Window(begin, end)
        begin = end


def due_rules(asks_after: Mapping[str, int]) -> tuple[DueRule, ...]:
    """Return at which ages each status is asked after: first after its limit (or the given one), then ever later."""
    return tuple(
        DueRule(status, doubling(asks_after.get(status, watch.asked_after))) for status, watch in WATCHED.items()
    )


def doubling(first: int) -> tuple[int, ...]:
    """Return ages from the first on, each twice the one before, up to the horizon."""
    ages = [first]
    while ages[-1] * 2 <= HORIZON_SECONDS:
        ages.append(ages[-1] * 2)
    return tuple(ages)


def done_until(due_times: Sequence[int], *, limit: int, now: int) -> int:
    """Return how far a batch of due things (ordered, those of one second together) brings us: a full one hides more."""
    return due_times[-1] if len(due_times) >= limit else now


def refresh_of(order: DueOrder, *, api_version: str) -> RefreshPayment:
    """Return the command that asks the PSP about an order. The same due time makes the same command."""
    return _refresh(order.order_id, (order.reason, str(order.due_at)), order.psp_ids, order.due_at, api_version)


def refresh_for(event: WaitingEvent, order_id: str, *, api_version: str) -> RefreshPayment:
    """Return the command that brings a waiting event's PSP ids to the order that the PSP names."""
    asked = ("waiting_event", event.event_id, str(event.due_at))
    return _refresh(order_id, asked, event.references, event.due_at, api_version)


def refresh_of_drift(order_id: str, session_ids: tuple[str, ...], *, at: int, api_version: str) -> RefreshPayment:
    """Return the command that repairs an order which a report found to differ from the PSP."""
    return _refresh(order_id, ("drift", str(at)), session_ids, at, api_version)


def _refresh(
    order_id: str, asked: tuple[str, ...], psp_ids: tuple[str, ...], issued_at: int, api_version: str
) -> RefreshPayment:
    return RefreshPayment(
        order_id=order_id,
        refresh_id=name_based_id("rfr", order_id, *asked),
        psp_ids=psp_ids,
        reason=f"reconciler: {asked[0]}",
        issued_at=issued_at,
        api_version=api_version,
    )
