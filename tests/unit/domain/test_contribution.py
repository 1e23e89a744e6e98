"""What one message brings: whose order, which PSP ids, which facts, or why none."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.domain.order import Contribution, ImpossibleEvent, contribution, merge, view
from tests.unit.domain import factories as make
from tests.unit.domain.factories import NOWHERE, Message, fold


def of(message: Message) -> Contribution:
    return contribution(message, position=NOWHERE)


# --------------------------------------------------------------------------------------- whose order


@pytest.mark.parametrize(
    "message",
    [
        make.command(),
        make.token(),
        make.registration_failed(),
        make.stuck(),
        make.rejected(),
        make.cancelled(),
        make.snapshot(),
        make.completed(),
        make.expired(),
        make.event("payment_intent.succeeded", make.intent()),
        make.event("payment_intent.payment_failed", make.intent(status="requires_payment_method")),
        make.event("charge.succeeded", make.charge(metadata=make.own_metadata())),
        make.refund(5, metadata={"order_id": make.ORDER_ID, "refund_reference": "r-1"}),
        make.event("customer.subscription.updated", make.subscription()),
        make.invoiced(),
        make.invoiced(
            parent=None, subscription="sub_1", subscription_details={"metadata": make.own_metadata(make.RECC)}
        ),
    ],
)
def test_the_order_is_named_by_our_metadata(message: Message) -> None:
    assert of(message).order_id == make.ORDER_ID


@pytest.mark.parametrize(
    "message",
    [
        make.completed(metadata={}),
        make.completed(metadata=None),
        make.completed(metadata={"order_id": "1042"}),
        make.completed(metadata={"order_id": make.ORDER_ID.upper()}),
        make.refund(5),
        make.disputed("lost"),
        make.event("charge.succeeded", make.charge()),
        make.event("payment_intent.succeeded", make.intent(metadata={})),
        make.invoiced(parent=None),
        make.invoice_paid_by(),
        make.event("customer.created", {"id": "cus_1"}),
    ],
)
def test_what_names_no_order_of_ours_has_none(message: Message) -> None:
    """A `client_reference_id` proves nothing, and another app's `order_id` is not ours."""
    assert of(message).order_id is None


# ---------------------------------------------------------------------------------------- references


@pytest.mark.parametrize(
    ("message", "references"),
    [
        (make.token(), {"cs_1": None}),
        (make.completed(), {"cs_1": "pi_1", "pi_1": "pi_1"}),
        (make.expired(), {"cs_1": None}),
        (
            make.completed(payment_status="no_payment_required", amount_total=0, payment_intent=None),
            {"cs_1": "cs_1"},
        ),
        (
            make.event("checkout.session.completed", make.recurring_session()),
            {"cs_1": "in_1", "in_1": "in_1", "sub_1": None},
        ),
        (make.event("payment_intent.succeeded", make.intent()), {"pi_1": "pi_1", "ch_1": "pi_1"}),
        (make.event("payment_intent.succeeded", make.intent(metadata={})), {"pi_1": None, "ch_1": None}),
        (make.event("charge.succeeded", make.charge()), {"ch_1": None, "pi_1": None}),
        (make.refund(5), {"re_1": "pi_1", "pi_1": "pi_1", "ch_1": "pi_1"}),
        (make.refund(5, payment_intent=None), {"re_1": None, "ch_1": None}),
        (make.disputed("lost"), {"dp_1": "pi_1", "pi_1": "pi_1", "ch_1": "pi_1"}),
        (make.event("customer.subscription.updated", make.subscription()), {"sub_1": None}),
        (make.invoiced(), {"in_1": "in_1", "sub_1": None}),
        (
            make.invoiced(payment_intent="pi_9", charge={"id": "ch_9", "object": "charge"}),
            {"in_1": "in_1", "pi_9": "in_1", "ch_9": "in_1", "sub_1": None},
        ),
        (make.invoice_paid_by("pi_9"), {"in_1": "in_1", "pi_9": "in_1"}),
    ],
)
def test_references_lead_every_psp_id_to_its_payment(message: Message, references: dict[str, str | None]) -> None:
    assert of(message).references == references


def test_a_snapshot_names_all_ids_of_all_its_objects() -> None:
    seen = of(make.snapshot(make.session(payment_intent=None, status="open", payment_status="unpaid"), make.intent()))

    assert seen.references == {"cs_1": None, "pi_1": "pi_1", "ch_1": "pi_1"}


# --------------------------------------------------------------------------------- facts and reasons


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (make.event("payment_intent.payment_failed", make.intent(status="canceled")), "attempt log"),
        (make.event("payment_intent.processing", make.intent(status="processing")), "on its way"),
        (make.event("charge.failed", make.charge()), "attempt log"),
        (make.event("customer.created", {"id": "cus_1"}), "not a fact: customer.created"),
        (make.event("invoice.upcoming", {"object": "invoice"}), "not a fact: invoice.upcoming"),
        (make.snapshot(), "nothing to say"),
    ],
)
def test_what_changes_nothing_says_why(message: Message, reason: str) -> None:
    assert of(message).facts == {}
    assert reason in (of(message).reason or "")


