"""The fold on fakes: what becomes of each record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payonce.ports import OutgoingRecord, PublishFailed
from tests.services.status_processor_bench import FoldOnFakes
from tests.services.status_processor_records import (
    COMMANDS,
    TOKENS,
    WEBHOOKS,
    Life,
    foreign_session,
    garbage,
    webhook,
)


async def test_an_order_goes_from_command_to_paid() -> None:
    bench, life = FoldOnFakes(), Life(1)

    seen = []
    for record in [life.register(), life.token(), life.paid()]:
        await bench.run(record)
        seen.append(bench.status(life))

    assert seen == ["created", "registered", "paid"]
    assert [each.payment_order_status for each in bench.announced()] == ["created", "registered", "paid"]
    assert bench.columns(life)["amount_paid"] == 1_250
    assert bench.columns(life)["hosted_page_url"] is None


async def test_the_page_is_in_the_row_once_the_token_is_folded() -> None:
    bench, life = FoldOnFakes(), Life(1)

    await bench.run(life.register(), life.token())

    assert bench.columns(life)["psp_token"] == life.session_id
    assert bench.columns(life)["hosted_page_url"] == f"https://checkout.example/{life.session_id}"
    assert bench.columns(life)["body_hash"] == life.command.body_hash


async def test_several_changes_of_a_batch_are_announced_as_one() -> None:
    bench, life = FoldOnFakes(), Life(1)

    await bench.run(life.register(), life.token(), life.paid())

    assert [each.payment_order_status for each in bench.announced()] == ["paid"]


async def test_token_before_command_is_stored_and_not_announced() -> None:
    bench, life = FoldOnFakes(), Life(1)

    await bench.run(life.token())

    assert bench.columns(life)["psp_token"] == life.session_id
    assert bench.columns(life)["client_id"] is None
    assert bench.announced() == []
    await bench.run(life.register())
    assert [each.payment_order_status for each in bench.announced()] == ["registered"]


async def test_webhook_before_token_and_command() -> None:
    bench, life = FoldOnFakes(), Life(1)

    await bench.run_each([life.paid(), life.token(), life.register()])

    assert bench.status(life) == "paid"
    assert bench.effects()["evt_paid_1"] == "applied"


async def test_a_duplicate_changes_nothing_and_keeps_its_line() -> None:
    bench, life = FoldOnFakes(), Life(1)
    await bench.run(*life.whole())
    rows, announced, timeline = bench.rows(), bench.announced(), dict(bench.store.tables.timeline)

    result = await bench.run(*life.whole())

    assert bench.rows() == rows
    assert bench.announced() == announced
    assert bench.store.tables.timeline == timeline
    assert {effect for _, effect in result.effects} == {"no_change"}


async def test_an_event_that_is_no_fact_is_ignored_with_its_reason() -> None:
    bench, life = FoldOnFakes(), Life(1)
    await bench.run(life.register())
    intent = {"id": life.intent_id, "object": "payment_intent", "status": "requires_payment_method"}
    failed = webhook(
        "evt_failed",
        "payment_intent.payment_failed",
        intent | {"metadata": {"order_id": life.order_id, "attempt": "1"}},
        key=life.order_id,
    )

    await bench.run(failed)

    [entry] = [each for each in bench.store.tables.timeline.values() if each.event_id == "evt_failed"]
    assert entry.effect == "ignored"
    assert "attempt log" in (entry.reason or "")


async def test_versions_only_grow_even_if_the_databases_clock_goes_back() -> None:
    bench, life = FoldOnFakes(), Life(1)
    clock = [5_000]
    bench.store.clock_ms = lambda: clock[0]

    await bench.run(life.register())
    clock[0] = 1_000
    await bench.run(life.token())
    clock[0] = 9_000
    await bench.run(life.paid())

    assert [each.version for each in bench.announced()] == [5_000, 5_001, 9_000]


async def test_a_refund_before_its_payment_waits_and_is_released() -> None:
    bench, life = FoldOnFakes(), Life(1)
    await bench.run(life.register())

    parked = await bench.run(life.refund(250))
    assert parked.parked == 1
    assert list(bench.store.tables.parked) == ["evt_refund_1_1"]
    released = await bench.run(life.paid())

    assert released.released == 1
    assert bench.store.tables.parked == {}
    assert bench.status(life) == "partially_refunded"
    assert bench.effects()["evt_refund_1_1"] == "applied"


async def test_a_refund_in_the_batch_of_its_payment_never_waits() -> None:
    bench, life = FoldOnFakes(), Life(1)

    result = await bench.run(life.refund(1_250), life.register(), life.paid())

    assert result.parked == 0
    assert bench.status(life) == "refunded"


async def test_one_released_event_releases_the_next() -> None:
    """The dispute names a charge, the refund ties that charge to a PaymentIntent, the session ties this one to us."""
    bench, life = FoldOnFakes(), Life(1)

    await bench.run_each([life.dispute(), life.refund(100), life.register(), life.paid()])

    assert bench.store.tables.parked == {}
    assert bench.status(life) == "disputed"


async def test_two_workers_crossed_and_the_sweep_finds_it() -> None:
    bench, life = FoldOnFakes(), Life(1)
    await bench.run(life.refund(250))
    waiting = dict(bench.store.tables.parked)
    await bench.run(life.register(), life.paid())
    bench.store.tables.parked.update(waiting)  # as if the other worker had not seen it yet

    result = await bench.fold.sweep()

    assert result.released == 1
    assert bench.status(life) == "partially_refunded"


async def test_two_workers_crossed_and_the_second_look_finds_it() -> None:
    """The reference appears between this worker's lookup and its commit: no sweep is needed."""
    bench, other, life = FoldOnFakes(), FoldOnFakes(), Life(1)
    await other.run(life.register(), life.paid())

    def reference_appears(call: str) -> None:
        if call == "committed":
            bench.store.fault = lambda _: None
            bench.store.tables.references.update(other.store.tables.references)
            bench.store.tables.orders.update(other.store.tables.orders)

    bench.store.fault = reference_appears
    result = await bench.run(life.refund(250))

    assert (result.parked, result.released) == (1, 1)
    assert bench.status(life) == "partially_refunded"


