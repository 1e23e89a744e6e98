"""The payment order resource. Thin: what is decided is decided in `intake` and `answers`."""

from __future__ import annotations

from fastapi import APIRouter, Response

from payonce.domain.commands import RegisterPayment
from payonce.domain.order_row import OrderRow
from payonce.ports import StoreUnavailable
from payonce.problem_documents import documented
from services.checkout_api.access import Reader, Writer
from services.checkout_api.answers import ANSWERS_TO_POST, answer_to_post, conflict, is_known
from services.checkout_api.commanding import publish_command
from services.checkout_api.dependencies import Dependencies, Parts
from services.checkout_api.documents import WholePaymentOrder, whole_document
from services.checkout_api.intake import first_command, terms_of
from services.checkout_api.owned import own_order, unknown_order
from services.checkout_api.parameters import OrderId, Prefer, Trace
from services.checkout_api.payloads import PaymentOrder, PaymentOrderRequest
from services.checkout_api.preferences import preferred_wait

router = APIRouter(prefix="/v1/payment-orders", tags=["payment orders"])


@router.post(
    "",
    status_code=202,
    response_model=PaymentOrder,
    responses={**ANSWERS_TO_POST, **documented(400, 401, 403, 408, 409, 413, 415, 422, 429, 503)},
)
async def create_payment_order(
    body: PaymentOrderRequest,
    client: Writer,
    parts: Parts,
    prefer: Prefer = None,
    trace: Trace = None,
) -> Response:
    """Place a payment order. Repeating the same body is harmless and gives the same order."""
    command = first_command(
        terms_of(body, client),
        parts.links,
        issued_at=int(parts.clock.now()),
        lifetime_seconds=parts.session_lifetime_seconds,
        api_version=parts.stripe_api_version,
    )
    order = await _known(parts, command)
    _refuse_conflict(order, command)
    if not is_known(order, command.body_hash):
        await publish_command(parts, command, trace)
    wait = preferred_wait(prefer)
    if wait is not None and not is_known(order, command.body_hash):
        order = await _outcome(parts, command, wait)
        _refuse_conflict(order, command)
    return answer_to_post(order, command, parts.links, now=parts.clock.now(), waited_seconds=wait).response()


@router.get("/{order_id}", response_model=WholePaymentOrder, responses=documented(401, 403, 404, 429, 503))
async def get_payment_order(order_id: OrderId, client: Reader, parts: Parts) -> WholePaymentOrder:
    """Return one payment order. 404 with Retry-After: unknown, or so new that it is not in the database yet."""
    document = whole_document(await own_order(client, order_id, parts), parts.links, now=parts.clock.now())
    if document is None:
        raise unknown_order()
    return document


async def _known(parts: Dependencies, command: RegisterPayment) -> OrderRow | None:
    """Return the order if PostgreSQL can say; accepting an order never depends on it."""
    try:
        return await parts.orders.now(command.order_id)
    except StoreUnavailable:
        return None


async def _outcome(parts: Dependencies, command: RegisterPayment, seconds: int) -> OrderRow | None:
    try:
        return await parts.orders.when(
            command.order_id, lambda order: is_known(order, command.body_hash), seconds=seconds
        )
    except StoreUnavailable:
        return None  # accepted all the same: the command is in the log


def _refuse_conflict(order: OrderRow | None, command: RegisterPayment) -> None:
    if problem := conflict(order, command.terms, command.body_hash):
        raise problem
