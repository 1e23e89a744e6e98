"""ops_console's audit chain on fakes: a database that may be restored, a topic that keeps what it has."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime

from payonce.audit import check_against_topic, entry_of
from payonce.ports.ops import Action, AnchoredPage, ChainedAction
from services.ops_console.anchoring import Auditor
from services.ops_console.deeds import note
from tests.fakes.log import MemoryAuditTopic, MemoryLog
from tests.fakes.ops_store import MemoryOpsStore, Tables
from tests.fakes.virtual_clock import START, VirtualClock

NOW = datetime.fromtimestamp(START, UTC)
#: Longer than the auditor believes what it has seen of the topic.
A_WHILE = 31.0


class Office:
    """Consoles on one database and one topic, which is read back in pages of `page` records."""

    def __init__(self, page: int = 100) -> None:
        self.store, self.log, self.clock = MemoryOpsStore(), MemoryLog(), VirtualClock()
        self.topic = MemoryAuditTopic(self.log, page)
        self.auditor = self.console()
        self.deeds = 0

    def console(self) -> Auditor:
        """Return the auditor of a console that begins."""
        return Auditor(self.store, self.log, self.topic, self.clock)

    def act(self, count: int = 1) -> None:
        """Do so many deeds."""
        for _ in range(count):
            self.deeds += 1
            action = Action(NOW, "olga", "discard", f"dl_{self.deeds}", "spam")
            self.store.run_now(lambda tx, action=action: note(tx, action))  # type: ignore[misc]

    async def publish(self) -> None:
        """Let the auditor work until nothing waits."""
        while await self.auditor.run_once():
            pass

    def backup(self) -> Tables:
        """Return what is in the database."""
        return copy.deepcopy(self.store.tables)

    def restore(self, backup: Tables) -> None:
        """Put it in the place of what is there."""
        self.store.tables = copy.deepcopy(backup)

    def anchored(self) -> list[ChainedAction]:
        """Return what the topic holds."""
        return [entry_of(record.value or b"") for record in self.log.published]

    def verified(self) -> tuple[int, int]:
        """Return what `payonce verify audit` would say. Raises BrokenChain."""
        tables = self.store.tables
        return check_against_topic(tables.actions, self.anchored(), published_up_to=max(tables.published, default=0))

    def subjects(self) -> list[str]:
        """Return what the table's deeds were done to."""
        return [entry.action.subject for entry in self.store.tables.actions]


async def five_deeds_and_a_backup_of_three(office: Office) -> None:
    """Restore a backup of three deeds where five have been published."""
    office.act(3)
    await office.publish()
    backup = office.backup()
    office.act(2)
    await office.publish()
    office.restore(backup)


def restored_in_a_look(office: Office, backup: Tables) -> Callable[[int], Coroutine[None, None, AnchoredPage]]:
    """Return a way to read the topic on which the database goes back after the second page."""
    since, pages = office.topic.since, itertools.count()

    async def interrupted(offset: int) -> AnchoredPage:
        page = await since(offset)
        if next(pages) == 1:
            office.restore(backup)
        return page

    return interrupted
