"""What payments.status may tell, and what the rows must be then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payonce.adapters.order_scan import ScannedOrder
from payonce.codec import outgoing
from payonce.domain.events import OrderStatusChanged
from payonce.ports import Record
from payonce.verification.announcements import Announced, contradictions
from payonce.verification.findings import EXAMPLES, Check, Finding, Report
from payonce.verification.rows import money_differs, row_differs
from tests.services.status_processor_bench import FoldOnFakes
from tests.services.status_processor_records import Life

LIFE = Life(1)


async def life_told() -> tuple[list[OrderStatusChanged], ScannedOrder]:
    bench = FoldOnFakes()
    await bench.run_each(LIFE.whole()[:4])
    facts, columns, version = bench.store.tables.orders[LIFE.order_id]
    row = ScannedOrder(LIFE.order_id, facts, columns, version, 1_000, bench.store.tables.movements[LIFE.order_id])
    return bench.announced(), row


def records(*told: OrderStatusChanged) -> list[Record]:
    found = []
    for offset, each in enumerate(told):
        record = outgoing(each, at=0.0, source="tests")
        found.append(Record(record.topic, 0, offset, record.key, record.value, record.headers))
    return found


def found(announced: Announced, *told: OrderStatusChanged) -> list[str]:
    return [finding.subject for finding in announced.add(records(*told))]


async def test_a_relay_that_begins_again_repeats_and_breaks_nothing() -> None:
    told, _ = await life_told()
    assert len(told) >= 3
    assert found(Announced(), *told, *told[1:], *told) == []


async def test_a_lower_version_that_is_new_is_found() -> None:
    told, _ = await life_told()
    assert found(Announced(), told[1], told[0]) == ["payments.status/0/1"]


async def test_another_body_under_a_known_version_is_found() -> None:
    told, _ = await life_told()
    assert found(Announced(), told[0], replace(told[0], amount=1)) == ["payments.status/0/1"]


async def test_what_is_no_announcement_is_found() -> None:
    told, _ = await life_told()
    [record] = records(told[0])
    leaking = replace(record, value=(record.value or b"").replace(b'"psp"', b'"hosted_page_url":"x","psp"'))
    assert [finding.subject for finding in Announced().add([leaking])] == ["payments.status/0/0"]


async def test_the_newest_is_the_row() -> None:
    told, row = await life_told()
    announced = Announced()
    assert found(announced, *told) == []

    def contradicted(row: ScannedOrder | None, *, pending: bool = False, older_than_ms: int = 2_000) -> bool:
        rows = {row.order_id: row} if row else {}
        waiting = {LIFE.order_id} if pending else set()
        return bool(list(contradictions(announced.newest, rows, waiting, older_than_ms=older_than_ms)))

    assert not contradicted(row)
    assert contradicted(None)
    assert contradicted(replace(row, columns={**row.columns, "payment_order_status": "refunded"}))
    assert not contradicted(replace(row, columns={**row.columns, "psp_token": "not public"}))
    assert contradicted(replace(row, version=row.version - 1), pending=True)
    ahead = replace(row, version=row.version + 1)
    assert contradicted(ahead)
    assert not contradicted(ahead, pending=True)
    assert not contradicted(ahead, older_than_ms=500)


@pytest.mark.parametrize("name", ["payment_order_status", "amount_paid", "hosted_page_url", "flags", "body_hash"])
async def test_a_column_that_does_not_follow_from_the_facts_is_found(name: str) -> None:
    _, row = await life_told()
    assert list(row_differs(row)) == []
    [finding] = row_differs(replace(row, columns={**row.columns, name: "secret"}))
    assert name in finding.detail
    assert "secret" not in finding.detail


async def test_money_is_held_against_the_orders_own_sum() -> None:
    _, row = await life_told()
    assert row.columns["payment_order_status"] == "paid"
    assert list(money_differs(row)) == []

    def with_columns(**changes: object) -> ScannedOrder:
        return replace(row, columns={**row.columns, **changes})

    def with_sums(*sums: str) -> ScannedOrder:
        payment = {**row.facts["payments"][LIFE.intent_id], "sums": dict.fromkeys(sums, 1)}
        return replace(row, facts={**row.facts, "payments": {LIFE.intent_id: payment}})

    assert list(money_differs(with_columns(amount_disputed=-1))) != []
    assert list(money_differs(with_columns(amount_refunded=LIFE.amount + 1))) != []
    assert list(money_differs(with_columns(amount_refunded=LIFE.amount + 1, flags=["amount_mismatch"]))) == []
    for wrong in (with_sums(), with_sums("eur 1"), with_sums(f"usd {LIFE.amount}"), replace(row, facts={})):
        assert list(money_differs(wrong)) != []


def test_violations_are_counted_in_full_and_shown_in_part() -> None:
    check = Check(1, "x")
    check.add(100, [Finding(str(number), "wrong") for number in range(20)])
    assert (check.checked, check.violations, len(check.examples)) == (100, 20, EXAMPLES)
    assert Report([check, Check(2, "y")], 0.1).violations == 20
