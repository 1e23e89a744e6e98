"""When what is asked: the reconciler's decisions as data and pure functions. Times are unix seconds, ages seconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from payonce.domain.commands import RefreshPayment
from payonce.domain.identity import name_based_id
from payonce.ports import DueOrder, DueRule, Mark, WaitingEvent

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_WEEK = 7 * _DAY

#: The PSP lists the events of so many days.
HORIZON_SECONDS: Final = 30 * _DAY
#: The PSP may list an event later than it dates it.
OVERLAP_SECONDS: Final = 10 * _MINUTE
#: So much of a long absence is fetched before the watermark moves.
WINDOW_SECONDS: Final = 15 * _MINUTE
#: When a waiting event's reference is looked up; before that, our own messages have most likely told the order.
WAITING_AGES: Final = (_MINUTE, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 8 * _HOUR, 20 * _HOUR)
#: An event that names nothing but a payment is looked up for so long after it is due, then left to the invoice.
PAYMENT_LOOKS_SECONDS: Final = _HOUR


@dataclass(frozen=True, slots=True)
class Watch:
    """An unfinished status: at which age the PSP is first asked, from which on people should look, up to which it is.

    `asked_after` is None where the status itself is no reason to ask, `asked_until` where only its end ends the asking.
    """

    asked_after: int | None
    stuck_after: int
    asked_until: int | None


WATCHED: Final[Mapping[str, Watch]] = {
    "created": Watch(10 * _MINUTE, _HOUR, 30 * _DAY),
    # Most pages that are looked at are left alone till they close: asking after each would keep the lost ones waiting.
    "registered": Watch(None, 25 * _HOUR, 30 * _DAY),
    "processing": Watch(_HOUR, 15 * _DAY, 30 * _DAY),
    # It may last for a year, and its end may be told by nothing but an answer.
    "disputed": Watch(_DAY, 120 * _DAY, None),
    "past_due": Watch(_DAY, 60 * _DAY, 60 * _DAY),
    "unpaid": Watch(_DAY, 60 * _DAY, 60 * _DAY),
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


def ever_later(first: int, last: int) -> tuple[int, ...]:
    """Return ages from the first to the last: each twice the one before, but never more than a week later."""
    ages = [first]
    while (following := ages[-1] + min(ages[-1], _WEEK)) <= last:
        ages.append(following)
    return tuple(ages)


#: What these are due for, something is missing.
_LOST: Final = (
    # The PSP closes a session at its expiry; so much later it has said so, or the news was lost.
    DueRule("expiry", (15 * _MINUTE,)),
    # A session may still appear for an attempt that a search did not find; also looked for after its expiry.
    DueRule("late_born", (10 * _MINUTE, _HOUR)),
)
#: Of an appeal's decision no event can tell: so much later at most it is known.
_APPEALED_SECONDS: Final = 6 * _HOUR
_APPEALS: Final = (
    # Each answer changes the row, and the ages begin anew: so this is how often it is asked after while it is open.
    DueRule("appealed", ever_later(_APPEALED_SECONDS, 30 * _DAY)),
    # Of another appeal, too, no event can tell; after so long there will be none.
    DueRule("lost_again", ever_later(_APPEALED_SECONDS, 120 * _DAY)),
)


def lost_rules(asks_after: Mapping[str, int]) -> tuple[DueRule, ...]:
    """Return when it is asked after what has had no news although there must be some."""
    return (*_status_rules(("created",), asks_after), *_LOST)


def slow_rules(asks_after: Mapping[str, int]) -> tuple[DueRule, ...]:
    """Return when it is asked after what is slow by nature, or waits for people."""
    return (*_status_rules([status for status in WATCHED if status != "created"], asks_after), *_APPEALS)


def _status_rules(statuses: Iterable[str], asks_after: Mapping[str, int]) -> Iterator[DueRule]:
    """Yield at which ages each status is asked after: first after its limit (or the given one), then ever later."""
    for status in statuses:
        watch = WATCHED[status]
        first = asks_after.get(status, watch.asked_after)
        if first is not None and watch.asked_until is not None:
            yield DueRule(status, ever_later(first, watch.asked_until))
        elif first is not None:
            yield DueRule(status, ever_later(first, 2 * _WEEK), then_every=_WEEK)


def reached(due: Sequence[tuple[int, str]], *, limit: int, now: int) -> Mark:
    """Return how far a batch of due things (time and name, in that order) brings us: a full one hides more."""
    return Mark.at(*due[-1]) if len(due) >= limit else Mark(now)


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
