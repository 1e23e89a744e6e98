"""The words of payment_order_status, and what they mean to who waits or wants to try again."""

from __future__ import annotations

from typing import Literal

from payonce.domain.order_row import UNDECIDED_STATUSES

Status = Literal[
    "created",
    "registered",
    "processing",
    "paid",
    "failed",
    "expired",
    "cancelled",
    "registration_failed",
    "partially_refunded",
    "refunded",
    "disputed",
    "charged_back",
    "active",
    "past_due",
    "unpaid",
    "ended",
]
#: Nothing was paid and nothing can be any more: of an attempt, it is proven unusable; of an order, it may have another.
CLOSED_STATUSES = frozenset({"failed", "expired", "cancelled", "registration_failed"})
#: More is sure to come: nobody who follows an order would leave here.
LASTING_STATUSES = UNDECIDED_STATUSES | {"processing", "disputed", "active", "past_due", "unpaid"}
