"""The checks that read the tables: rows against their facts, against the public topic, against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from payonce.adapters.order_scan import ScannedOrder, snapshot
from payonce.adapters.verify_reads import outbox, page_reads, suspects
from payonce.catalog import has_predecessors, topic_of
from payonce.ports import TopicPartition
from payonce.verification.announcements import Announced, Newest, contradictions
from payonce.verification.digests import digest
from payonce.verification.findings import EXAMPLES, Check, Finding
from payonce.verification.rows import money_differs, row_differs
from payonce.verification.source import BATCH_RECORDS, Source

STATUS = topic_of("OrderStatusChanged")
#: Partitions are read together up to so many announcements, which are all that is kept in memory.
_TOGETHER = 200_000
_SUSPECTS = (
    (2, "two holders", "at most one attempt of an order can be paid"),
    (4, "unknown order of a PSP id", "every PSP id belongs to an order"),
    (4, "unknown order of a timeline", "every event in the timeline belongs to an order"),
    (1, "unknown order of the ledger", "every attempt in the ledger belongs to an order"),
    (1, "order without terms", "every order has its command"),
    (4, "order of a movement", "every movement of money and every invoice belongs to an order"),
    (6, "sums of an order", "an order's movements sum up to its columns"),
    (6, "payment of a movement", "every movement belongs to a payment that was received"),
    (6, "refunds of a payment", "no payment is refunded beyond its sum"),
    (6, "charge of an invoice", "every paid invoice has its charge"),
    (2, "money of a refund in the ledger", "every accepted refund has moved money"),
    (2, "ledger of a refund that moved", "every refund that moved is as the ledger has it"),
)


def check_status(source: Source, ids: set[int]) -> list[Check]:
    """Read payments.status: versions never go back, and the newest of each order is its row. `ids` takes the orders."""
    versions = Check(9, "announced versions never go back")
    newest = Check(9, "the newest announcement is the row, or the row's is in the outbox")
    bounds = source.log.bounds([STATUS])
    source.bounds |= bounds
    for group in _groups(bounds):
        announced = Announced()
        _take(source, announced, versions, group)
        ids.update(map(digest, announced.newest))
        suspicious = [each.subject for each in _contradictions(source, announced.newest)]
        newest.add(len(announced.newest) - len(suspicious))
        if suspicious:
            now = source.log.bounds([STATUS])
            _take(source, announced, versions, {place: (group[place][1], now[place][1]) for place in group})
            again = {order_id: announced.newest[order_id] for order_id in suspicious}
            newest.add(len(suspicious), _contradictions(source, again))
    return [versions, newest]


def check_rows(source: Source, announced: set[int]) -> list[Check]:
    """Read every order: its columns follow from its facts, its money is right, the world has been told of it."""
    rows = Check(5, "every row is what its facts amount to")
    money = Check(6, "only an order's own sum makes it paid")
    told = Check(9, "every order with terms was announced")
    if has_predecessors(STATUS) or any(low for place, (low, _) in source.bounds.items() if place.topic == STATUS):
        told.note = f"{STATUS} has forgotten its beginning: not checked"
    silent: list[str] = []
    with snapshot(source.database) as scan:
        for order in scan.orders():
            rows.add(1, row_differs(order))
            money.add(1, money_differs(order))
            if not told.note and order.columns["client_id"] is not None and order.updated_at_ms < source.older_than_ms:
                told.add(1)
                if digest(order.order_id) not in announced:
                    silent.append(order.order_id)
    if silent:  # one that waited in the outbox while we read the topic may have been told since
        announced.update(digest(record.key or b"") for batch in source.read_on(STATUS) for record in batch)
        told.add(0, _never_told(source, [each for each in silent if digest(each) not in announced]))
    return [rows, money, told]


def check_suspects(source: Source) -> list[Check]:
    """Ask PostgreSQL for rows that contradict each other."""
    checks = []
    for guarantee, rule, name in _SUSPECTS:
        found = suspects(source.database, rule, older_than_ms=source.older_than_ms, examples=EXAMPLES)
        examples = [Finding(subject, detail) for subject, detail in found.examples]
        checks.append(Check(guarantee, name, found.checked, found.violations, examples))
    return checks


def check_outbox(source: Source) -> Check:
    """No announcement has waited for longer than the grace period."""
    check = Check(8, "announcements do not wait")
    count, oldest_ms = outbox(source.database)
    late = oldest_ms is not None and oldest_ms < source.older_than_ms
    check.add(count, [Finding("outbox", "its oldest row is older than the grace period")] if late else [])
    return check


def _take(source: Source, announced: Announced, check: Check, group: Mapping[TopicPartition, tuple[int, int]]) -> None:
    starts, ends = ({place: pair[end] for place, pair in group.items()} for end in (0, 1))
    for batch in source.log.read(starts, ends, batch_records=BATCH_RECORDS):
        check.add(len(batch), announced.add(batch))


def _contradictions(source: Source, newest: Mapping[str, Newest]) -> list[Finding]:
    found: list[Finding] = []
    for page in _pages(newest):
        rows: dict[str, ScannedOrder]
        with page_reads(source.database) as reads:
            rows, pending = reads.orders(page), reads.pending(page)
        told = {order_id: newest[order_id] for order_id in page}
        found += contradictions(told, rows, pending, older_than_ms=source.older_than_ms)
    return found


def _never_told(source: Source, order_ids: list[str]) -> Iterator[Finding]:
    for page in _pages(order_ids):
        with page_reads(source.database) as reads:
            pending = reads.pending(page)
        yield from (Finding(each, "was never announced") for each in page if each not in pending)


def _groups(
    bounds: Mapping[TopicPartition, tuple[int, int]],
) -> Iterator[dict[TopicPartition, tuple[int, int]]]:
    """Yield partitions that are read together."""
    group: dict[TopicPartition, tuple[int, int]] = {}
    for place, (low, end) in sorted(bounds.items()):
        if group and sum(high - first for first, high in group.values()) + end - low > _TOGETHER:
            yield group
            group = {}
        group[place] = low, end
    yield group


def _pages(order_ids: Mapping[str, object] | list[str]) -> Iterator[list[str]]:
    rest = iter(order_ids)
    while page := list(islice(rest, BATCH_RECORDS)):
        yield page
