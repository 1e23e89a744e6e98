"""Rows for a FoldStore, and how to read back what it holds: the fake and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import text

from payonce.adapters.fold_store import PostgresFoldStore
from payonce.adapters.order_scan import OrderScan
from payonce.domain.invoices import Invoice
from payonce.domain.movements import Movement
from payonce.ports import FoldStore, OrderChange, ParkedEvent, Record, Reference, TimelineEntry, TopicPartition
from tests.fakes.fold_store import FakeFoldStore

FIRST, SECOND = "ord_" + "a" * 26, "ord_" + "b" * 26
PLACE, OTHER_PLACE = TopicPartition("payments.tokens", 3), TopicPartition("payments.commands", 0)
COLUMNS: dict[str, Any] = {
    "client_id": "shop",
    "reference": "r-1",
    "body_hash": "v1:x",
    "payment_type": "SALE",
    "payment_method": "APM",
    "psp": "stripe",
    "amount": 1_250,
    "currency": "eur",
    "redirect_url": "https://shop.example",
    "payment_order_status": "registered",
    "attempt": 1,
    "psp_token": "cs_1",
    "hosted_page_url": "https://checkout.example/cs_1",
    "client_secret": None,
    "page_expires_at": 1_800_000_000,
    "amount_paid": 0,
    "amount_refunded": 0,
    "amount_disputed": 0,
    "failure_reason": None,
    "failure_detail": None,
    "flags": ["amount_mismatch", "inquiry"],
    "evidence_due_by": 1_800_000_001,
    "current_period_end": None,
    "cancel_at_period_end": False,
    "next_payment_attempt": 1_800_000_003,
}
TABLES = (
    "payment_order, payment_event, psp_reference, unresolved_event, fold_position, outbox, payment_movement, "
    "payment_invoice"
)
CHARGE = Movement("pi_1", "charge", "pi_1", 1_250, "eur", "settled", "succeeded", None, 1_800_000_000)
REFUND = Movement("re_1", "refund", "pi_1", -250, "eur", "pending", "pending")
REVERSAL = Movement("re_1", "reversal", "pi_1", 250, "eur", "settled", "failed", "refund", 1_800_000_009)
INVOICE = Invoice("in_1", "sub_1", "open", None, 1_800_000_000, 1_250, 0, "eur", 1, 1_800_000_005, "subscription_cycle")


def change(
    order_id: str = FIRST,
    facts: Mapping[str, Any] | None = None,
    *,
    version: int = 0,
    announcement: bytes | None = None,
) -> OrderChange:
    """Return what the fold writes of an order."""
    return OrderChange(order_id, {"a": 1} if facts is None else facts, COLUMNS, version, announcement)


def parked(event_id: str, *references: str) -> ParkedEvent:
    """Return an event that waits for the order of any of these ids."""
    record = Record(
        "payments.webhooks", 4, 9, b"k", b"\x00raw", (("ce_id", b"\xff"), ("ce_id", b"")), 1_800_000_000_123
    )
    return ParkedEvent(event_id, references, record)


def entry(event_id: str, **changes: Any) -> TimelineEntry:
    """Return a line of the first order's timeline."""
    line = TimelineEntry(event_id, "TokenIssued", 1_800_000_000, FIRST, ("payments.tokens", 3, 7), "applied", None)
    return replace(line, **changes)


async def save(store: FoldStore, *changes: OrderChange, **references: Reference) -> None:
    """Write the orders in one transaction."""
    async with store.transaction() as transaction:
        await transaction.lock([each.order_id for each in changes])
        await transaction.save(changes, references)


async def timeline(store: FoldStore) -> list[tuple[str, str]]:
    """Return the lines of every timeline, by their events."""
    if isinstance(store, FakeFoldStore):
        return sorted((line.event_id, line.effect) for line in store.tables.timeline.values())
    return await _rows(store, "SELECT event_id, effect FROM payment_event ORDER BY event_id")


async def money(store: FoldStore) -> dict[str, tuple[list[Movement], list[Invoice]]]:
    """Return the movements and invoices of both orders, by their keys."""
    if isinstance(store, FakeFoldStore):
        tables = store.tables
        return {
            each: (
                sorted(tables.movements.get(each, ()), key=lambda row: (row.psp_id, row.kind)),
                list(tables.invoices.get(each, ())),
            )
            for each in (FIRST, SECOND)
        }
    assert isinstance(store, PostgresFoldStore)
    async with store.transaction() as transaction:
        rows = await transaction.run(lambda connection: OrderScan(connection).orders_of([FIRST, SECOND]))
    return {each: (list(rows[each].movements), list(rows[each].invoices)) for each in rows}


async def outbox(store: FoldStore) -> list[tuple[str, bytes]]:
    """Return the announcements that wait, in their order."""
    if isinstance(store, FakeFoldStore):
        return [(row.order_id, row.body) for row in store.tables.outbox]
    rows = await _rows(store, "SELECT order_id, body FROM outbox ORDER BY id")
    return [(order_id, bytes(body)) for order_id, body in rows]


async def _rows(store: FoldStore, statement: str) -> list[Any]:
    assert isinstance(store, PostgresFoldStore)
    async with store.transaction() as transaction:
        return list(await transaction.rows(text(statement), {}))
