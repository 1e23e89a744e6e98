"""The bodies of commands about an order that exists. Unknown fields are refused, as in `payloads`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from payonce.domain.commands import SubscriptionEnd
from services.checkout_api.payloads import LARGEST_AMOUNT, Printable

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)
_MOST_ATTEMPTS = 999_999


class AttemptRequest(BaseModel):
    """A new attempt. Its number makes two callers who ask for the same one ask for the same thing."""

    model_config = _STRICT

    attempt: int = Field(ge=1, le=_MOST_ATTEMPTS, description="The number of the latest attempt, plus one")


class CancelRequest(BaseModel):
    """Which attempt nobody shall be able to pay any more."""

    model_config = _STRICT

    attempt: int | None = Field(None, ge=1, le=_MOST_ATTEMPTS, description="Its number; without one, the latest")


class RefundRequest(BaseModel):
    """Money that goes back."""

    model_config = _STRICT

    refund_reference: Printable = Field(
        min_length=1, max_length=64, description="Your own id of this refund, unique within the order"
    )
    amount: int | None = Field(
        None, gt=0, le=LARGEST_AMOUNT, description="Minor units of the order's currency; without it, all that is left"
    )
    payment: Printable | None = Field(
        None, min_length=1, max_length=255, description="Which payment, as the order names it; needed if it has several"
    )
    reason: Printable | None = Field(None, min_length=1, max_length=500, description="For your own records")


class SubscriptionCancelRequest(BaseModel):
    """When a subscription ends."""

    model_config = ConfigDict(**_STRICT, json_schema_extra={"examples": [{"at": "period_end"}, {"at": "now"}]})

    at: SubscriptionEnd = Field(description="now: at once, nothing is sent back. period_end: what is paid for stays")
    subscription: Printable | None = Field(
        None, min_length=1, max_length=255, description="Which one, as the order names it; needed if it has several"
    )
