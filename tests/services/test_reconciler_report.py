"""The drift report: an order is held against what the PSP's own objects would make of it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from payonce.codec import decode
from payonce.domain.commands import RefreshPayment
from payonce.domain.events import PspSnapshot
from payonce.domain.order import contribution, merge, view
from payonce.ports import StuckOrder, TouchedOrder
from services.reconciler.drift import Finding, compare
from services.reconciler.report import Report
from services.reconciler.report_command import seconds_of
from tests.fakes.clock import LoopClock, simulated
from tests.fakes.log import as_read
from tests.fakes.reconciler import FakePsp, SteppedLog

ORDER = "ord_" + "a" * 26
METADATA = {"order_id": ORDER, "attempt": "1", "body_hash": "v1:x"}
TERMS = {
    "client_id": "shop",
    "reference": "r",
    "amount": 500,
    "currency": "eur",
    "payment_type": "SALE",
    "payment_method": "APM",
    "psp": "stripe",
    "redirect_url": "https://shop.example",
    "description": None,
    "customer_email": None,
}
COMMANDED = {"terms": {"1": {"v1:x": {"precedence": 0, "terms": TERMS}}}}


def session(status: str = "open", payment_status: str = "unpaid", **fields: Any) -> dict[str, Any]:
    return {
        "id": "cs_1",
        "object": "checkout.session",
        "status": status,
        "payment_status": payment_status,
        "url": "https://pay.example/cs_1" if status == "open" else None,
        "client_secret": None,
        "expires_at": 1_900_000_000,
        "currency": "eur",
        "amount_total": 500,
        "payment_intent": None,
        "metadata": METADATA,
        **fields,
    }


def intent(status: str = "succeeded") -> dict[str, Any]:
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "status": status,
        "currency": "eur",
        "amount_received": 500,
        "latest_charge": "ch_1",
        "metadata": METADATA,
    }


def stored(*objects: Mapping[str, Any]) -> TouchedOrder:
    """The order as it is once these objects are folded."""
    facts = merge(COMMANDED, contribution(PspSnapshot(ORDER, "cmd_1", 0, 0, tuple(objects)), position=("", 0, 0)).facts)
    told = view(facts)
    return TouchedOrder(ORDER, told.status, told.amount_paid, told.amount_refunded, facts, ("cs_1",))


PAID = (session("complete", "paid", payment_intent="pi_1"), intent())


@pytest.mark.parametrize("objects", [(session(),), PAID, (session("expired"),)])
def test_an_order_that_is_as_the_psp_has_it_is_no_drift(objects: tuple[dict[str, Any], ...]) -> None:
    assert not compare(stored(*objects), objects).is_drift


def test_a_payment_that_no_webhook_told_is_drift() -> None:
    finding = compare(stored(session()), PAID)

    assert (finding.stored, finding.should_be) == ("registered", "paid (paid 500)")
    assert finding.at_psp == "checkout.session complete paid, payment_intent succeeded"


def test_an_expiry_that_no_webhook_told_is_drift() -> None:
    assert compare(stored(session()), [session("expired")]).should_be == "expired"


def test_a_delayed_method_that_failed_untold_is_drift() -> None:
    unpaid = session("complete", "unpaid", payment_intent="pi_1")

    finding = compare(stored(unpaid), [unpaid, intent("requires_payment_method")])

    assert (finding.stored, finding.should_be) == ("processing", "failed")


def test_a_row_that_contradicts_its_own_facts_is_drift() -> None:
    assert compare(replace(stored(*PAID), status="registered"), PAID).should_be == "paid (paid 500)"


def test_a_session_that_the_psp_denies_is_drift() -> None:
    finding = compare(stored(session()), [], missing=["cs_1"])

    assert (finding.at_psp, finding.should_be) == ("cs_1 unknown", "known to the PSP")


@pytest.mark.parametrize("broken", [session(status="weird"), session(metadata={"order_id": "ord_" + "b" * 26})])
def test_objects_that_cannot_be_this_order_s_are_drift(broken: dict[str, Any]) -> None:
    finding = compare(stored(session()), [broken])

    assert finding.should_be is not None
    assert finding.should_be.startswith("unreadable: ")


@dataclass
class Orders:
    """Implements ReconcilerReport over a list."""

    touched_orders: list[TouchedOrder] = field(default_factory=list)

    async def touched(self, *, since: int, after: str, limit: int) -> Sequence[TouchedOrder]:
        return [order for order in self.touched_orders if order.order_id > after][:limit]

    async def stuck(self, stuck_after: Mapping[str, int], *, limit: int) -> Sequence[StuckOrder]:
        return [StuckOrder(ORDER, "created", 1)][:limit]


async def findings(report: Report, *, fix: bool) -> list[Finding]:
    return [finding async for finding in report.findings(0, fix=fix)]


@pytest.mark.parametrize("fix", [False, True])
def test_only_with_fix_is_a_drifted_order_sent_to_be_read_again(fix: bool) -> None:
    other = replace(stored(*PAID), order_id="ord_" + "b" * 26, session_ids=())
    psp = FakePsp(objects={"cs_1": PAID[0], "pi_1": PAID[1]})
    log = SteppedLog()
    report = Report(psp, Orders([stored(session()), other]), log, LoopClock(), "2026-10-28.endive")

    found = simulated(findings(report, fix=fix))

    assert [finding.is_drift for finding in found] == [True, False]
    commands = [decode(as_read(record)) for record in log.records]
    assert len(commands) == fix
    assert all(isinstance(command, RefreshPayment) and command.psp_ids == ("cs_1",) for command in commands)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7_200), ("3d", 259_200)])
def test_times_are_read(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "2", "-2h", "0h", "2 h", "2w", "1e3s"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        seconds_of(text)