def test_what_changes_something_has_no_reason() -> None:
    assert of(make.completed()).reason is None


def test_the_sum_that_a_charge_says_was_refunded_is_ignored() -> None:
    """It can go down, so it is no fact; the refunds are."""
    charge = make.event("charge.refunded", make.charge(amount_refunded=1000, refunded=True))

    assert view(fold(make.command(), make.completed(), charge)).status == "paid"


def test_expanded_objects_are_read_as_their_ids() -> None:
    expanded = make.completed(payment_intent={"id": "pi_1", "object": "payment_intent"})

    assert of(expanded).facts == of(make.completed()).facts


def test_currencies_are_lower_case_inside() -> None:
    assert of(make.completed(currency="EUR")).facts == of(make.completed()).facts


# ------------------------------------------------------------------------------------------- garbage


@pytest.mark.parametrize(
    ("message", "detail"),
    [
        (make.completed(id=None), "checkout.session: id is not a printable text"),
        (make.completed(id="cs_\x00"), "checkout.session: id is not a printable text"),
        (make.completed(object="charge"), "checkout.session: the object says that it is something else"),
        (make.completed(payment_status="perhaps"), "payment_status is not one of"),
        (make.completed(amount_total=None), "amount_total is not an integer"),
        (make.completed(amount_total="1000"), "amount_total is not an integer"),
        (make.completed(amount_total=True), "amount_total is not an integer"),
        (make.completed(amount_total=-1), "amount_total is not an integer"),
        (make.completed(amount_total=10**20), "amount_total is not an integer"),
        (make.completed(currency="euro"), "currency is not a code of three letters"),
        (make.completed(metadata="order"), "metadata is not an object"),
        (make.completed(metadata={"order_id": make.ORDER_ID, "attempt": "first"}), "attempt is not a number from 1"),
        (make.completed(metadata={"order_id": make.ORDER_ID, "attempt": "0"}), "attempt is not a number from 1"),
        (make.refund(5, "lost"), "refund: status is not one of"),
        (make.disputed("escalated"), "dispute: status is not one of"),
        (make.disputed("lost", balance_transactions={}), "dispute: balance_transactions is not a list"),
        (make.invoiced("paid", period_end=None), "invoice: period_end is not an integer"),
        (make.snapshot({"object": "novelty"}), "snapshot: no object of a known kind"),
        (
            make.snapshot(make.intent(metadata={"order_id": "ord_" + "a" * 26})),
            "snapshot: its payment_intent names another order",
        ),
    ],
)
def test_an_impossible_object_is_refused_with_its_field(message: Message, detail: str) -> None:
    with pytest.raises(ImpossibleEvent, match=detail):
        of(message)


_KINDS: dict[str, dict[str, Any]] = {
    "checkout.session.completed": make.session(),
    "checkout.session.async_payment_failed": make.session(),
    "checkout.session.expired": make.recurring_session(),
    "payment_intent.succeeded": make.intent(),
    "payment_intent.canceled": make.intent(),
    "charge.succeeded": make.charge(),
    "refund.created": dict(make.refund(5).object),
    "charge.dispute.closed": make.dispute("lost"),
    "customer.subscription.deleted": make.subscription(),
    "invoice.paid": make.invoice() | {"payments": {"data": [{"payment": {"payment_intent": "pi_1"}}]}},
    "invoice_payment.paid": dict(make.invoice_paid_by().object),
    "invoice.upcoming": {},
    "novelty.created": {},
}
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def _spoil(value: Any, data: st.DataObject) -> Any:
    """Replace the value, or one somewhere inside it, by any JSON."""
    if isinstance(value, dict) and value and data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(value)))
        return value | {name: _spoil(value[name], data)}
    return data.draw(_JSON)


@settings(max_examples=400, deadline=None)
@given(st.data(), st.sampled_from(sorted(_KINDS)), st.booleans())
def test_garbage_is_refused_as_impossible_and_nothing_else(data: st.DataObject, kind: str, in_snapshot: bool) -> None:
    """What is not refused can be stored, merged and shown."""
    spoilt = _spoil(copy.deepcopy(_KINDS[kind]), data)
    message: Message = make.snapshot(spoilt) if in_snapshot else make.event(kind, {}, "evt_1")
    if not in_snapshot:
        object.__setattr__(message, "object", spoilt)
    try:
        brought = of(message)
    except ImpossibleEvent:
        return
    facts = merge(fold(make.command(), make.completed()), brought.facts)

    assert "\\u0000" not in json.dumps(facts)
    assert view(json.loads(json.dumps(facts))) == view(facts)
