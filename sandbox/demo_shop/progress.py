"""What a customer is told for each status: a headline, a sentence, and how far along the way it is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

STEPS = ("Order placed", "Ready to pay", "Payment under way", "Paid")
Tone = Literal["waiting", "good", "bad"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How a status looks. `step` counts STEPS from 0."""

    status: str
    headline: str
    words: str
    step: int
    tone: Tone = "waiting"

    @property
    def is_final(self) -> bool:
        """Whether there is no need to ask again soon."""
        return self.tone != "waiting"

    @property
    def can_pay(self) -> bool:
        """Whether sending the customer to the payment page makes sense."""
        return self.status in {"created", "registered"}

    @property
    def is_bought(self) -> bool:
        """Whether what was in the cart is the customer's, or is about to be."""
        return self.status == "processing" or (self.is_final and self.step == len(STEPS) - 1)


_ROWS = (
    Progress("created", "Order placed", "The payment page is being prepared.", 0),
    Progress("registered", "Waiting for your payment", "The payment page is open, and nothing has been paid yet.", 1),
    Progress(
        "pending",
        "Waiting for word of your payment",
        "You have finished paying; the payment provider has not confirmed it yet.",
        2,
    ),
    Progress(
        "processing",
        "Payment under way",
        "Your bank is working on it. Some ways to pay take days; no need to wait here.",
        2,
    ),
    Progress("paid", "Paid. Thank you!", "The money has arrived, and your parcel is being wrapped.", 3, "good"),
    Progress("failed", "The payment failed", "Your bank did not carry it out. Nothing was taken.", 2, "bad"),
    Progress("expired", "The payment page has expired", "Nothing was paid in time. Please order again.", 1, "bad"),
    Progress("cancelled", "Cancelled", "This order was cancelled, and nothing was taken.", 1, "bad"),
    Progress(
        "registration_failed", "No payment page", "The provider did not take this order; nothing was paid.", 0, "bad"
    ),
    Progress("refunded", "Refunded", "The money is on its way back to you.", 3, "good"),
    Progress("partially_refunded", "Partly refunded", "A part of the money is on its way back to you.", 3, "good"),
    Progress("disputed", "Disputed", "Your bank has opened a dispute about this payment.", 3, "bad"),
    Progress("active", "Welcome!", "The first payment is settled; the next ones follow by themselves.", 3, "good"),
    Progress("past_due", "A payment is due", "The latest one did not succeed; it will be tried again.", 3, "bad"),
    Progress("unpaid", "A payment is missing", "The latest one did not succeed, and is not tried again.", 3, "bad"),
    Progress("ended", "Ended", "This subscription has ended, and nothing more is collected.", 3, "bad"),
    Progress("charged_back", "Charged back", "Your bank has taken the payment back.", 3, "bad"),
)
_BY_STATUS = {row.status: row for row in _ROWS}


def progress(status: str) -> Progress:
    """Return how a status looks. One that this shop does not know is shown by its name, and asked for again."""
    return _BY_STATUS.get(status) or Progress(status, status.replace("_", " ").capitalize(), "", 0)


def after_paying(state: Progress, *, has_finished: bool) -> Progress:
    """Return what to tell a customer who has finished on the payment page, perhaps before the PSP's word is here."""
    return progress("pending") if has_finished and state.can_pay else state
