"""May an order have another attempt, and may one be cancelled? Pure decisions over everything known of the order.

They spare a client from waiting for a rejection. The last word is the PSP worker's: what is known here may be old.
"""

from __future__ import annotations

from payonce.domain.commands import CancelPayment, RegisterPayment
from payonce.domain.facts import FIRST_ATTEMPT
from payonce.domain.order import Attempt
from payonce.domain.order_row import UNDECIDED_STATUSES
from payonce.domain.whole_order import WholeOrder
from payonce.problem_documents import Problem
from services.checkout_api.answers import RETRY_AFTER
from services.checkout_api.intake import registration
from services.checkout_api.links import Links
from services.checkout_api.statuses import CLOSED_STATUSES

#: A rejection for one of these has used up the attempt's number in the worker's ledger.
_FINAL_REJECTIONS = frozenset({"order_used", "previous_unresolved", "body_mismatch"})


def next_registration(
    whole: WholeOrder, number: int, links: Links, *, issued_at: int, lifetime_seconds: int, api_version: str
) -> RegisterPayment:
    """Return the command of this attempt, also if it was asked for before: with the order's own terms and body.

    Raises Problem: 409 if an earlier attempt can still be paid or was, if it is another number's turn, or if the terms
    are not known yet.
    """
    order = whole.view
    refuse_rejected(whole, number)
    latest = _latest(whole)
    if number != latest or number == FIRST_ATTEMPT:
        _refuse_unless_closed(whole, number)
        if number != latest + 1:
            raise Problem(409, "wrong_attempt", f"attempt {number} is not the next one: that is {latest + 1}")
    deciding = attempt_of(whole, order.attempt)
    # Its own terms: those of an earlier attempt, which the row shows meanwhile, need not be what its hash stands for.
    if deciding is None or deciding.terms is None or deciding.body_hash is None:
        raise Problem(409, "terms_unknown", "the order's terms are not in the database yet", headers=RETRY_AFTER)
    return registration(
        deciding.terms,
        deciding.body_hash,
        number,
        links,
        issued_at=issued_at,
        lifetime_seconds=lifetime_seconds,
        api_version=api_version,
    )


def is_settled(whole: WholeOrder | None, number: int) -> bool:
    """Return whether there is more to say about an attempt that was asked for than `created`."""
    if whole is None:
        return False
    status = whole.row.status
    decided = status not in UNDECIDED_STATUSES | CLOSED_STATUSES
    return decided or (whole.row.attempt == number and status != "created") or _rejection(whole, number) is not None


def refuse_rejected(whole: WholeOrder, number: int) -> None:
    """Raise Problem(409) if the worker has rejected this attempt: it has used up its number."""
    if rejection := _rejection(whole, number):
        reason, detail = rejection
        told = f"attempt {number} was rejected ({reason}): {detail}; the next is {_latest(whole) + 1}"
        raise Problem(409, "attempt_rejected", told)


def cancellation(whole: WholeOrder, number: int | None, *, issued_at: int) -> CancelPayment | None:
    """Return the command that cancels this attempt (None: the latest); None if nobody can pay it any more as it is.

    Raises Problem: 409 if it is paid or being paid, or not known.
    """
    attempt = attempt_of(whole, number)
    if attempt is None:
        latest = whole.view.attempts[-1].number
        detail = f"attempt {number} is not known (yet); the latest is {latest}"
        raise Problem(409, "unknown_attempt", detail, headers=RETRY_AFTER)
    if attempt.status in CLOSED_STATUSES:
        return None
    if _is_used(whole, attempt):
        raise Problem(409, "order_used", f"attempt {attempt.number} cannot be cancelled: {_standing(whole)}")
    return CancelPayment(order_id=whole.row.order_id, attempt=attempt.number, issued_at=issued_at)


def attempt_of(whole: WholeOrder, number: int | None) -> Attempt | None:
    """Return the attempt with that number, the latest for None; None if it is not known."""
    attempts = whole.view.attempts
    return attempts[-1] if number is None else next((each for each in attempts if each.number == number), None)


def is_answered(whole: WholeOrder | None, number: int) -> bool:
    """Return whether the cancellation of this attempt is known to be done, or to have come too late.

    That the session has expired does not say so: the PSP announces that first, and the cancellation follows.
    """
    attempt = attempt_of(whole, number) if whole is not None else None
    if whole is None or attempt is None:
        return False
    return attempt.status == "cancelled" or _is_used(whole, attempt)


def is_undecided(whole: WholeOrder, number: int) -> bool:
    """Return whether this attempt may still come to be paid or cancelled."""
    attempt = attempt_of(whole, number)
    return attempt is not None and attempt.status in UNDECIDED_STATUSES and not _is_used(whole, attempt)


def _refuse_unless_closed(whole: WholeOrder, number: int) -> None:
    """Raise Problem(409) while the order is paid or being paid, or an attempt of it may still be."""
    order = whole.view
    if order.status not in UNDECIDED_STATUSES | CLOSED_STATUSES:
        raise Problem(409, "order_used", f"the order cannot have attempt {number}: {_standing(whole)}")
    if order.known_subscriptions:  # its first payment failed later; what the PSP still tries, no attempt can undo
        told = "a subscription was begun with it, and a new one is a new reference"
        raise Problem(409, "order_used", f"the order cannot have attempt {number}: {told}")
    for attempt in order.attempts:
        if attempt.status not in CLOSED_STATUSES:
            told = "being paid" if attempt.status == "processing" else f"{attempt.status} and may still be paid"
            detail = f"attempt {attempt.number} is {told}; cancel it first, or wait until it has expired"
            raise Problem(409, "attempt_open", detail)


def _standing(whole: WholeOrder) -> str:
    return f"its status is {whole.view.status}"


def _is_used(whole: WholeOrder, attempt: Attempt) -> bool:
    paid = {payment.attempt for payment in whole.view.payments}
    return attempt.status == "processing" or attempt.number in paid


def _latest(whole: WholeOrder) -> int:
    """Return the highest number that is taken: by an attempt that counts, or by one that was rejected for good."""
    rejected = [int(number) for number in whole.facts.get("rejected", {}) if _rejection(whole, int(number))]
    return max([attempt.number for attempt in whole.view.attempts] + rejected)


def _rejection(whole: WholeOrder, number: int) -> tuple[str, str] | None:
    if attempt_of(whole, number) is not None:
        return None
    bodies = whole.facts.get("rejected", {}).get(str(number), {})
    return next(((reason, detail) for reason, detail in bodies.values() if reason in _FINAL_REJECTIONS), None)
