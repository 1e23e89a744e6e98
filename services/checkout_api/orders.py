"""The payment order resource. Thin: what is decided is decided in `intake` and `answers`."""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import APIRouter, Header, Query, Response

from payonce.codec import outgoing
from payonce.domain.commands import RegisterPayment
from payonce.domain.order_row import OrderRow
from payonce.domain.terms import order_id_of
from payonce.ports import PublishFailed, StoreUnavailable
from services.checkout_api.access import Reader, Writer
from services.checkout_api.answers import RETRY_AFTER, Answer, answer_to_post, conflict, is_known, shown
from services.checkout_api.clients import Client
from services.checkout_api.dependencies import SOURCE, Dependencies, Parts
from services.checkout_api.intake import first_command, terms_of
from services.checkout_api.parameters import ORDER_ID, OrderId
from services.checkout_api.payloads import PaymentOrder, PaymentOrderList, PaymentOrderRequest
from services.checkout_api.preferences import preferred_wait
from services.checkout_api.problems import Problem, documented, unavailable
from services.checkout_api.publishing import publish_within
from services.checkout_api.tracing import trace_headers

router = APIRouter(prefix="/v1/payment-orders", tags=["payment orders"])
log = structlog.get_logger()


@router.post(
    "",
    status_code=202,
    response_model=PaymentOrder,
    responses={
        202: {"description": "In the log; the hosted page follows"},
        201: {"model": PaymentOrder, "description": "Registered: only with `Prefer: wait=N`"},
        200: {"model": PaymentOrder, "description": "Known already, with its status"},
        **documented(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
    },
)
async def create_payment_order(
    body: PaymentOrderRequest,
    client: Writer,
    parts: Parts,
    prefer: Annotated[str | None, Header(description="`wait=N`: hold the answer up to N <= 30 seconds")] = None,
    traceparent: Annotated[str | None, Header()] = None,
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
        await _publish(parts, command, traceparent)
    wait = preferred_wait(prefer)
    if wait is not None and not is_known(order, command.body_hash):
        order = await _outcome(parts, command, wait)
        _refuse_conflict(order, command)
    answer = answer_to_post(order, command, parts.links, now=parts.clock.now(), waited_seconds=wait)
    return _respond(answer)


@router.get("/{order_id}", response_model=PaymentOrder, responses=documented(401, 403, 404, 429, 503))
async def get_payment_order(order_id: OrderId, client: Reader, parts: Parts) -> Response:
    """Return one payment order. 404 with Retry-After: unknown, or so new that it is not in the database yet."""
    document = await _shown_to(client, order_id, parts) if ORDER_ID.fullmatch(order_id) else None
    if document is None:
        raise Problem(404, "unknown_order", "you have no payment order with this id (yet)", headers=RETRY_AFTER)
    return _respond(Answer(200, document))


@router.get("", response_model=PaymentOrderList, responses=documented(401, 403, 422, 429, 503))
async def list_payment_orders(
    client: Reader,
    parts: Parts,
    reference: Annotated[str, Query(min_length=1, max_length=64, description="Your reference, exactly")],
) -> Response:
    """Return your payment order with this reference, if there is one."""
    document = await _shown_to(client, order_id_of(client.id, reference), parts)
    page = PaymentOrderList(data=[] if document is None else [document], has_more=False)
    return Response(page.model_dump_json(), media_type="application/json")


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


async def _publish(parts: Dependencies, command: RegisterPayment, traceparent: str | None) -> None:
    record = outgoing(command, at=parts.clock.now(), source=SOURCE, headers=trace_headers(traceparent))
    try:
        await publish_within(parts.producer, record, parts.publish_seconds)
    except PublishFailed as error:
        log.warning("command_not_published", order_id=command.order_id, error=str(error))
        raise unavailable("the log") from error


async def _shown_to(client: Client, order_id: str, parts: Dependencies) -> PaymentOrder | None:
    try:
        order = await parts.orders.now(order_id)
    except StoreUnavailable as error:
        raise unavailable("the database") from error
    if order is None or order.client_id != client.id:
        return None
    return shown(order, parts.links, now=parts.clock.now())


def _refuse_conflict(order: OrderRow | None, command: RegisterPayment) -> None:
    if problem := conflict(order, command.terms, command.body_hash):
        raise problem


def _respond(answer: Answer) -> Response:
    return Response(answer.order.model_dump_json(), answer.status, dict(answer.headers), "application/json")
