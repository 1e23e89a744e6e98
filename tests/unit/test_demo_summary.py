"""The demo's verdict: any difference at all is a difference."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.demo.behaviours import EXPECTED, Behaviour, crowd
from sandbox.demo.summary import Placed, Summary, summarise

ORDERS = [Placed(f"ord_{n}", kind, 100 + n, "eur" if n % 2 else "jpy") for n, kind in enumerate(crowd(40))]
TRUTH = {order.order_id: EXPECTED[order.behaviour].status for order in ORDERS}
RECEIVED = {
    currency: sum(o.amount for o in ORDERS if o.currency == currency and EXPECTED[o.behaviour].pays)
    for currency in ("eur", "jpy")
}
ONCE = {order.order_id: 1 for order in ORDERS}


def summary(
    statuses: dict[str, str] = TRUTH,
    recorded: dict[str, int] = RECEIVED,
    analysed: dict[str, int] = RECEIVED,
    sessions: dict[str, int] = ONCE,
) -> Summary:
    return summarise(ORDERS, statuses, recorded=recorded, analysed=analysed, sessions_per_order=sessions)


def test_a_true_world_has_no_difference() -> None:
    assert summary().equal


@pytest.mark.parametrize(
    "wrong",
    [
        summary(statuses={**TRUTH, "ord_0": "processing"}),
        summary(statuses={key: value for key, value in TRUTH.items() if key != "ord_0"}),
        summary(recorded={**RECEIVED, "eur": RECEIVED["eur"] - 1}),
        summary(analysed={**RECEIVED, "jpy": RECEIVED["jpy"] + 1}),
        summary(recorded={**RECEIVED, "usd": 1}),
        summary(sessions={**ONCE, "ord_1": 2}),
        replace(summary(), violations=1),
    ],
    ids=["status", "missing", "recorded", "analysed", "foreign currency", "second session", "broken guarantee"],
)
def test_any_single_difference_is_found(wrong: Summary) -> None:
    assert not wrong.equal


def test_every_kind_of_customer_is_in_the_crowd() -> None:
    assert set(crowd(20)) == set(Behaviour)
