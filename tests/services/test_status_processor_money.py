"""Whole lives of many orders, interleaved and out of order, through the fold: the rows are those of the stories.

The domain's own tests hold one order's rows against the PSP's books; here events find their order by PSP ids alone,
wait for it, and come in batches.
"""

from __future__ import annotations

import asyncio
import itertools
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.codec import outgoing
from payonce.domain.events import PspEvent
from payonce.ports import OutgoingRecord
from tests.services.status_processor_bench import FoldOnFakes
from tests.services.status_processor_records import webhook
from tests.unit.domain.account import Account, Message
from tests.unit.domain.histories import accounts

ORDERS = 3


def record(message: Message) -> OutgoingRecord:
    if isinstance(message, PspEvent):
        return webhook(message.event_id, message.type, message.object, key=str(message.object["id"]))
    return outgoing(message, at=1_800_000_000.0, source="tests")


def rows(bench: FoldOnFakes) -> tuple[object, ...]:
    """Everything but what says where in the log a command lies."""
    tables = bench.store.tables
    orders = {
        order_id: (columns, {family: known for family, known in facts.items() if family != "terms"})
        for order_id, (facts, columns) in bench.rows().items()
    }
    return orders, {each: row for each, row in tables.movements.items() if row}, tables.invoices


def folded(records: list[OutgoingRecord], cuts: set[int]) -> FoldOnFakes:
    """Fold the records in this order; the log gives them their places first, as producers once did."""
    bench = FoldOnFakes()
    edges = [0, *sorted(cut for cut in cuts if cut < len(records)), len(records)]
    placed = bench.log.append(records)

    async def tell() -> None:
        for start, end in itertools.pairwise(edges):
            await bench.fold.run_once(placed[start:end])
        await bench.fold.sweep()

    asyncio.run(tell())
    return bench


@settings(max_examples=25, deadline=None)
@given(st.tuples(*(accounts(n) for n in range(1, ORDERS + 1))), st.integers(0, 2**32), st.sets(st.integers(1, 60)))
def test_many_lives_interleaved_give_the_rows_of_their_stories(
    told: tuple[Account, ...], seed: int, cuts: set[int]
) -> None:
    dice = random.Random(seed)  # noqa: S311  (a seed of a test)
    story = [record(message) for account in told for message in account.messages]
    mixed = story + dice.choices(story, k=8)
    dice.shuffle(mixed)
    expected, actual = folded(story, set()), folded(mixed, set(sorted(cuts)[:4]))

    assert rows(actual) == rows(expected)
    assert actual.store.tables.parked == {}
    assert actual.dead() == []
    for account in told:
        movements = actual.store.tables.movements.get(account.order_id, ())
        paid = sum(amount for (_, kind), amount in account.books.items() if kind == "charge")
        gone = sum(amount for (_, kind), amount in account.books.items() if kind != "charge")
        assert sum(each.amount for each in movements) == paid - gone
        columns = actual.store.tables.orders[account.order_id][1]
        net = columns["amount_paid"] - columns["amount_refunded"] - columns["amount_disputed"]
        assert net == paid - gone


def test_what_a_client_must_know_in_time_is_announced() -> None:
    """The public event tells the deadline of a dispute, the period paid for and whether it is the last."""
    account = Account(1, recurring=True)
    account.register()
    account.subscribe()
    dispute = account.dispute("in_1_0", 5_000, inquiry=True)
    due_by = account.disputes[dispute]["evidence_details"]["due_by"]
    account.renew(1, failures=1, paid=False)
    bench = FoldOnFakes()
    asyncio.run(bench.run_each(map(record, account.messages)))
    told = bench.announced()[-1]

    assert (told.payment_order_status, told.evidence_due_by, told.cancel_at_period_end) == ("unpaid", due_by, False)
    account.dispute_becomes(dispute, "warning_under_review")
    account.end(1, at_period_end=True)
    asyncio.run(bench.run_each(map(record, account.messages[-3:-1])))
    told = bench.announced()[-1]
    assert (told.evidence_due_by, told.cancel_at_period_end) == (None, True)
    asyncio.run(bench.run(record(account.messages[-1])))
    told = bench.announced()[-1]
    assert (told.payment_order_status, told.current_period_end, told.cancel_at_period_end) == ("ended", None, None)


def test_an_unpaid_invoice_tells_when_it_is_tried_again() -> None:
    account = Account(1, recurring=True)
    account.register()
    account.subscribe()
    account.renew(1, failures=1, paid=True)
    failed = next(
        number
        for number, message in enumerate(account.messages)
        if isinstance(message, PspEvent) and message.type == "invoice.payment_failed"
    )
    bench = FoldOnFakes()
    asyncio.run(bench.run_each(map(record, account.messages[: failed + 1])))
    first = bench.announced()[-1]
    asyncio.run(bench.run_each(map(record, account.messages[failed + 1 :])))
    last = bench.announced()[-1]

    assert first.payment_order_status == "past_due"
    assert first.next_payment_attempt is not None
    assert (last.payment_order_status, last.next_payment_attempt) == ("active", None)
