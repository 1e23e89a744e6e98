"""What has happened at Stripe, or was said by the worker, and is not in the log: what only the reconciler can bring.

It also moves the reconciler's watermark over a time that is skipped because nobody has anything to do: the rounds that
are left out would have found nothing, and moved on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.ports import Mark, OutgoingRecord, Record
from services.reconciler.missed_events import EVENTS_TASK
from services.reconciler.rules import lost_rules
from tests.simulation.fold_tables import ORDERS
from tests.simulation.process import GRACE_SECONDS
from tests.simulation.psp_account import Happening
from tests.simulation.reconciler_tables import WATERMARKS

if TYPE_CHECKING:
    from tests.simulation.world import World

#: The next round has begun by then, and a good deal more.
_ROUND_SECONDS = 45.0
#: After that it never comes, and the run shall end with saying so.
_PATIENCE_SECONDS = 3600.0
_LAG_SECONDS = GRACE_SECONDS + 60
[_CREATED] = (rule for rule in lost_rules({}) if rule.reason == "created")
_ANSWERS = frozenset({"payonce.TokenIssued.v1", "payonce.RegistrationFailed.v1"})


class News:
    """Listens to the log of a world. `vanished_ids`: events of ours that the log had confirmed and lost."""

    def __init__(self, world: World) -> None:
        self.vanished_ids: dict[str, None] = {}
        self._world = world
        self._unheard: dict[str, int] = {}  # event -> created
        self._never_sent: dict[str, float] = {}  # event -> from when on the reconciler should have brought it
        self._unanswered: dict[str, float] = {}  # order -> from when on it should have been asked after
        world.log.listeners.append(self._heard)

    def happened(self, happening: Happening) -> None:
        """Note an event."""
        self._unheard[happening.event_id] = happening.created

    def never_sent(self, happening: Happening) -> None:
        """Note that no webhook will ever bring this event."""
        self._never_sent[happening.event_id] = self._expected_in(GRACE_SECONDS)

    def vanished(self, record: OutgoingRecord) -> None:
        """Note that an answer of the worker is gone, although the log had confirmed it."""
        assert record.key is not None
        self.vanished_ids[_event_id(record)] = None
        self._unanswered[record.key.decode()] = self._expected_in(_CREATED.ages[0])

    def is_awaited(self) -> bool:
        """Return whether the reconciler still has to bring something."""
        return bool(self._due_times())

    def is_overdue(self) -> bool:
        """Return whether it should have brought something by now."""
        now = self._world.loop.time()
        return any(due_at <= now < due_at + _PATIENCE_SECONDS for due_at in self._due_times())

    def passed_over(self, until: float) -> None:
        """Move the watermark to the end of a skipped time, but never past an event that the log does not have."""
        marks = self._world.database.tables.get(WATERMARKS, {})
        if EVENTS_TASK in marks and self._is_someone_looking():
            wanted = [int(self._world.epoch + until) - _LAG_SECONDS, *(each - 1 for each in self._unheard.values())]
            marks[EVENTS_TASK] = max(marks[EVENTS_TASK], Mark(min(wanted)))

    def _due_times(self) -> list[float]:
        if self._unanswered:
            self._unanswered = {name: at for name, at in self._unanswered.items() if self._is_in_the_dark(name)}
        return [*self._never_sent.values(), *self._unanswered.values()]

    def _is_in_the_dark(self, order_id: str) -> bool:
        row = self._world.database.tables.get(ORDERS, {}).get(order_id)
        return row is not None and row[1]["payment_order_status"] == "created"

    def _expected_in(self, seconds: float) -> float:
        seconds += _ROUND_SECONDS
        self._world.loop.later(seconds, _now_it_is_overdue)
        return self._world.loop.time() + seconds

    def _is_someone_looking(self) -> bool:
        processes = self._world.processes
        return any(processes[name].owner.state == "running" for name in self._world.named("reconciler"))

    def _heard(self, record: Record) -> None:
        if record.topic == "payments.webhooks":
            event_id = record.header("ce_id") or ""
            self._unheard.pop(event_id, None)
            self._never_sent.pop(event_id, None)
        elif record.key is not None and record.header("ce_type") in _ANSWERS:
            self._unanswered.pop(record.key.decode(), None)


def _now_it_is_overdue() -> None:
    """Nothing but an event that no time is skipped over."""


def _event_id(record: OutgoingRecord) -> str:
    return (dict(record.headers)["ce_id"] or b"").decode()
