"""Another attempt at an order that was not paid, and the end of one. Thin: the decisions are `attempting`'s.

Both need PostgreSQL: for the order's terms, and to know whose order it is.
"""

from __future__ import annotations

from fastapi import APIRouter, Response

from payonce.domain.commands import CancelPayment, RegisterPayment
from payonce.domain.whole_order import WholeOrder
from payonce.problem_documents import documented
from services.checkout_api.access import Writer
from services.checkout_api.answers import ANSWERS_TO_POST, RETRY_AFTER, Answer, answer_to_post, shown
from services.checkout_api.attempting import (
    cancellation,
    is_answered,
    is_settled,
    is_undecided,
    next_registration,
    refuse_rejected,
)
from services.checkout_api.commanding import publish_command
from services.checkout_api.dependencies import Dependencies, Parts
from services.checkout_api.owned import once, own_order, unknown_order
from services.checkout_api.parameters import OrderId, Prefer, Trace
from services.checkout_api.payloads import PaymentOrder
from services.checkout_api.preferences import applied, preferred_wait
from services.checkout_api.requests import AttemptRequest, CancelRequest

router = APIRouter(prefix="/v1/payment-orders/{order_id}", tags=["payment orders"])
_PROBLEMS = documented(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503)


@router.post(
    "/attempts",
    status_code=202,
    response_model=PaymentOrder,
    responses={**ANSWERS_TO_POST, **_PROBLEMS},
)
async def create_attempt(
    order_id: OrderId, body: AttemptRequest, *, client: Writer, parts: Parts, prefer: Prefer = None, trace: Trace = None
) -> Response:
    """Try again after the order was not paid. The checkout link stays the same; repeating the request is harmless."""
    whole = await own_order(client, order_id, parts)
    command = next_registration(
        whole,
        body.attempt,
        parts.links,
        issued_at=int(parts.clock.now()),
        lifetime_seconds=parts.session_lifetime_seconds,
        api_version=parts.stripe_api_version,
    )
    wait = preferred_wait(prefer)
    if not is_settled(whole, body.attempt):
        await publish_command(parts, command, trace)
        if wait is not None:
            whole = await once(parts, whole, lambda found: is_settled(found, body.attempt), wait)
            refuse_rejected(whole, body.attempt)
    return _answer_to_attempt(whole, command, parts, wait).response()


@router.post(
    "/cancel",
    status_code=202,
    response_model=PaymentOrder,
    responses={
        202: {"description": "In the log; nobody can pay the attempt once its status is `cancelled`"},
        200: {"model": PaymentOrder, "description": "Nobody can pay the attempt any more"},
        **_PROBLEMS,
    },
)
async def cancel_attempt(
    order_id: OrderId,
    body: CancelRequest | None = None,
    *,
    client: Writer,
    parts: Parts,
    prefer: Prefer = None,
    trace: Trace = None,
) -> Response:
    """See to it that nobody can pay an attempt any more. 409 if it is paid or being paid; repeating is harmless."""
    whole = await own_order(client, order_id, parts)
    command = cancellation(whole, body.attempt if body else None, issued_at=int(parts.clock.now()))
    wait = preferred_wait(prefer)
    open_still = command is not None
    if command is not None:
        await publish_command(parts, command, trace)
        if wait is not None:
            whole = await _cancelled(parts, whole, command, wait)
            open_still = is_undecided(whole, command.attempt)
    document = shown(whole.row, parts.links, now=parts.clock.now())
    if document is None:
        raise unknown_order()
    answer = Answer(202, document, applied(wait) | RETRY_AFTER) if open_still else Answer(200, document, applied(wait))
    return answer.response()


async def _cancelled(parts: Dependencies, whole: WholeOrder, command: CancelPayment, seconds: int) -> WholeOrder:
    """Return the order once the worker's answer is known, or as it is then. Raises Problem: 409, it was paid."""
    found = await once(parts, whole, lambda known: is_answered(known, command.attempt), seconds)
    cancellation(found, command.attempt, issued_at=command.issued_at)
    return found


def _answer_to_attempt(whole: WholeOrder, command: RegisterPayment, parts: Dependencies, wait: int | None) -> Answer:
    """Answer as to the order's first POST; until the attempt is known the row still tells of the one before."""
    known = whole.row if is_settled(whole, command.attempt) else None
    answer = answer_to_post(known, command, parts.links, now=parts.clock.now(), waited_seconds=wait)
    if known is not None:
        return answer
    before = {"created_at": whole.row.created_at, "version": whole.row.version}
    return Answer(answer.status, answer.order.model_copy(update=before), answer.headers)
