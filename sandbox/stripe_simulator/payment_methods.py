"""The payment methods that are offered, Stripe's published test instruments, and what each of them leads to.

A card number or account number is looked up and forgotten: only its last four digits are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


class Kind(Enum):
    """How a method behaves: at once, by a page of the bank, days later, or when a voucher has been paid."""

    CARD = "card"
    REDIRECT = "redirect"
    DELAYED = "delayed"
    VOUCHER = "voucher"


class RefundOutcome(Enum):
    """How a refund to an instrument goes."""

    SUCCEEDS = "succeeds"
    SUCCEEDS_LATER = "succeeds_later"  # pending first
    FAILS_LATER = "fails_later"  # succeeded first


@dataclass(frozen=True, slots=True)
class Method:
    """A payment method type of Stripe with the currencies it serves; None serves all."""

    type: str
    kind: Kind
    label: str
    currencies: frozenset[str] | None
    account_label: str = ""
    account_succeeds: str = ""
    account_fails: str = ""
    account_fails_slowly: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a payment fails, in Stripe's words."""

    code: str
    message: str
    decline_code: str | None = None
    charged: bool = True  # a charge was tried; not so when authentication failed


@dataclass(frozen=True, slots=True)
class Claim:
    """What a cardholder says who disputes a charge; without an amount the whole charge."""

    reason: str = "fraudulent"
    inquiry: bool = False
    amount: int | None = None
    due_seconds: float = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Instrument:
    """What the customer pays with, and how it will end."""

    method: Method
    last4: str
    failure: Failure | None = None
    authenticate: bool = False
    brand: str = "visa"
    exp_month: int = 12
    exp_year: int = 2034
    email: str | None = None
    name: str | None = None
    amount_override: int | None = None
    refund: RefundOutcome = RefundOutcome.SUCCEEDS
    claim: Claim | None = None  # the cardholder disputes the charge at once
    attaches: bool = False  # can be kept for later although its charges fail
    authenticate_always: bool = False  # also when the customer is not there
    is_slow: bool = False  # a delayed debit that takes its time


CARD = Method("card", Kind.CARD, "Card", None)
METHODS = {
    method.type: method
    for method in (
        CARD,
        Method("ideal", Kind.REDIRECT, "iDEAL", frozenset({"eur"})),
        Method("cashapp", Kind.REDIRECT, "Cash App Pay", frozenset({"usd"})),
        Method("pay_by_bank", Kind.REDIRECT, "Pay by Bank", frozenset({"gbp"})),
        Method(
            "sepa_debit",
            Kind.DELAYED,
            "SEPA Direct Debit",
            frozenset({"eur"}),
            "IBAN",
            "DE89370400440532013000",
            "DE62370400440532013001",
            "DE78370400440532013004",
        ),
        Method(
            "us_bank_account",
            Kind.DELAYED,
            "US bank account",
            frozenset({"usd"}),
            "Account number",
            "000123456789",
            "000222222227",
        ),
        Method(
            "bacs_debit",
            Kind.DELAYED,
            "Bacs Direct Debit",
            frozenset({"gbp"}),
            "Account number",
            "00012345",
            "22222227",
        ),
        Method("boleto", Kind.VOUCHER, "Boleto", frozenset({"brl"})),
        Method("oxxo", Kind.VOUCHER, "OXXO", frozenset({"mxn"})),
    )
}

