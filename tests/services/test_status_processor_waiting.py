"""How the waiting of an event ends when its order never becomes known: foreign, or a dead letter after a day."""

from __future__ import annotations

import pytest

from payonce.ports import OutgoingRecord, PublishFailed, Reference
from services.status_processor.fold import WAITING_LIMIT_SECONDS
from tests.services.status_processor_bench import FoldOnFakes
from tests.services.status_processor_records import Life, webhook

BEFORE_MS = 1_800_000_000_000


async def waiting() -> tuple[FoldOnFakes, Life]:
    """A refund whose payment nobody knows."""
    bench, life = FoldOnFakes(), Life(1)
    await bench.run(life.refund(250))
    assert len(bench.store.tables.parked) == 1
    return bench, life


def after(bench: FoldOnFakes, seconds: int) -> None:
    bench.store.clock_ms = lambda: BEFORE_MS + seconds * 1000


async def test_an_event_about_a_foreign_object_is_counted_and_dropped() -> None:
    bench, _ = await waiting()
    [event] = bench.store.tables.parked.values()
    bench.store.foreign.add(event.references[0])

    result = await bench.fold.sweep()

    assert (result.foreign, bench.store.tables.parked, bench.letters.published) == (1, {}, [])


async def test_an_object_that_became_known_is_ours_whatever_was_said_before() -> None:
    bench, life = await waiting()
    parked = dict(bench.store.tables.parked)
    bench.store.foreign.update(reference for event in parked.values() for reference in event.references)
    await bench.run(life.register(), life.paid())
    bench.store.tables.parked.update(parked)  # as if another worker had crossed

    result = await bench.fold.sweep()

    assert (result.foreign, result.released) == (0, 1)
    assert bench.status(life) == "partially_refunded"


async def test_a_day_of_waiting_in_vain_ends_as_a_dead_letter_and_not_before() -> None:
    bench, _ = await waiting()
    [event] = bench.store.tables.parked.values()
    after(bench, WAITING_LIMIT_SECONDS - 1)
    await bench.fold.sweep()
    assert bench.letters.published == []

    after(bench, WAITING_LIMIT_SECONDS + 1)
    result = await bench.fold.sweep()

    [letter] = bench.letters.published
    assert dict(letter.headers)["dlt-reason"] == b"unresolved"
    assert (letter.topic, letter.value) == ("payments.webhooks.dlt", event.record.value)
    assert bench.store.tables.parked == {}
    assert result.dead == {("payments.webhooks", "unresolved"): 1}


async def test_an_event_parked_again_meanwhile_has_waited_since_the_first_time() -> None:
    bench, life = await waiting()
    after(bench, WAITING_LIMIT_SECONDS - 10)
    await bench.run(life.refund(250))

    after(bench, WAITING_LIMIT_SECONDS + 1)
    await bench.fold.sweep()

    assert len(bench.letters.published) == 1


async def test_the_event_stays_until_its_dead_letter_is_durable() -> None:
    bench, _ = await waiting()
    after(bench, WAITING_LIMIT_SECONDS + 1)
    bench.letters.failures = 1

    with pytest.raises(PublishFailed):
        await bench.fold.sweep()
    assert len(bench.store.tables.parked) == 1

    await bench.fold.sweep()
    assert len(bench.letters.published) == 1
    assert bench.store.tables.parked == {}


async def test_a_payment_that_no_invoice_named_in_a_day_is_another_app_s_and_no_person_s_time() -> None:
    """On an account with another app there is one such pair of events for each of its payments."""
    bench = FoldOnFakes()
    await bench.run(lone_charge(1), lone_charge(2), Life(3).refund(250))
    after(bench, WAITING_LIMIT_SECONDS + 1)

    result = await bench.fold.sweep()

    assert (result.foreign, bench.store.tables.parked) == (2, {})
    assert result.dead == {("payments.webhooks", "unresolved"): 1}


async def test_a_payment_whose_invoice_names_it_within_the_day_reaches_its_order() -> None:
    bench, life = FoldOnFakes(), Life(1)
    await bench.run(lone_charge(1))
    await bench.run(life.register(), life.token())
    after(bench, WAITING_LIMIT_SECONDS - 1)
    bench.store.tables.references["pi_sub_1"] = Reference(life.order_id, None)

    result = await bench.fold.sweep()

    assert (result.released, result.foreign) == (1, 0)
    assert bench.store.tables.orders[life.order_id][0]["links"] == {"ch_sub_1": "pi_sub_1"}


def lone_charge(number: int) -> OutgoingRecord:
    """A charge of a payment without our metadata: a subscription's, or another app's."""
    charge = {"id": f"ch_sub_{number}", "object": "charge", "metadata": {}, "payment_intent": f"pi_sub_{number}"}
    return webhook(f"evt_lone_{number}", "charge.succeeded", charge, key=f"ch_sub_{number}")