async def test_foreign_events_are_counted_and_leave_nothing() -> None:
    bench = FoldOnFakes()
    nothing_of_ours = webhook("evt_b", "balance.available", {"object": "balance"}, key="?")

    result = await bench.run(foreign_session(), nothing_of_ours)

    assert result.foreign == 2
    assert bench.rows() == {}
    assert bench.store.tables.parked == {}
    assert bench.dead() == []


async def test_a_session_without_metadata_but_with_a_known_id_is_ours() -> None:
    bench, life = FoldOnFakes(), Life(1)
    await bench.run(life.register(), life.token())
    expired = {"id": life.session_id, "object": "checkout.session", "status": "expired", "payment_status": "unpaid"}

    await bench.run(webhook("evt_e", "checkout.session.expired", expired, key=life.session_id))

    assert bench.status(life) == "expired"


@pytest.mark.parametrize("topic", [COMMANDS, TOKENS, WEBHOOKS])
async def test_what_cannot_be_decoded_becomes_a_dead_letter_and_the_others_are_folded(topic: str) -> None:
    bench, life = FoldOnFakes(), Life(1)

    await bench.run(life.register(), garbage(topic), life.token())

    assert bench.dead() == [(f"{topic}.dlt", "not_json")]
    assert bench.status(life) == "registered"


async def test_a_record_without_value_or_key_becomes_a_dead_letter() -> None:
    bench = FoldOnFakes()
    [record] = bench.log.append([garbage(COMMANDS)])

    await bench.fold.run_once([replace(record, key=None, value=None, headers=())])

    assert bench.dead() == [(f"{COMMANDS}.dlt", "missing_type")]


async def test_an_impossible_event_becomes_a_dead_letter() -> None:
    bench, life = FoldOnFakes(), Life(1)
    refund = {"id": "re_1", "object": "refund", "status": "succeeded", "amount": -5, "currency": "eur"}

    await bench.run(life.register(), webhook("evt_1", "refund.created", refund, key="re_1"))

    assert bench.dead() == [(f"{WEBHOOKS}.dlt", "impossible_event")]


async def test_a_live_event_on_a_test_system_becomes_a_dead_letter() -> None:
    bench = FoldOnFakes()

    await bench.run(webhook("evt_1", "payment_intent.created", {"object": "payment_intent"}, key="pi", livemode=True))

    assert bench.dead() == [(f"{WEBHOOKS}.dlt", "mode_mismatch")]


async def test_poison_is_found_among_good_ones() -> None:
    """The database refuses the whole batch; only the record that it cannot store is set aside."""
    bench = FoldOnFakes()
    bench.store.unstorable = "larger than a column"
    lives = [Life(n) for n in range(20)]
    batch = [life.register("larger than a column" if life.n == 13 else None) for life in lives]

    await bench.run(*batch)

    assert bench.dead() == [(f"{COMMANDS}.dlt", "rejected_by_database")]
    assert sorted(bench.rows()) == sorted(life.order_id for life in lives if life.n != 13)
    assert sum(bench.store.tables.positions.values()) == 20


async def test_a_waiting_event_that_the_database_refuses_does_not_take_its_payment_with_it() -> None:
    """It becomes a dead letter, and so does whatever waits for the same id; the payment itself is folded."""
    bench, life = FoldOnFakes(), Life(1)
    await bench.run(life.refund(250), life.refund(300, number=2))
    bench.store.unstorable = "re_1_1"

    await bench.run(life.register(), life.paid())

    assert bench.status(life) == "paid"
    assert bench.dead() == [(f"{WEBHOOKS}.dlt", "rejected_by_database")] * 2
    assert bench.letters.published[0].value == life.refund(250).value
    assert bench.store.tables.parked == {}


async def test_a_replay_for_another_group_is_acknowledged_unread() -> None:
    bench, life = FoldOnFakes(), Life(1)
    record = life.register()
    replayed = OutgoingRecord(record.topic, record.key, record.value, (*record.headers, ("replay-for", b"psp_worker")))

    await bench.run(replayed)

    assert bench.rows() == {}
    assert sum(bench.store.tables.positions.values()) == 1


async def test_dead_letters_are_durable_before_the_batch_is_done() -> None:
    bench = FoldOnFakes()
    bench.letters.failures = 1
    records = bench.log.append([garbage(TOKENS)])

    with pytest.raises(PublishFailed):
        await bench.fold.run_once(records)
    await bench.fold.run_once(records)

    assert bench.dead() == [(f"{TOKENS}.dlt", "not_json")]