_DECLINED = "Your card was declined."
AUTHENTICATION_FAILED = Failure(
    "payment_intent_authentication_failure",
    "The provided payment method has failed authentication. You can provide payment_method_data or a new "
    "PaymentMethod to attempt to fulfill this PaymentIntent again.",
    charged=False,
)
DEBIT_FAILED = Failure("insufficient_funds", "The customer's account has insufficient funds to cover this payment.")
VOUCHER_EXPIRED = Failure(
    "payment_intent_payment_attempt_expired",
    "The latest payment attempt of this PaymentIntent has expired. You can provide payment_method_data or a new "
    "PaymentMethod to attempt to fulfill this PaymentIntent again.",
    charged=False,
)
GENERIC_DECLINE = Failure("card_declined", _DECLINED, "generic_decline")
_VISA = Instrument(CARD, "4242")
# docs.stripe.com/testing
TEST_CARDS: dict[str, tuple[str, Instrument]] = {
    "4242424242424242": ("Succeeds (Visa)", _VISA),
    "5555555555554444": ("Succeeds (Mastercard)", Instrument(CARD, "4444", brand="mastercard")),
    "4000002500003155": ("3-D Secure step, then succeeds", Instrument(CARD, "3155", authenticate=True)),
    "4000002760003184": (
        "3-D Secure step, at every renewal too",
        Instrument(CARD, "3184", authenticate=True, authenticate_always=True),
    ),
    "4000008400001629": (
        "3-D Secure step, then declined",
        Instrument(CARD, "1629", GENERIC_DECLINE, authenticate=True),
    ),
    "4000000000007726": (
        "Succeeds; its refunds are pending first",
        Instrument(CARD, "7726", refund=RefundOutcome.SUCCEEDS_LATER),
    ),
    "4000000000005126": (
        "Succeeds; its refunds fail later",
        Instrument(CARD, "5126", refund=RefundOutcome.FAILS_LATER),
    ),
    "4000000000000259": ("Succeeds, then disputed as fraudulent", Instrument(CARD, "0259", claim=Claim())),
    "4000000000002685": (
        "Succeeds, then disputed as not received",
        Instrument(CARD, "2685", claim=Claim("product_not_received")),
    ),
    "4000000000001976": ("Succeeds, then an inquiry", Instrument(CARD, "1976", claim=Claim(inquiry=True))),
    "4000000000000341": (
        "Can be kept, but its charges are declined",
        Instrument(CARD, "0341", GENERIC_DECLINE, attaches=True),
    ),
    "4000000000000002": ("Declined", Instrument(CARD, "0002", GENERIC_DECLINE)),
    "4000000000009995": (
        "Insufficient funds",
        Instrument(CARD, "9995", Failure("card_declined", "Your card has insufficient funds.", "insufficient_funds")),
    ),
    "4000000000000069": ("Expired card", Instrument(CARD, "0069", Failure("expired_card", "Your card has expired."))),
    "4000000000000127": (
        "Wrong security code",
        Instrument(CARD, "0127", Failure("incorrect_cvc", "Your card's security code is incorrect.")),
    ),
    "4000000000000119": (
        "Processing error",
        Instrument(
            CARD,
            "0119",
            Failure("processing_error", "An error occurred while processing your card. Try again in a little bit."),
        ),
    ),
}


def offered_types(
    currency: str, allowed: list[str] | None, excluded: list[str] | None, *, cards_only: bool = False
) -> tuple[str, ...]:
    """Choose the types a session offers, as Stripe does dynamically: by currency, then by the two filters."""
    return tuple(
        method.type
        for method in METHODS.values()
        if (method.kind is Kind.CARD or not cards_only)
        and (method.currencies is None or currency in method.currencies)
        and (allowed is None or method.type in allowed)
        and (excluded is None or method.type not in excluded)
    )


def card(number: str) -> Instrument | Failure:
    """Look a card number up; a Failure is a fault of the form and reaches no bank."""
    digits = "".join(character for character in number if character.isascii() and character.isdigit())
    known = TEST_CARDS.get(digits)
    if known:
        return known[1]
    if not _passes_luhn(digits):
        return Failure("incorrect_number", "Your card number is invalid.", charged=False)
    message = f"{_DECLINED} Your request was in test mode, but used a non test card. Use one of the test cards."
    return Failure("card_declined", message, "test_mode_live_card", charged=False)


def account(method: Method, number: str) -> Instrument | Failure:
    """Look a bank account number of a delayed debit up."""
    compact = "".join(number.split()).upper()
    if compact == method.account_succeeds:
        return Instrument(method, compact[-4:], refund=RefundOutcome.SUCCEEDS_LATER)
    if compact == method.account_fails:
        return Instrument(method, compact[-4:], DEBIT_FAILED)
    if compact and compact == method.account_fails_slowly:
        return Instrument(method, compact[-4:], DEBIT_FAILED, is_slow=True)
    message = f"Use a test account: {method.account_succeeds} succeeds, {method.account_fails} fails."
    return Failure("account_number_invalid", message, charged=False)


def redirect(method: Method) -> Instrument:
    """Make the instrument of a bank that will ask the customer on its own page."""
    return Instrument(method, "0000", authenticate=True, refund=RefundOutcome.SUCCEEDS_LATER)


def voucher(method: Method, *, paid: bool) -> Instrument:
    """Make the instrument of a customer who takes a voucher, and pays it later or lets it expire."""
    failure = None if paid else VOUCHER_EXPIRED
    return Instrument(method, "0000", failure, refund=RefundOutcome.SUCCEEDS_LATER)


def with_details(
    instrument: Instrument, email: str | None, name: str | None, amount_override: int | None = None
) -> Instrument:
    """Add what the customer said of themselves; an override makes the session report another amount."""
    return replace(instrument, email=email or None, name=name or None, amount_override=amount_override)


def _passes_luhn(digits: str) -> bool:
    if not 12 <= len(digits) <= 19:  # noqa: PLR2004 - ISO/IEC 7812
        return False
    doubled = [int(digit) * (2 if index % 2 else 1) for index, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0  # noqa: PLR2004 - Luhn
