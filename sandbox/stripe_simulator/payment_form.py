"""Reading the hosted page's form: what the customer typed, into an instrument, or the sentence that helps."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sandbox.stripe_simulator.payment_methods import (
    CARD,
    METHODS,
    Failure,
    Instrument,
    Kind,
    account,
    card,
    redirect,
    voucher,
    with_details,
)

if TYPE_CHECKING:
    from sandbox.stripe_simulator.state import SessionRecord

_EXPIRY = re.compile(r"(0?[1-9]|1[0-2])\s*/\s*(?:20)?([0-9]{2})")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_TEXT_MAX = 200


class FormError(ValueError):
    """The form cannot be sent to a bank; the message is for the customer."""


def read_instrument(form: dict[str, str], record: SessionRecord, now: float) -> Instrument:
    """Read the instrument that the form describes. Raises FormError, with the sentence for the page."""
    typed = {name: value.strip()[:_TEXT_MAX] for name, value in form.items()}
    email = typed.get("email", "")
    if not _EMAIL.fullmatch(email):
        raise FormError("Please enter your e-mail address.")
    if not record.request.collects_payment_method:
        return with_details(Instrument(CARD, "0000"), email, None)
    method = METHODS.get(typed.get("method", ""))
    if method is None or method.type not in record.request.offered_types:
        raise FormError("Please choose a payment method.")
    match method.kind:
        case Kind.CARD:
            found = _card(typed, now)
        case Kind.REDIRECT:
            found = redirect(method)
        case Kind.DELAYED:
            found = account(method, typed.get("account", ""))
        case Kind.VOUCHER:
            # As with Stripe's test addresses, the address says what the customer will do.
            found = voucher(method, paid="fill_never" not in email)
    if isinstance(found, Failure):
        raise FormError(found.message)
    return with_details(found, email, typed.get("name"))


def grouped(number: str) -> str:
    """Write a card number in groups of four."""
    return " ".join(number[start : start + 4] for start in range(0, len(number), 4))


def _card(typed: dict[str, str], now: float) -> Instrument | Failure:
    found = card(typed.get("number", ""))
    if isinstance(found, Failure):
        return found
    expiry = _EXPIRY.fullmatch(typed.get("expiry", ""))
    if expiry is None:
        raise FormError("Your card's expiration date is incomplete: write it as MM / YY.")
    month, year = int(expiry[1]), 2000 + int(expiry[2])
    today = datetime.fromtimestamp(now, UTC)
    if (year, month) < (today.year, today.month):
        raise FormError("Your card's expiration date is in the past.")
    if not re.fullmatch(r"[0-9]{3,4}", typed.get("cvc", "")):
        raise FormError("Your card's security code is incomplete.")
    return replace(found, exp_month=month, exp_year=year)
