"""Whatever is restored, and whenever: the audit chain and payments.ops tell one story in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hypothesis import given
from hypothesis import strategies as st

from payonce.audit import audit_record, check
from payonce.ports.ops import ChainedAction
from tests.fakes.audit_office import A_WHILE, Office, restored_in_a_look
from tests.fakes.ops_store import Tables

STEPS = (
    *("act", "act", "publish", "publish half", "restart", "time"),
    *("backup", "restore", "restore in a look", "somebody late"),
)


@given(st.lists(st.sampled_from(STEPS), max_size=30), st.integers(1, 4))
def test_whatever_is_restored_and_whenever_the_chain_ends_whole_and_holds_every_published_deed(
    steps: list[str], page: int
) -> None:
    async def played() -> None:
        office = Office(page)
        backup, late = office.backup(), list[ChainedAction]()
        for step in steps:
            if step == "backup":
                backup = office.backup()
            elif step == "restore":
                late += office.store.tables.actions[-1:]
                office.restore(backup)
            elif step == "restore in a look":
                late += office.store.tables.actions[-1:]
                await _look_and_restore(office, backup)
            elif step == "somebody late" and late:
                await office.log.publish(audit_record(late.pop()))
            else:
                await MOVES.get(step, _nothing)(office)
        await _at_rest(office)
        if "somebody late" not in steps:  # who publishes a deed's older number tells it again, and both stand there
            told = [entry.action.subject for entry in office.store.tables.actions if entry.action.actor == "olga"]
            assert len(told) == len(set(told))

    asyncio.run(played())


async def _at_rest(office: Office) -> None:
    for _ in range(2):
        office.clock.advance(A_WHILE)
        await office.publish()
    tables = office.store.tables
    assert tables.published == {entry.sequence for entry in tables.actions}
    assert office.verified() == (len(tables.actions), len(tables.actions))
    check(tables.actions)
    assert {entry.action.subject for entry in office.anchored()} <= set(office.subjects())


async def _act(office: Office) -> None:
    office.act()


async def _publish_half(office: Office) -> None:
    """Die after the first record."""
    waiting = office.store.run_now(lambda tx: tx.unpublished_actions(1))
    newest = office.store.run_now(lambda tx: tx.newest_published())
    anchored = {entry.hash for entry in office.anchored()}
    if waiting and (newest is None or newest.hash in anchored):
        await office.log.publish(audit_record(waiting[0]))


async def _look_and_restore(office: Office, backup: Tables) -> None:
    """Let the database go back while the topic's second page is on its way."""
    since = office.topic.since
    office.auditor = office.console()
    office.topic.since = restored_in_a_look(office, backup)  # type: ignore[assignment, method-assign]
    await office.publish()
    office.topic.since = since  # type: ignore[method-assign]


async def _restart(office: Office) -> None:
    office.auditor = office.console()


async def _time(office: Office) -> None:
    office.clock.advance(A_WHILE)


async def _nothing(_: Office) -> None:
    pass


MOVES: dict[str, Callable[[Office], Awaitable[None]]] = {
    "act": _act,
    "publish": Office.publish,
    "publish half": _publish_half,
    "restart": _restart,
    "time": _time,
}
