"""Guarantees 5 and 6: an order's row is what its facts amount to, and only its own sum makes it paid. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from payonce.adapters.order_scan import ScannedOrder, told_by
from payonce.domain.facts import sum_key
from payonce.verification.findings import Finding

#: These say that the order's own sum was received, and perhaps what became of it.
_PAID = frozenset({"paid", "partially_refunded"})


def row_differs(order: ScannedOrder) -> Iterator[Finding]:
    """Yield a finding if its rows are not what the facts amount to. Secrets and links are named, never shown."""
    told = order.told()
    wrong = [name for name, value in told_by(order.facts).items() if told[name] != value]
    if wrong:
        yield Finding(order.order_id, f"{', '.join(wrong)} do not follow from its facts")


def money_differs(order: ScannedOrder) -> Iterator[Finding]:
    """Yield what is wrong with the row's money, read from the facts without the rules that wrote the row."""
    columns = order.columns
    paid, refunded, disputed = (columns[f"amount_{name}"] for name in ("paid", "refunded", "disputed"))
    if min(paid, refunded, disputed) < 0:
        yield Finding(order.order_id, "an amount is negative")
    if refunded > paid and not columns["flags"]:
        yield Finding(order.order_id, f"{refunded} refunded of {paid} paid, and no flag is raised")
    if columns["payment_type"] == "SALE" and columns["payment_order_status"] in _PAID and not _own_sum(order):
        yield Finding(order.order_id, f"{columns['payment_order_status']} without a payment of its own sum")


def _own_sum(order: ScannedOrder) -> bool:
    """Return whether a witness named exactly the sum of one of the order's bodies, and no other sum."""
    payments: Mapping[str, Mapping[str, Any]] = order.facts.get("payments", {})
    bodies = (body["terms"] for attempt in order.facts.get("terms", {}).values() for body in attempt.values())
    sums = {sum_key(terms["currency"], terms["amount"]) for terms in bodies}
    witnessed = [set(payment.get("sums", {})) for payment in payments.values()]
    return any(named and named <= sums for named in witnessed)
