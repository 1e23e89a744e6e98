"""What became of each record, held against the facts that the tables hold."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from payonce.dead_letters import dead_letter
from payonce.ports import OutgoingRecord, Record
from payonce.verification import folded
from payonce.verification.folded import Stored, told
from payonce.verification.letters import DeadLetters
from tests.services.status_processor_bench import FoldOnFakes
from tests.services.status_processor_records import WEBHOOKS, Life, foreign_session, garbage, webhook

LIFE = Life(1)


async def stored_after(*records: OutgoingRecord) -> tuple[list[Record], Stored]:
    """Fold the records for real and return them with what the tables say."""
    bench = FoldOnFakes()
    read = bench.log.append(records)
    await bench.fold.run_once(read)
    tables = bench.store.tables
    return read, Stored(
        {psp_id: reference.order_id for psp_id, reference in tables.references.items()},
        {order_id: facts for order_id, (facts, _, _) in tables.orders.items()},
        set(tables.parked),
        set(),
    )


def lost(records: list[Record], stored: Stored, letters: DeadLetters | None = None) -> list[Record]:
    return [record for record, _ in folded.fates(told(records), stored, letters or DeadLetters())[1]]


async def test_whatever_the_order_nothing_is_lost() -> None:
    records = [record for n in range(5) for record in Life(n).whole()]
    random.Random(3).shuffle(records)  # noqa: S311  (a seed of a test)
    read, stored = await stored_after(*records)
    counts, missing = folded.fates(told(read), stored, DeadLetters())
    assert missing == []
    assert counts == {"folded": len(records)}


@pytest.mark.parametrize("family", ["terms", "sessions", "payments", "refunds", "disputes", "confirmed"])
async def test_a_family_of_facts_that_is_gone_is_missed_by_who_told_it(family: str) -> None:
    read, stored = await stored_after(*LIFE.whole())
    facts = {name: value for name, value in stored.facts[LIFE.order_id].items() if name != family}
    assert lost(read, replace(stored, facts={LIFE.order_id: facts})) != []


async def test_an_older_state_of_a_session_is_missed() -> None:
    read, stored = await stored_after(LIFE.register(), LIFE.token())
    later, _ = await stored_after(LIFE.register(), LIFE.token(), LIFE.paid())
    assert lost(later, stored) == [later[2]]
    assert lost(read, stored) == []


async def test_a_psp_id_that_is_gone_is_missed() -> None:
    read, stored = await stored_after(*LIFE.whole())
    owners = {psp_id: order_id for psp_id, order_id in stored.owners.items() if psp_id != LIFE.session_id}
    assert read[1] in lost(read, replace(stored, owners=owners))


async def test_an_event_without_an_order_waits_or_is_foreign_or_is_lost() -> None:
    read, stored = await stored_after(LIFE.refund(5), foreign_session())
    counts, missing = folded.fates(told(read), stored, DeadLetters())
    assert (counts, missing) == ({"waiting": 1, "foreign": 1}, [])
    nowhere = replace(stored, waiting=set())
    assert lost(read, nowhere) == [read[0]]
    assert lost(read, replace(nowhere, foreign={"re_1_1"})) == []


async def test_a_payment_of_nobody_is_foreign_once_it_waits_no_more() -> None:
    """It has been given up after a day without a dead letter; one whose order is known must still be in its row."""
    charge = {"id": "ch_1", "object": "charge", "metadata": {}, "payment_intent": LIFE.intent_id}
    lone = webhook("evt_lone", "charge.succeeded", charge, key="ch_1")
    read, stored = await stored_after(lone)
    assert folded.fates(told(read), stored, DeadLetters()) == ({"waiting": 1}, [])
    assert folded.fates(told(read), replace(stored, waiting=set()), DeadLetters()) == ({"foreign": 1}, [])
    ours = await stored_after(LIFE.register(), LIFE.paid())
    assert lost(read, ours[1]) == read


async def test_garbage_must_be_a_dead_letter_of_the_fold() -> None:
    read, stored = await stored_after(garbage(WEBHOOKS))
    assert lost(read, stored) == read
    for group, missing in (("psp_worker", read), ("status_processor", [])):
        letter = dead_letter(read[0], reason="not_json", error="x", group=group, at=0.0)
        letters = DeadLetters()
        assert list(letters.add([Record(letter.topic, 0, 0, None, None, letter.headers)])) == []
        assert lost(read, stored, letters) == missing


async def test_a_replay_for_another_group_is_not_asked_about() -> None:
    [record], stored = await stored_after(LIFE.register())
    other = replace(record, headers=(*record.headers, ("replay-for", b"psp_worker")))
    assert lost([other], replace(stored, facts={})) == []
    assert lost([record], replace(stored, facts={})) == [record]
