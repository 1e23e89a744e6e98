"""The terms as they are hashed, sent and stored: what was written before `recurring` existed reads as it did."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.catalog import SCHEMAS
from payonce.codec import decode_body, encode_body
from payonce.domain.commands import RegisterPayment
from payonce.domain.order import contribution, view
from payonce.domain.terms import (
    MOST_INTERVALS,
    MOST_TRIAL_DAYS,
    Interval,
    Recurring,
    Terms,
    body_hash_of,
    differing_fields,
    terms_document,
    terms_of_document,
)

EXAMPLES = SCHEMAS / "examples" / "RegisterPayment.v1"
SALE = Terms("shop", "A-1", 1999, "eur", "SALE", "APM", "stripe", "https://shop.example/done")
CLUB = replace(SALE, payment_type="RECC", recurring=Recurring("month", 1, 14))
RECURRING = st.builds(
    Recurring,
    st.sampled_from(sorted(MOST_INTERVALS)),
    st.integers(1, max(MOST_INTERVALS.values())),
    st.none() | st.integers(1, MOST_TRIAL_DAYS),
)
TERMS = st.builds(
    Terms,
    client_id=st.text(min_size=1, max_size=8),
    reference=st.text(min_size=1, max_size=8),
    amount=st.integers(1, 10**12),
    currency=st.sampled_from(["eur", "jpy"]),
    payment_type=st.sampled_from(["SALE", "RECC"]),
    payment_method=st.sampled_from(["APM", "CARD"]),
    psp=st.just("stripe"),
    redirect_url=st.just("https://shop.example/done"),
    description=st.none() | st.text(max_size=8),
    customer_email=st.none() | st.text(max_size=8),
    recurring=st.none() | RECURRING,
)


def example(name: str) -> RegisterPayment:
    message = decode_body("RegisterPayment", (EXAMPLES / f"{name}.json").read_bytes())
    assert isinstance(message, RegisterPayment)
    return message


@pytest.mark.parametrize(
    ("terms", "committed"),
    [
        (SALE, "v1:e23381004acae90e864ecdacfbe9ac2f6147523e44989c01a945d15122d2050e"),
        (replace(SALE, payment_method="CARD"), "v1:2bb0f04152b8231ae13b42447c279476f0a4f127a92d8f0d40221f114f96df53"),
        (CLUB, "v1:dc4586c24212550808c8dd4dbfab29e16f826c03483a198b9e3da6c715be44f3"),
        (
            replace(CLUB, recurring=Recurring("month")),
            "v1:6d370340c687441e41a08ada7d88963b87e06b4ce0a63fe34eeab2066d1cb36e",
        ),
    ],
    ids=["sale", "card", "club-with-a-trial", "club"],
)
def test_a_body_has_the_hash_that_is_committed_here(terms: Terms, committed: str) -> None:
    """Whoever changes the canonical form makes every order in flight a conflict with itself."""
    assert body_hash_of(terms) == committed


@pytest.mark.parametrize("name", ["full", "minimal", "recurring"])
def test_the_hash_in_each_committed_command_is_that_of_its_terms(name: str) -> None:
    command = example(name)

    assert body_hash_of(command.terms) == command.body_hash


def test_every_part_of_how_often_it_is_billed_makes_another_body() -> None:
    others = [
        SALE,
        replace(CLUB, recurring=Recurring("week", 1, 14)),
        replace(CLUB, recurring=Recurring("month", 2, 14)),
        replace(CLUB, recurring=Recurring("month", 1, 15)),
        replace(CLUB, recurring=Recurring("month", 1)),
    ]

    assert len({body_hash_of(terms) for terms in [CLUB, *others]}) == 6
    assert {differing_fields(CLUB, other) for other in others[1:]} == {("recurring",)}
    assert differing_fields(CLUB, CLUB) == ()


@given(TERMS)
def test_terms_come_back_from_their_document_as_they_were(terms: Terms) -> None:
    document = orjson.loads(orjson.dumps(terms_document(terms)))

    assert terms_of_document(document) == terms


def test_a_body_without_recurring_does_not_name_it_wherever_it_is_written() -> None:
    """The facts and the log of such an order are, byte for byte, what they were before the field existed."""
    command = example("full")
    facts = contribution(command, position=("t", 0, 7)).facts

    assert "recurring" not in terms_document(SALE)
    assert b"recurring" not in encode_body(command)
    assert "recurring" not in facts["terms"]["1"][command.body_hash]["terms"]


@pytest.mark.parametrize(
    "others", [{}, {"recurring": None}, {"loyalty_points": 7}], ids=["older", "null", "of-a-newer-version"]
)
def test_facts_that_another_version_wrote_are_read(others: dict[str, Any]) -> None:
    assert terms_of_document({**terms_document(SALE), **others}) == SALE


def test_a_part_that_a_newer_version_added_to_recurring_is_left_alone() -> None:
    document = terms_document(CLUB)
    document["recurring"]["anchor"] = 1

    assert terms_of_document(document) == CLUB


@pytest.mark.parametrize("interval", ["day", "week", "month", "year"])
def test_the_longest_interval_is_three_years(interval: Interval) -> None:
    days = {"day": 1, "week": 7, "month": 365 / 12, "year": 365}

    assert MOST_INTERVALS[interval] * days[interval] == pytest.approx(3 * 365, rel=0.01)


def test_a_subscriptions_terms_are_those_of_its_order() -> None:
    command = example("recurring")

    assert view(contribution(command, position=("t", 0, 0)).facts).terms == command.terms
