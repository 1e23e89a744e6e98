"""A chaos run passes only when nothing at all is lost, doubled, wrong, too fast or unsettled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sandbox.chaos.faults import Fault, Injected, Kind
from sandbox.chaos.recovery import Payment, Recovery, longest, payments_of, recoveries
from sandbox.chaos.report import Found, Report, as_text
from sandbox.demo.behaviours import EXPECTED, crowd
from sandbox.demo.summary import Placed, money_expected, summarise

PLACED = tuple(Placed(f"ord_{n}", kind, 100 + n, "eur") for n, kind in enumerate(crowd(20)))
STATUSES = {order.order_id: EXPECTED[order.behaviour].status for order in PLACED}
ONCE = {order.order_id: 1 for order in PLACED}
MONEY = money_expected(PLACED)
KILL = Injected(Fault(3.0, Kind.KILL_SERVICE, "psp_worker"), 3.0, 3.1)
OUTAGE = Injected(Fault(10.0, Kind.PSP_OUTAGE, "stripe", 5.0), 10.0, 15.0)


def found(**changes: Any) -> Found:
    facts: dict[str, Any] = {
        "placed": PLACED,
        "statuses": STATUSES,
        "sessions_per_order": ONCE,
        "summary": summarise(PLACED, STATUSES, recorded=MONEY, analysed=MONEY, sessions_per_order=ONCE),
        "gave_up": (),
        "most_calls_per_second": {"checkout.sessions.create": 60, "total": 70},
        "limit_per_endpoint": 60.0,
        "limit_total": 240.0,
        "lag": 0,
        "settle_seconds": 2.0,
        "settled": True,
        "verify_exit_code": 0,
        "verify_output": "24 checks, 0 violations",
    }
    return Found(**{**facts, **changes})


def report(what: Found | None = None) -> Report:
    return Report(
        seed=5,
        minutes=1.0,
        injected=(KILL, OUTAGE),
        planned=2,
        copies=10,
        ends={("psp_worker", 66): 2},
        left_out=("a full disk: mounting a size-limited disk needs root",),
        recoveries=recoveries((KILL, OUTAGE), [Payment(4.0, 6.0), Payment(16.0, 19.5)]),
        accepted_seconds=(0.1, 0.2),
        page_seconds=(0.3, 4.0),
        found=what or found(),
    )


def test_a_true_world_passes_and_the_report_says_what_was_done_to_it() -> None:
    text = as_text(report())

    assert report().violations == ()
    assert text.endswith("passed")
    for line in (
        "orders 20, lost 0, doubled 0, wrong 0",
        "kills: 1; PostgreSQL restarts: 0",
        "longest recovery: 4.5 s after PSP away: stripe for 5 s",
        "left out: a full disk",
        "psp_worker ended by itself with exit code 66",
        "24 checks, 0 violations",
    ):
        assert line in text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (found(statuses={k: v for k, v in STATUSES.items() if k != "ord_3"}), "1 orders lost: ord_3"),
        (found(statuses={**STATUSES, "ord_0": "processing"}), "ord_0 (pays by card) is processing"),
        (found(sessions_per_order={**ONCE, "ord_1": 2}), "1 orders doubled: ord_1"),
        (
            found(summary=summarise(PLACED, STATUSES, recorded={"eur": 1}, analysed=MONEY, sessions_per_order=ONCE)),
            "recorded 1",
        ),
        (found(most_calls_per_second={"refunds.create": 61}), "61 calls of refunds.create"),
        (found(most_calls_per_second={"total": 241}), "241 calls of total"),
        (found(gave_up=("pays by card: no page",)), "1 customers gave up"),
        (found(settled=False, lag=7), "lag 7"),
        (found(verify_exit_code=1), "payonce verify ended with 1"),
    ],
)
def test_any_difference_is_a_violation_that_is_named(wrong: Found, said: str) -> None:
    judged = report(wrong)

    assert len(judged.violations) == 1
    assert said in judged.violations[0]
    assert as_text(judged).endswith("FAILED")


def test_recovery_counts_only_orders_placed_after_the_fault() -> None:
    """An order that was under way may still be paid by what was in flight: it proves nothing."""
    (kill, outage) = recoveries((KILL, OUTAGE), [Payment(2.9, 3.2), Payment(11.0, 16.0), Payment(16.0, 17.5)])

    assert kill.from_start == pytest.approx(13.0)
    assert outage.from_start == pytest.approx(6.0)
    assert outage.from_end == pytest.approx(2.5)


def test_a_fault_after_which_nothing_was_paid_has_no_recovery() -> None:
    (none,) = recoveries((KILL,), [Payment(1.0, 2.0)])

    assert (none.from_start, none.from_end) == (None, None)
    assert longest([none]) is None
    assert longest([none, Recovery(OUTAGE, 6.0, 1.0)]) == Recovery(OUTAGE, 6.0, 1.0)


def test_payments_pair_the_moments_of_one_order() -> None:
    assert payments_of({"a": 1.0, "b": 2.0}, {"b": 5.0, "stranger": 1.0}) == (Payment(2.0, 5.0),)


def test_a_report_without_customers_is_still_a_report() -> None:
    empty = found(placed=(), statuses={}, sessions_per_order={})

    assert "orders 0" in as_text(replace(report(), found=empty, accepted_seconds=(), page_seconds=(), recoveries=()))
