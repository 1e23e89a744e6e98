"""The audit chain and payments.ops tell one story, also after a restore: nothing that was published is lost.

What stands on the topic comes back into the table; deeds that had taken its numbers meanwhile follow under new ones.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from payonce.audit import TOPIC, BrokenChain, audit_record, chained, check_against_topic, former_hashes, hash_of
from payonce.catalog import topics
from payonce.ports import OutgoingRecord
from payonce.ports.ops import Action, AnchoredPage
from payonce.record_size import size_of
from services.ops_console.anchoring import compared
from tests.fakes.audit_office import A_WHILE, NOW, Office, five_deeds_and_a_backup_of_three, restored_in_a_look


async def test_what_a_restored_database_has_forgotten_comes_back_from_the_topic_and_says_so() -> None:
    office = Office()
    await five_deeds_and_a_backup_of_three(office)
    with pytest.raises(BrokenChain, match=r"entry 4: is on payments\.ops and gone from the table"):
        office.verified()

    await office.publish()

    assert office.subjects() == ["dl_1", "dl_2", "dl_3", "dl_4", "dl_5", "ops_action"]
    last = office.store.tables.actions[-1].action
    assert (last.actor, last.action, last.detail) == ("ops_console", "restore", {"first": 4, "last": 5})
    assert office.verified() == (6, 6)


async def test_deeds_between_the_restore_and_the_next_look_follow_under_new_numbers_and_name_the_old_ones() -> None:
    office = Office()
    await five_deeds_and_a_backup_of_three(office)
    office.act(3)
    displaced = office.store.tables.actions[3:]

    await office.publish()

    assert office.subjects() == ["dl_1", "dl_2", "dl_3", "dl_4", "dl_5", "ops_action", "dl_6", "dl_7", "dl_8"]
    moved = office.store.tables.actions[6:]
    assert [former_hashes(entry) for entry in moved] == [(entry.hash,) for entry in displaced]
    assert [entry.action.detail["renumbered"][0]["sequence"] for entry in moved] == [4, 5, 6]
    assert {entry.hash for entry in displaced}.isdisjoint(entry.hash for entry in office.anchored())
    assert office.verified() == (9, 9)


async def test_a_console_that_starts_after_the_restore_finds_out_by_itself() -> None:
    office = Office()
    await five_deeds_and_a_backup_of_three(office)
    office.act()
    office.auditor = office.console()

    await office.publish()

    assert office.verified() == (7, 7)


async def test_two_stories_that_stand_on_the_topic_already_are_joined() -> None:
    """As versions before this one left it: the fork was published, and `payonce verify` failed from then on."""
    office = Office()
    await five_deeds_and_a_backup_of_three(office)
    office.act(3)
    for entry in office.store.tables.actions[3:]:
        await office.log.publish(audit_record(entry))
    office.store.tables.published = {1, 2, 3, 4, 5, 6}
    with pytest.raises(BrokenChain):
        office.verified()
    office.auditor = office.console()

    await office.publish()

    assert office.subjects() == ["dl_1", "dl_2", "dl_3", "dl_6", "dl_7", "dl_8", "dl_4", "dl_5"]
    assert office.verified() == (8, 8)


async def test_a_number_that_became_another_deeds_between_reading_and_marking_is_not_taken_for_published() -> None:
    office = Office()
    office.act(2)
    await office.publish()
    backup = office.backup()
    office.act()
    publish = office.log.publish

    async def restored_meanwhile(record: OutgoingRecord) -> None:
        await publish(record)
        office.restore(backup)
        office.act()

    office.log.publish = restored_meanwhile  # type: ignore[method-assign]
    await office.auditor.run_once()
    office.log.publish = publish  # type: ignore[method-assign]
    assert office.store.tables.published == {1, 2}

    await office.publish()

    assert office.subjects() == ["dl_1", "dl_2", "dl_3", "ops_action", "dl_4"]
    assert office.verified() == (5, 5)


async def test_what_a_frozen_console_publishes_too_late_is_taken_up_as_a_deed_of_its_own() -> None:
    office = Office()
    office.act(2)
    await office.publish()
    backup = office.backup()
    office.act()
    late = office.store.tables.actions[-1]
    office.restore(backup)
    office.act()
    await office.publish()
    await office.log.publish(audit_record(late))
    with pytest.raises(BrokenChain, match=r"entry 3: the table and payments\.ops tell different stories"):
        office.verified()
    office.clock.advance(A_WHILE)

    for _ in range(3):
        await office.publish()

    assert office.subjects() == ["dl_1", "dl_2", "dl_4", "dl_3"]
    assert former_hashes(office.store.tables.actions[-1]) == (late.hash,)
    assert office.verified() == (4, 4)


async def test_a_row_that_somebody_changed_is_not_repaired() -> None:
    office = Office()
    office.act(3)
    await office.publish()
    forged = office.store.tables.actions[1]
    forged = replace(forged, action=replace(forged.action, actor="somebody else"))
    forged = replace(forged, hash=hash_of(forged))
    last = chained(office.store.tables.actions[2].action, forged)
    office.store.tables.actions[1:] = [forged, last]
    office.auditor = office.console()

    await office.publish()

    with pytest.raises(BrokenChain) as broken:
        office.verified()
    assert broken.value.sequence == 2


def test_what_does_not_have_its_own_hash_is_nobodys_entry() -> None:
    first = chained(Action(NOW, "olga", "discard", "dl_1", "spam"), None)
    forged = replace(first, action=replace(first.action, why="forged"))

    found = compared(None, [], [], [forged, first, first])

    assert (found.forgotten, found.aside) == ((first,), ())


async def test_a_successor_that_tells_the_deed_otherwise_does_not_hold() -> None:
    office = Office()
    await five_deeds_and_a_backup_of_three(office)
    office.act()
    for entry in office.store.tables.actions[3:]:
        await office.log.publish(audit_record(entry))
    office.auditor = office.console()
    await office.publish()
    actions = office.store.tables.actions
    told_otherwise = replace(actions[-1].action, why="other words")
    actions[-1] = chained(told_otherwise, actions[-2])

    with pytest.raises(BrokenChain, match=r"entry 4: the table and payments\.ops tell different stories"):
        check_against_topic(actions, office.anchored()[:6], published_up_to=0)


@pytest.mark.parametrize("size", [400_000, 2_000_000])
async def test_what_would_be_too_large_under_another_number_is_left_to_verify_and_nothing_stops(size: int) -> None:
    """A foreign entry just below the topic's limit: published under a new number it would stop all that follow."""
    office = Office()
    office.act(2)
    await office.publish()
    action = Action(NOW, "mallory", "discard", "dl_x", "x")
    room = topics()[TOPIC].max_message_bytes - size_of(audit_record(chained(action, None)))
    foreign = chained(replace(action, why="x" * min(size, room - 20)), None)
    office.log.published.append(audit_record(foreign))
    office.clock.advance(A_WHILE)
    office.act()

    await office.publish()

    if size < room:
        assert office.subjects() == ["dl_1", "dl_2", "dl_3", "dl_x"]
        assert office.verified() == (4, 4)
        return
    assert office.subjects() == ["dl_1", "dl_2", "dl_3"]
    with pytest.raises(BrokenChain, match=r"entry 1: the table and payments\.ops tell different stories"):
        office.verified()


