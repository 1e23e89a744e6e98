"""May this money be sent back? A pure decision over everything known of the order.

It spares a client from waiting for a rejection. The last word is the PSP's: two refunds at once may both pass here.
"""

from __future__ import annotations

from payonce.domain.commands import RefundPayment
from payonce.domain.money import MoneyError, check_amount
from payonce.domain.payments import Payment
from payonce.domain.whole_order import AskedRefund, KnownRefund, WholeOrder
from payonce.problem_documents import FieldError, Problem
from services.checkout_api.problems import wrong_field
from services.checkout_api.requests import RefundRequest

#: Refunds asked for one order, failed ones included; a document names them all.
MOST_REFUNDS = 200


def refund_command(whole: WholeOrder, request: RefundRequest, *, issued_at: int, api_version: str) -> RefundPayment:
    """Return the command. The same reference, payment and amount are the same command."""
    return RefundPayment(
        order_id=whole.row.order_id,
        refund_reference=request.refund_reference,
        payment=request.payment,
        amount=request.amount,
        reason=request.reason,
        issued_at=issued_at,
        api_version=api_version,
    )


def known_refund(whole: WholeOrder, command: RefundPayment) -> KnownRefund | None:
    """Return the refund if it was asked for before. Raises Problem: 409 if its reference stands for other terms."""
    asked = next((each for each in whole.asked if each.refund_reference == command.refund_reference), None)
    if asked is None:
        return None
    if asked.command_id != command.command_id:
        raise _conflict(asked, command)
    return next(each for each in whole.refunds() if each.refund_reference == command.refund_reference)


def new_refund(whole: WholeOrder, command: RefundPayment) -> KnownRefund:
    """Return what a refund that is not known yet will be.

    Raises Problem: 409 if there is nothing, or not so much, to send back; 422 if the amount does not fit the currency
    or if it does not say which payment is meant.
    """
    if len(whole.asked) >= MOST_REFUNDS:
        raise Problem(409, "too_many_refunds", f"the order has {MOST_REFUNDS} refunds, which is the most it can have")
    payment = _payment(whole, command.payment)
    amount = _amount(whole, payment, command.amount)
    return KnownRefund(
        refund_reference=command.refund_reference,
        refund_id=None,
        payment=payment.payment,
        amount=amount,
        currency=payment.currency,
        status="pending",
        asked_at=command.issued_at,
    )


def _payment(whole: WholeOrder, wanted: str | None) -> Payment:
    payments = {each.payment: each for each in whole.view.payments}
    if not payments:
        raise Problem(409, "nothing_paid", f"the order has no payment: its status is {whole.row.status}")
    if wanted is not None and wanted not in payments:
        raise wrong_field("payment", f"is not one of the order's: {', '.join(payments)}", "unknown_payment")
    if wanted is None and len(payments) > 1:
        raise wrong_field("payment", f"must say which of them: {', '.join(payments)}", "payment_needed")
    return payments[wanted or next(iter(payments))]


def _amount(whole: WholeOrder, payment: Payment, wanted: int | None) -> int:
    left = whole.refundable(payment)
    amount = left if wanted is None else wanted
    if not left:
        raise Problem(409, "nothing_left", f"nothing is left to refund of {payment.payment}")
    if amount > left:
        detail = f"is more than what is left to refund of {payment.payment}: {left} {payment.currency}"
        error = FieldError(field="amount", detail=detail)
        raise Problem(409, "amount_too_large", f"amount {detail}", errors=(error,))
    try:
        check_amount(amount, payment.currency)
    except MoneyError as error:
        raise wrong_field("amount", f"does not fit the currency: {error}", "invalid_money") from error
    return amount


def _conflict(asked: AskedRefund, command: RefundPayment) -> Problem:
    names = [name for name in ("amount", "payment") if getattr(asked, name) != getattr(command, name)]
    errors = [FieldError(field=name, detail="differs from the refund that has this reference") for name in names]
    detail = f"the refund reference {command.refund_reference!r} is taken by a refund that differs in: "
    return Problem(409, "refund_reference_conflict", detail + (", ".join(names) or "its terms"), errors=errors)
