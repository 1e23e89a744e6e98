"""Random lives of one order, for Hypothesis: whatever commands, worker and PSP may say of it, each with its place.

Import `lives` from `tests.unit.domain.lives` (the project's root is on pytest's path). A life is a list of (message,
position) in an order that could have happened; a reader may see it in any order and repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from payonce.domain.commands import RegisterPayment
from payonce.domain.events import PspEvent
from payonce.domain.facts import DISPUTE_RANK, REFUND_RANK
from payonce.domain.order import Facts, contribution, merge
from payonce.domain.terms import Terms
from tests.unit.domain import factories as make
from tests.unit.domain.factories import Message, Position

Life = list[tuple[Message, Position]]


def fold_life(life: Sequence[tuple[Message, Position]], facts: Facts | None = None) -> Facts:
    """Merge the messages in the given order into `facts`."""
    facts = {} if facts is None else facts
    for message, position in life:
        facts = merge(facts, contribution(message, position=position).facts)
    return facts


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """One order with one to three attempts, and everything that may come after."""
    recurring = draw(st.booleans())
    body = make.terms(draw(st.integers(1, 4)) * 500, "eur", "RECC" if recurring else "SALE")
    messages: list[Message] = []
    for attempt in range(1, draw(st.integers(1, 3)) + 1):
        messages += draw(_registrations(body, attempt))
        messages += draw(_recurring_sessions(body, attempt) if recurring else _sale_sessions(body, attempt))
    if recurring:
        messages += draw(_subscriptions())
    messages += draw(st.lists(_refunds(), max_size=3))
    messages += draw(st.lists(_disputes(), max_size=4))
    messages += draw(st.lists(_snapshots(body), max_size=2))
    messages += draw(st.lists(_logs(), max_size=2))
    return [(message, _position(message, number)) for number, message in enumerate(messages)]


def _position(message: Message, number: int) -> Position:
    match message:
        case RegisterPayment():
            return "payments.commands", 3, number
        case PspEvent():
            return "payments.webhooks", 5, number
        case _:
            return "payments.tokens", 3, number


@st.composite
def _registrations(draw: st.DrawFn, body: Terms, attempt: int) -> list[Message]:
    """The command, perhaps another body before or after it, and what the worker made of both."""
    other = make.terms(body.amount + 100, "usd", body.payment_type)
    commands: list[Message] = [make.command(body, attempt), make.command(body, attempt)]
    if draw(st.booleans()):
        commands.insert(draw(st.integers(0, 2)), make.command(other, attempt))
    outcomes: list[Message] = [
        make.token(body, attempt),
        make.registration_failed(body, attempt),
        make.stuck(body, attempt),
        make.rejected(other, attempt),
        make.rejected(body, attempt),
        make.cancelled(body, attempt),
        make.token(body, attempt, f"cs_{attempt}_late"),
    ]
    return commands + draw(st.lists(st.sampled_from(outcomes), max_size=3))


def _sale_sessions(body: Terms, attempt: int) -> st.SearchStrategy[list[Message]]:
    unpaid = make.session(body, attempt, payment_status="unpaid")
    wrong = make.terms(body.amount + 1, body.currency)
    return st.lists(
        st.sampled_from(
            [
                make.expired(body, attempt),
                make.completed(body, attempt),
                make.completed(body, attempt, amount_total=wrong.amount),
                make.completed(
                    body, attempt, payment_status="no_payment_required", amount_total=0, payment_intent=None
                ),
                make.event("checkout.session.completed", unpaid),
                make.event("checkout.session.async_payment_succeeded", make.session(body, attempt)),
                make.event("checkout.session.async_payment_failed", unpaid),
                make.event("payment_intent.succeeded", make.intent(body, attempt)),
                make.event("payment_intent.succeeded", make.intent(wrong, attempt)),
                make.event(
                    "payment_intent.payment_failed", make.intent(body, attempt, status="requires_payment_method")
                ),
                make.event("charge.succeeded", make.charge(attempt)),
                make.event("charge.refunded", make.charge(attempt, amount_refunded=500)),
            ]
        ),
        max_size=4,
    )


def _recurring_sessions(body: Terms, attempt: int) -> st.SearchStrategy[list[Message]]:
    trial: dict[str, Any] = {"payment_status": "no_payment_required", "amount_total": 0}
    return st.lists(
        st.sampled_from(
            [
                make.expired(body, attempt),
                make.event("checkout.session.completed", make.recurring_session(body, attempt)),
                make.event("checkout.session.completed", make.recurring_session(body, attempt, **trial)),
                make.event("checkout.session.completed", make.recurring_session(body, attempt, invoice=None, **trial)),
                make.event("customer.subscription.created", make.subscription("active", attempt)),
            ]
        ),
        max_size=3,
    )


def _subscriptions() -> st.SearchStrategy[list[Message]]:
    older: dict[str, Any] = {"parent": None, "subscription": "sub_1", "payment_intent": "pi_1", "charge": "ch_1"}
    older["subscription_details"] = {"metadata": make.own_metadata(make.RECC)}
    invoices = st.builds(
        make.invoiced,
        st.sampled_from(["draft", "open", "uncollectible", "void", "paid"]),
        st.integers(1, 3),
        st.integers(0, 3),
    )
    endings = st.sampled_from(["active", "past_due", "unpaid", "paused", "canceled", "incomplete_expired"])
    changes = st.builds(lambda status: make.event("customer.subscription.updated", make.subscription(status)), endings)
    links = st.builds(make.invoice_paid_by, st.sampled_from(["pi_1", "pi_2"]), st.integers(1, 3))
    return st.lists(st.one_of(invoices, changes, links, st.just(make.invoiced("paid", **older))), max_size=6)


def _refunds() -> st.SearchStrategy[Message]:
    payers = st.sampled_from([("pi_1", "ch_1"), (None, "ch_1"), ("pi_2", "ch_2"), ("pi_2", None)])
    return st.builds(
        lambda amount, status, refund_id, payer: make.refund(
            amount, status, refund_id, payment_intent=payer[0], charge=payer[1]
        ),
        st.sampled_from([200, 500, 1000]),
        st.sampled_from(sorted(REFUND_RANK)),
        st.sampled_from(["re_1", "re_2", "re_3"]),
        payers,
    )


def _disputes() -> st.SearchStrategy[Message]:
    return st.builds(make.disputed, st.sampled_from(sorted(DISPUTE_RANK)), st.integers(0, 2))


def _snapshots(body: Terms) -> st.SearchStrategy[Message]:
    objects = st.one_of(
        st.builds(make.dispute, st.sampled_from(sorted(DISPUTE_RANK)), st.integers(0, 2)),
        st.builds(make.subscription, st.sampled_from(["active", "unpaid", "past_due", "canceled"])),
        st.sampled_from(
            [
                make.session(body),
                make.session(body, payment_status="unpaid"),
                make.session(body, status="open", payment_status="unpaid", url="https://psp.example/cs_1"),
                make.intent(body, status="requires_payment_method"),
                make.intent(body),
                make.charge(),
                make.invoice("open"),
            ]
        ),
    )
    return st.builds(
        lambda told, offset, date: make.snapshot(*told, refresh_offset=offset, response_date=date),
        st.lists(objects, max_size=3),
        st.integers(10, 12),
        st.integers(1_800_000_000, 1_800_000_002),
    )


def _logs() -> st.SearchStrategy[Message]:
    return st.sampled_from(
        [
            make.event("payment_intent.processing", make.intent(status="processing")),
            make.event("charge.failed", make.charge()),
            make.event("customer.created", {"id": "cus_1", "object": "customer"}),
        ]
    )