async def test_a_topic_that_was_made_anew_is_written_on() -> None:
    office = Office()
    office.act(5)
    await office.publish()
    office.log.published.clear()
    office.auditor = office.console()
    office.act(3)

    await office.publish()

    assert [entry.action.subject for entry in office.anchored()] == ["dl_6", "dl_7", "dl_8"]
    with pytest.raises(BrokenChain, match=r"entry 1: is missing on payments\.ops"):
        office.verified()


async def test_the_topic_is_read_when_something_calls_for_it_and_now_and_then() -> None:
    office = Office()
    for _ in range(20):
        office.act()
        await office.publish()
    assert office.topic.looks == 1

    office.clock.advance(A_WHILE)
    await office.publish()

    assert office.topic.looks == 2


async def test_a_restore_while_the_table_is_brought_up_to_the_topic_is_seen_in_the_next_round() -> None:
    office = Office()
    await five_deeds_and_a_backup_of_three(office)
    backup, since = office.backup(), office.topic.since

    async def restored_meanwhile(offset: int) -> AnchoredPage:
        office.topic.since = since  # type: ignore[method-assign]
        page = await since(offset)
        office.restore(backup)
        office.act()
        return page

    office.topic.since = restored_meanwhile  # type: ignore[method-assign]

    await office.publish()
    await office.publish()

    assert office.subjects() == ["dl_1", "dl_2", "dl_3", "dl_4", "dl_5", "ops_action", "dl_6"]
    assert office.verified() == (7, 7)


async def test_a_restore_between_two_pages_begins_anew_where_the_table_stands_now() -> None:
    """Found by the simulation: the second page went in without the first, and the first was never read again."""
    office = Office(page=2)
    office.act(1)
    await office.publish()
    backup = office.backup()
    office.act(5)
    await office.publish()
    office.auditor = office.console()
    office.topic.since = restored_in_a_look(office, backup)  # type: ignore[assignment, method-assign]

    await office.publish()

    told = [entry.action.subject for entry in office.store.tables.actions if entry.action.actor == "olga"]
    assert told == ["dl_1", "dl_2", "dl_3", "dl_4", "dl_5", "dl_6"]
    assert office.verified()[0] == len(office.store.tables.actions)
