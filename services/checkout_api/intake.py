"""From a client's request to the command: what is refused, what is frozen. Pure."""

from __future__ import annotations

from payonce.domain.commands import RegisterPayment
from payonce.domain.facts import FIRST_ATTEMPT
from payonce.domain.money import MoneyError, check_amount, exponent
from payonce.domain.terms import MOST_INTERVALS, Recurring, Terms, body_hash_of, order_id_of
from services.checkout_api.clients import Client
from services.checkout_api.links import Links
from services.checkout_api.origins import BadRedirect, check_redirect
from services.checkout_api.payloads import PaymentOrderRequest
from services.checkout_api.problems import wrong_field


def terms_of(request: PaymentOrderRequest, client: Client) -> Terms:
    """Return the terms in their one form (currency in lower case). Raises Problem naming the field."""
    recurring = _recurring(request)
    currency = request.currency.lower()
    _check_money(request.amount, currency)
    try:
        check_redirect(request.redirect_url, client.redirect_origins)
    except BadRedirect as error:
        raise wrong_field("redirect_url", str(error), "redirect_not_allowed") from error
    return Terms(
        client_id=client.id,
        reference=request.reference,
        amount=request.amount,
        currency=currency,
        payment_type=request.payment_type,
        payment_method=request.payment_method,
        psp=request.psp,
        redirect_url=request.redirect_url,
        description=request.description,
        customer_email=request.customer_email,
        recurring=recurring,
    )


def first_command(
    terms: Terms, links: Links, *, issued_at: int, lifetime_seconds: int, api_version: str
) -> RegisterPayment:
    """Return the command of the first attempt."""
    return registration(
        terms,
        body_hash_of(terms),
        FIRST_ATTEMPT,
        links,
        issued_at=issued_at,
        lifetime_seconds=lifetime_seconds,
        api_version=api_version,
    )


def registration(
    terms: Terms,
    body_hash: str,
    attempt: int,
    links: Links,
    *,
    issued_at: int,
    lifetime_seconds: int,
    api_version: str,
) -> RegisterPayment:
    """Return the command of an attempt with everything the PSP request needs frozen into it."""
    order_id = order_id_of(terms.client_id, terms.reference)
    return RegisterPayment(
        order_id=order_id,
        attempt=attempt,
        terms=terms,
        body_hash=body_hash,
        issued_at=issued_at,
        expires_at=issued_at + lifetime_seconds,
        success_url=links.success(order_id, body_hash),
        cancel_url=links.cancel(order_id, body_hash),
        api_version=api_version,
    )


def _recurring(request: PaymentOrderRequest) -> Recurring | None:
    """Return how often it is billed, what is left out filled in: the same subscription is the same body."""
    asked = request.recurring
    if request.payment_type == "SALE":
        if asked is not None:
            raise wrong_field("recurring", "belongs to payment_type RECC; a SALE is paid once", "not_recurring")
        return None
    if asked is None:
        detail = 'is needed for payment_type RECC: say how often it is billed, as in {"interval": "month"}'
        raise wrong_field("recurring", detail, "recurring_needed")
    most = MOST_INTERVALS[asked.interval]
    if asked.interval_count > most:
        detail = f"is more than three years: at most {most} for interval {asked.interval}"
        raise wrong_field("recurring.interval_count", detail, "interval_too_long")
    return Recurring(asked.interval, asked.interval_count, asked.trial_days)


def _check_money(amount: int, currency: str) -> None:
    try:
        exponent(currency)
    except MoneyError as error:
        raise wrong_field("currency", f"cannot be used: {error}", "invalid_money") from error
    try:
        check_amount(amount, currency)
    except MoneyError as error:
        raise wrong_field("amount", f"does not fit the currency: {error}", "invalid_money") from error
