"""Whatever happens to a payment: the rows converge, and they add up to the PSP's own books."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from payonce.domain.merge import Facts, merge
from payonce.domain.order import Movement, OrderView, contribution, view
from tests.unit.domain.account import Account, Message
from tests.unit.domain.histories import Position, accounts, told
from tests.unit.domain.lives import Life, fold_life, lives


def folded(messages: Sequence[tuple[Message, Position]]) -> Facts:
    facts: Facts = {}
    for message, position in messages:
        facts = merge(facts, contribution(message, position=position).facts)
    return facts


def books_of(movements: Sequence[Movement]) -> Counter[tuple[str, str]]:
    """What moved, per payment and kind, reversals taken off."""
    books: Counter[tuple[str, str]] = Counter()
    for each in movements:
        assert each.payment is not None
        books[each.payment, each.reverses or each.kind] += each.amount if each.kind == "charge" else -each.amount
    return books


def total(order: OrderView, *kinds: str) -> int:
    """What SQL would sum up in the order's currency."""
    currency = order.terms.currency if order.terms else None
    return sum(
        each.amount
        for each in order.movements
        if each.currency == currency and kinds and (each.kind in kinds or each.reverses in kinds)
    )


@settings(max_examples=200, deadline=None)
@given(accounts())
def test_the_movements_are_the_psps_books(account: Account) -> None:
    """Per payment: what was charged, refunded and lost in disputes is what the PSP has moved; and all of it is net."""
    order = view(folded(told(account)))
    event(order.status)

    assert +books_of(order.movements) == +account.books
    left = sum(amount if kind == "charge" else -amount for (_, kind), amount in account.books.items())
    assert sum(each.amount for each in order.movements) == left
    assert (order.amount_paid, order.amount_refunded, order.amount_disputed) == tuple(
        sum(amount for (_, each), amount in account.books.items() if each == kind)
        for kind in ("charge", "refund", "dispute")
    )


@settings(max_examples=200, deadline=None)
@given(st.data(), accounts())
def test_any_order_and_any_repetition_gives_the_same_rows(data: st.DataObject, account: Account) -> None:
    story = told(account)
    seen = data.draw(st.permutations(story + data.draw(st.lists(st.sampled_from(story), max_size=8))))
    expected, actual = view(folded(story)), view(folded(seen))

    assert actual.movements == expected.movements
    assert actual.invoices == expected.invoices
    assert actual == expected


@settings(max_examples=150, deadline=None)
@given(accounts())
def test_every_movement_belongs_to_a_payment_that_is_refunded_at_most_once(account: Account) -> None:
    order = view(folded(told(account)))
    charges = {each.psp_id: each.amount for each in order.movements if each.kind == "charge"}

    for each in order.movements:
        assert each.payment in charges
    for payment, charged in charges.items():
        sent_back = -sum(
            each.amount
            for each in order.movements
            if each.payment == payment and "refund" in {each.kind, each.reverses}
        )
        assert 0 <= sent_back <= charged
    keys = [(each.psp_id, each.kind) for each in order.movements]
    assert keys == sorted(set(keys))


@settings(max_examples=150, deadline=None)
@given(accounts())
def test_every_invoice_is_as_the_psp_last_told(account: Account) -> None:
    """A paid one has its charge, of the same sum; one that cost nothing moves nothing."""
    order = view(folded(told(account)))
    charges = {each.psp_id: each.amount for each in order.movements if each.kind == "charge"}

    assert {each.invoice_id for each in order.invoices} == account.invoices.keys()
    for each in order.invoices:
        true = account.invoices[each.invoice_id]
        assert (each.status, each.amount_paid, each.amount_due, each.attempts, each.next_attempt_at) == tuple(
            true[name] for name in ("status", "amount_paid", "amount_due", "attempt_count", "next_payment_attempt")
        )
        assert (each.period_start, each.period_end) == tuple(
            true["lines"]["data"][0]["period"][name] for name in ("start", "end")
        )
        assert charges.get(each.invoice_id, 0) == each.amount_paid


@settings(max_examples=150, deadline=None)
@given(accounts())
def test_the_deadline_is_that_of_the_stage_the_dispute_is_in(account: Account) -> None:
    order = view(folded(told(account)))

    for each in order.disputes:
        true = account.disputes[each.dispute]
        assert (each.status, each.due_by) == (true["status"], true["evidence_details"]["due_by"])
        assert (each.evidence_due_by is None) == (not each.status.endswith("needs_response"))
        assert each.payment == account.payments[each.dispute]


@settings(max_examples=200, deadline=None)
@given(st.data(), st.one_of(accounts().map(told), lives()))
def test_whatever_is_known_so_far_adds_up(data: st.DataObject, story: Life) -> None:
    """Any part of any life, also what no PSP would tell: the columns are the sums of the movements, by construction."""
    part = data.draw(st.permutations(story))[: data.draw(st.integers(0, len(story)))]
    order = view(fold_life(part))
    if order.terms is None:
        return

    assert order.amount_paid == total(order, "charge")
    assert order.amount_refunded == -total(order, "refund")
    assert order.amount_disputed == -total(order, "dispute")
    for each in order.movements:
        assert (each.amount > 0) == (each.kind in {"charge", "reversal"})
        assert (each.kind == "reversal") == (each.reverses is not None)
        assert (each.state == "reversed") == (
            each.kind != "reversal" and (each.psp_id, "reversal") in {(m.psp_id, m.kind) for m in order.movements}
        )


@pytest.mark.parametrize("newer", [{"x_settled": {"pi": 1}}])
@settings(max_examples=50, deadline=None)
@given(accounts())
def test_facts_of_before_these_rows_still_give_them(newer: Facts, account: Account) -> None:
    """Without the parts that came with the rows, times, deadlines and periods are unknown; sums and states are not."""
    facts = folded(told(account))
    old = {**newer, **_without(facts)}
    order, expected = view(old), view(facts)

    assert [(each.psp_id, each.kind, each.amount, each.state) for each in order.movements] == [
        (each.psp_id, each.kind, each.amount, each.state) for each in expected.movements
    ]
    assert [(each.invoice_id, each.status, each.amount_paid) for each in order.invoices] == [
        (each.invoice_id, each.status, each.amount_paid)
        for each in sorted(
            expected.invoices, key=lambda each: [row.invoice_id for row in order.invoices].index(each.invoice_id)
        )
    ]
    assert (order.status, order.flags) == (expected.status, expected.flags)
    assert view(merge(old, facts)) == expected


_NEW_PARTS = {"seen", "due", "reason", "told", "service", "period_start", "billing_reason", "period"}


def _without(facts: Facts) -> Facts:
    """Facts as an older program would have stored them."""
    stripped = {
        family: {
            name: {part: value for part, value in known.items() if part not in _NEW_PARTS}
            if isinstance(known, dict)
            else known
            for name, known in elements.items()
        }
        for family, elements in facts.items()
    }
    invoices = {
        name: {p: v for p, v in known.items() if p != "currency"}
        for name, known in stripped.get("invoices", {}).items()
    }
    snapshots = {name: version[:7] for name, version in stripped.get("snapshots", {}).items()}
    return {
        **stripped,
        **({"invoices": invoices} if invoices else {}),
        **({"snapshots": snapshots} if snapshots else {}),
    }
