"""Whose terms an order has, and which of its attempts decides."""

from __future__ import annotations

import json

from payonce.domain.order import contribution, merge, view
from payonce.domain.terms import body_hash_of
from tests.unit.domain import factories as make
from tests.unit.domain.factories import fold

PAID = (make.command(), make.token(), make.completed())
AGAIN = (make.command(attempt=2), make.token(attempt=2))


def test_the_first_body_in_the_log_holds_until_the_worker_names_one() -> None:
    first, second = make.terms(1000), make.terms(2000)

    assert view(fold(make.command(first), make.command(second))).terms == first
    assert view(fold(make.command(second), make.command(first))).terms == second
    assert view(fold(make.command(first), make.command(second), make.token(second))).terms == second


def test_a_repeated_command_keeps_its_first_place_in_the_log() -> None:
    first, second = make.terms(1000), make.terms(2000)

    assert view(fold(make.command(first), make.command(second), make.command(first))).terms == first


def test_the_log_decides_and_not_the_order_of_arrival() -> None:
    first, second = make.terms(1000), make.terms(2000)
    early = contribution(make.command(first), position=("payments.commands", 0, 7)).facts
    late = contribution(make.command(second), position=("payments.commands", 0, 8)).facts

    assert view(merge(late, early)).terms == first


def test_a_body_that_was_rejected_is_not_the_orders() -> None:
    other = make.terms(2000)
    facts = fold(make.command(other), make.rejected(other), make.command())

    assert view(facts).terms == make.SALE
    assert view(fold(make.command(other), make.rejected(other))).terms is None


def test_the_body_that_the_worker_took_is_named_even_before_its_command_is_seen() -> None:
    """Else the page of one body could be shown to the one who posted another."""
    other = make.terms(2000)
    seen = view(fold(make.command(other), make.token()))

    assert (seen.terms, seen.body_hash) == (None, body_hash_of(make.SALE))


def test_the_session_confirms_its_body_when_the_token_never_came() -> None:
    other = make.terms(2000)
    seen = view(fold(make.command(other), make.command(), make.completed()))

    assert (seen.terms, seen.status) == (make.SALE, "paid")


def test_a_command_rejected_once_and_taken_later_is_the_orders() -> None:
    """The same command may be refused while its predecessor is unsettled, and be taken when it is sent again."""
    amended = make.terms(800)
    told = (make.command(), make.expired(), make.command(amended, 2), make.rejected(amended, 2))

    assert view(fold(*told)).terms == make.SALE
    assert view(fold(*told, make.token(amended, 2))).terms == amended


def test_terms_are_unknown_before_any_command() -> None:
    seen = view(fold(make.completed()))

    assert (seen.terms, seen.status, seen.attempt) == (None, "processing", 1)


def test_terms_with_a_field_of_a_newer_version_are_still_read() -> None:
    facts = json.loads(json.dumps(fold(make.command())))
    facts["terms"]["1"][body_hash_of(make.SALE)]["terms"]["x_new"] = 1

    assert view(facts).terms == make.SALE


def test_the_attempt_shown_is_the_one_that_decides() -> None:
    assert view(fold(*PAID, *AGAIN)).attempt == 1
    assert view(fold(*PAID, *AGAIN)).psp_token == "cs_1"
    assert view(fold(make.command(), make.expired(), *AGAIN)).attempt == 2
    assert view(fold(make.command(), make.completed(payment_status="unpaid"), *AGAIN)).attempt == 1
    assert [(each.number, each.status) for each in view(fold(make.command(), make.expired(), *AGAIN)).attempts] == [
        (1, "expired"),
        (2, "registered"),
    ]


def test_metadata_without_an_attempt_counts_as_the_first() -> None:
    """Money that names an order is never dropped, and is held against the terms all the same."""
    bare = {"order_id": make.ORDER_ID}
    seen = view(fold(make.command(), make.completed(metadata=bare)))
    of_second = view(fold(make.command(), make.expired(), *AGAIN, make.completed(attempt=2, metadata=bare)))

    assert (seen.status, seen.attempt) == ("paid", 1)
    assert of_second.status == "paid"
