"""The JSON that clients send and receive. Unknown fields are refused: a misspelt one must not be dropped silently."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from payonce.domain.terms import MOST_INTERVALS, MOST_TRIAL_DAYS, Interval, PaymentMethod, PaymentType, Psp, Recurring
from services.checkout_api.examples import REQUESTS

_EMAIL = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+$"
#: Fits PostgreSQL's bigint and every JSON reader's integers; the PSP's own maximum is the PSP's to say.
LARGEST_AMOUNT = 999_999_999_999


def _printable(text: str) -> str:
    """PostgreSQL stores no NUL, the signed return parameters are lines, and nobody means to send the others."""
    if not text.isprintable():
        raise ValueError("must consist of printable characters")
    return text


Printable = Annotated[str, AfterValidator(_printable)]


class RecurringTerms(BaseModel):
    """How often a subscription is billed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    interval: Interval
    interval_count: int = Field(
        1, ge=1, le=max(MOST_INTERVALS.values()), description="Every so many intervals; at most three years in all"
    )
    trial_days: int | None = Field(
        None, ge=1, le=MOST_TRIAL_DAYS, description="Days at the beginning that cost nothing"
    )


class PaymentOrderRequest(BaseModel):
    """A payment order as the client wants it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, json_schema_extra={"examples": list(REQUESTS)})

    reference: Printable = Field(
        min_length=1, max_length=64, description="Your own unique id of the order, printable characters"
    )
    amount: int = Field(
        gt=0,
        le=LARGEST_AMOUNT,
        description="Minor units of the currency as Stripe counts them: 1050 is 10.50 EUR; of RECC, for every period",
    )
    currency: str = Field(pattern="^[A-Za-z]{3}$", description="ISO 4217 code, upper or lower case")
    payment_type: PaymentType = Field(description="SALE: once. RECC: a subscription, which needs `recurring`")
    payment_method: PaymentMethod = Field(
        description="APM: paid on the PSP's page. CARD: the PSP's card fields on your own page, by `client_secret`"
    )
    recurring: RecurringTerms | None = Field(None, description="RECC only: how often it is billed")
    psp: Psp = "stripe"
    redirect_url: Printable = Field(
        min_length=1,
        max_length=2048,
        description="Where the customer returns to with the signed status; its origin must be registered for you",
    )
    description: Printable | None = Field(None, min_length=1, max_length=500, description="Shown on the payment page")
    customer_email: Annotated[str, Field(max_length=254, pattern=_EMAIL)] | None = Field(
        None, description="Fills in the payment page's e-mail field"
    )


class PaymentOrder(BaseModel):
    """A payment order as we know it. Times are unix seconds, amounts minor units."""

    object: Literal["payment_order"] = "payment_order"
    id: str
    reference: str
    status: str = Field(description="payment_order_status; `created` until the PSP's token is stored")
    amount: int
    currency: str = Field(description="Lower case")
    payment_type: str
    payment_method: str
    psp: str
    recurring: RecurringTerms | None = Field(None, description="RECC only")
    redirect_url: str
    attempt: int = Field(description="The latest registration with the PSP")
    checkout_url: str = Field(description="Send the customer here")
    hosted_page_url: str | None = Field(None, description="For APM: the PSP's page, while it can be paid on")
    client_secret: str | None = Field(
        None,
        description="For CARD: opens the PSP's card fields on your own page, while it can be paid; for that page only",
    )
    amount_paid: int = Field(0, description="Everything received in this currency")
    amount_refunded: int = Field(0, description="What was or is being sent back")
    amount_disputed: int = Field(0, description="What disputes hold or took")
    amount_net: int = Field(0, description="What is left: paid, less refunded, less disputed; may be negative")
    evidence_due_by: int | None = Field(None, description="The next deadline of a dispute that waits for your evidence")
    current_period_end: int | None = Field(None, description="For RECC: until when the live subscription is paid for")
    cancel_at_period_end: bool | None = Field(None, description="For RECC: whether it ends then")
    next_payment_attempt: int | None = Field(None, description="For RECC: when the open invoice is collected again")
    failure_reason: str | None = Field(None, description="Why the latest attempt could not be registered")
    failure_detail: str | None = None
    flags: list[str] = Field(default_factory=list, description="What a person should look at")
    version: int = Field(0, description="Grows with every change; 0: not in the database yet")
    created_at: int
    updated_at: int


def recurring_document(recurring: Recurring | None) -> RecurringTerms | None:
    """Return the part of the terms that only a subscription has, for its client."""
    return None if recurring is None else RecurringTerms(**asdict(recurring))
