"""Which events may wait for their order, and which of them are worth a question or a person's time."""

from __future__ import annotations

from typing import Any

import pytest

from payonce.domain.belonging import may_wait, names_only_a_payment
from payonce.domain.events import PspEvent
from payonce.domain.order import contribution
from tests.unit.domain import factories as make


def about(kind: str, thing: dict[str, Any]) -> PspEvent:
    return make.event(kind, {**thing, "metadata": {}})


INTENT = {"id": "pi_1", "object": "payment_intent", "status": "succeeded", "latest_charge": "ch_1"}
CHARGE = {"id": "py_1", "object": "charge", "payment_intent": "pi_1"}
CASES = (
    (about("payment_intent.succeeded", INTENT), True),
    (about("charge.succeeded", CHARGE), True),
    (make.disputed("needs_response"), False),
    (make.refund(5), False),
    (make.invoice_paid_by(), False),
    (make.invoiced(), False),
)


@pytest.mark.parametrize(("event", "only_a_payment"), CASES, ids=[event.type for event, _ in CASES])
def test_what_may_wait_names_more_than_a_payment_unless_it_is_about_nothing_else(
    event: PspEvent, only_a_payment: bool
) -> None:
    references = contribution(event, position=("t", 0, 0)).references

    assert may_wait(event, references)
    assert names_only_a_payment(references) is only_a_payment
