from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain import money
from payonce.domain.money import MoneyError, check_amount, exponent, major

ALL_CHARGED = sorted(
    money.ZERO_DECIMAL | money.TWO_DECIMAL | money.THREE_DECIMAL | money.WHOLE_UNITS_IN_HUNDREDTHS,
)


@pytest.mark.parametrize(
    ("currency", "decimals"),
    [("eur", 2), ("jpy", 0), ("kwd", 3), ("isk", 2), ("ugx", 2), ("huf", 2), ("twd", 2), ("clp", 0), ("mga", 0)],
)
def test_exponent_is_the_psps_not_isos(currency: str, decimals: int) -> None:
    assert exponent(currency) == decimals


def test_every_currency_stands_in_exactly_one_class() -> None:
    classes = [
        money.ZERO_DECIMAL,
        money.TWO_DECIMAL,
        money.THREE_DECIMAL,
        money.WHOLE_UNITS_IN_HUNDREDTHS,
        money.NOT_CHARGED,
    ]

    assert sum(map(len, classes)) == len(frozenset().union(*classes))
    assert all(len(code) == 3 and code.isalpha() and code.islower() for codes in classes for code in codes)
    assert len(ALL_CHARGED) > 135


@pytest.mark.parametrize(
    ("amount", "currency"),
    [(1, "eur"), (500, "jpy"), (1, "jpy"), (5120, "kwd"), (500, "isk"), (100, "ugx"), (1045, "huf"), (10**12, "usd")],
)
def test_payable_amounts_pass(amount: int, currency: str) -> None:
    check_amount(amount, currency)


@pytest.mark.parametrize(
    ("amount", "currency", "message"),
    [
        (0, "eur", r"amount 0 must be positive, in the minor unit of eur \(2 decimals\)"),
        (-5, "jpy", r"amount -5 must be positive"),
        (5124, "kwd", r"multiple of 10.*send 5120 or 5130"),
        (4, "kwd", r"multiple of 10.*send 10$"),
        (550, "isk", r"multiple of 100.*send 500 or 600"),
        (5, "ugx", r"multiple of 100.*send 100$"),
        (100, "EUR", r"must be in lower case: 'eur'"),
        (100, "irr", r"'irr' is in ISO 4217, but the PSP does not charge in it"),
        (100, "xyz", r"'xyz' is not an ISO 4217 code that the PSP charges in"),
        (100, "", r"'' is not an ISO 4217 code"),
    ],
)
def test_what_cannot_be_charged_says_what_to_send_instead(amount: int, currency: str, message: str) -> None:
    with pytest.raises(MoneyError, match=message):
        check_amount(amount, currency)


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (1234, "eur", "12.34"),
        (5, "usd", "0.05"),
        (500, "jpy", "500"),
        (5120, "kwd", "5.120"),
        (5124, "kwd", "5.124"),
        (500, "isk", "5.00"),
        (0, "eur", "0.00"),
        (-5, "eur", "-0.05"),
    ],
)
def test_major_units_have_all_decimals_that_are_counted(amount: int, currency: str, text: str) -> None:
    assert major(amount, currency) == text


@given(st.integers(-(10**14), 10**14), st.sampled_from(ALL_CHARGED))
def test_major_units_lead_back_to_the_minor_amount(amount: int, currency: str) -> None:
    text = major(amount, currency)

    assert int(text.replace(".", "")) == amount
    assert len(text.partition(".")[2]) == exponent(currency)
