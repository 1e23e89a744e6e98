"""Refunds as clients are shown them: from the PSP's events and from the ledger, each once, never more than there is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from payonce.domain.merge import Facts
from payonce.domain.order_row import OrderRow
from payonce.domain.whole_order import AskedRefund, WholeOrder, status_of_refund
from tests.unit.domain.factories import ORDER_ID
from tests.unit.domain.lives import Life, fold_life, lives

ROW = OrderRow(ORDER_ID, "paid", 1, 1, 0, 0)


def asked_of(facts: Facts) -> st.SearchStrategy[list[AskedRefund]]:
    """Refunds as a ledger may hold them beside these facts; no two rows are one refund of the PSP."""
    one = st.builds(
        AskedRefund,
        refund_reference=st.text("abc", min_size=1),
        command_id=st.just("cmd"),
        payment=st.sampled_from([None, *facts.get("payments", {})]),
        amount=st.none() | st.integers(1, 2_000),
        asked_at=st.just(0),
        refund_id=st.none() | st.sampled_from(["re_new", *facts.get("refunds", {})]),
        failed=st.booleans(),
    )
    return st.lists(one, max_size=4, unique_by=(lambda each: each.refund_reference, lambda each: each.refund_id))


@given(lives(), st.data())
def test_every_refund_is_shown_once_and_what_is_left_is_never_more_than_there_is(
    life: Life, data: st.DataObject
) -> None:
    facts = fold_life(life)
    whole = WholeOrder(ROW, facts, tuple(data.draw(asked_of(facts))))

    shown = whole.refunds()

    seen = [each.refund_id for each in shown if each.refund_id is not None]
    assert len(seen) == len(set(seen))
    assert set(facts.get("refunds", {})) <= set(seen)
    assert [each.refund_reference for each in shown if each.refund_reference] == [
        each.refund_reference for each in whole.asked
    ]
    for payment in whole.view.payments:
        assert 0 <= whole.refundable(payment) <= payment.amount
        assert whole.refundable(payment) <= max(0, payment.amount - payment.refunded)


@given(lives(), st.integers(1, 5_000))
def test_a_refund_on_its_way_leaves_less_and_a_failed_one_does_not(life: Life, amount: int) -> None:
    facts = fold_life(life)
    for payment in WholeOrder(ROW, facts).view.payments:
        asked = AskedRefund("R", "cmd", payment.payment, amount, 0)
        failed = AskedRefund("R", "cmd", payment.payment, amount, 0, failed=True)
        before = WholeOrder(ROW, facts).refundable(payment)

        assert WholeOrder(ROW, facts, (asked,)).refundable(payment) == max(0, before - amount)
        assert WholeOrder(ROW, facts, (failed,)).refundable(payment) == before


def test_the_psps_words_are_three_to_a_client() -> None:
    words = {"pending": "pending", "requires_action": "pending", "succeeded": "succeeded"}

    assert {word: status_of_refund(word) for word in (*words, "failed", "canceled")} == {
        **words,
        "failed": "failed",
        "canceled": "failed",
    }
