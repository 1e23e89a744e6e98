"""Whatever happens to payments, in whatever order, the simulator's own books add up: it is what others are held to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.stripe_simulator.clock import Clock
from sandbox.stripe_simulator.config import Config
from sandbox.stripe_simulator.disputes import TRANSITIONS
from sandbox.stripe_simulator.errors import ApiError
from sandbox.stripe_simulator.events import CUSTOMER
from sandbox.stripe_simulator.forms import decode
from sandbox.stripe_simulator.payment_methods import Claim, card
from sandbox.stripe_simulator.refunds import RefundRequest
from sandbox.stripe_simulator.session_parameters import read_session_request
from sandbox.stripe_simulator.simulator import Simulator
from sandbox.stripe_simulator.state import WrongStateError

PRICE = "line_items[0][price_data][currency]=eur&line_items[0][price_data][unit_amount]=2500&line_items[0][quantity]=1"
ITEM = f"{PRICE}&line_items[0][price_data][product_data][name]=Tea&success_url=http://shop/"
CARDS = ["4242424242424242", "4000000000007726", "4000000000005126", "4000000000001976", "4000000000000259"]
RENEWING = ["4242424242424242", "4000000000000341", "4000002760003184"]


@contextmanager
def refusals_allowed() -> Iterator[None]:
    """Steps that the state forbids are part of the game."""
    try:
        yield
    except (ApiError, WrongStateError):
        return


def simulator_at_midnight() -> Simulator:
    return Simulator(Config(seed=1), Clock(lambda: 1_800_000_000.0))


def paid(simulator: Simulator, parameters: str, number: str) -> Any:  # Any: a session
    request = read_session_request(decode(f"{ITEM}&{parameters}"), simulator.clock.seconds())
    session = simulator.sessions.create(request)
    instrument = card(number)
    simulator.checkout.confirm(session, instrument)  # type: ignore[arg-type]  # a known test card
    return session


def steps_of_money(simulator: Simulator, charge: dict[str, Any]) -> dict[str, Callable[[int], object]]:
    store = simulator.store

    def refund(number: int) -> None:
        simulator.refunds.create(RefundRequest(None, charge["id"], number * 100 + 1, None, {}), CUSTOMER)

    def chosen(items: Any, number: int) -> dict[str, Any] | None:  # Any: a collection
        found: dict[str, Any] | None = items.at(number % len(items)) if len(items) else None
        return found

    def fail(number: int) -> None:
        if (found := chosen(store.refunds, number)) is not None:
            simulator.refunds.fail(found)

    def move(number: int) -> None:
        if (found := chosen(store.disputes, number)) is not None:
            simulator.disputes.move(found, list(TRANSITIONS)[number % len(TRANSITIONS)])

    return {
        "refund": refund,
        "fail": fail,
        "dispute": lambda number: simulator.disputes.open(charge, Claim(inquiry=bool(number % 2))),
        "move": move,
        "wait": lambda number: simulator.clock.advance(number * 86_400),
    }


@settings(max_examples=150, deadline=None)
@given(
    number=st.sampled_from(CARDS),
    steps=st.lists(
        st.tuples(st.sampled_from(["refund", "fail", "dispute", "move", "wait"]), st.integers(0, 12)), max_size=25
    ),
)
def test_refunds_and_disputes_add_up(number: str, steps: list[tuple[str, int]]) -> None:
    simulator = simulator_at_midnight()
    paid(simulator, "mode=payment", number)
    charge = simulator.store.charges.at(0)
    possible = steps_of_money(simulator, charge)
    for name, argument in steps:
        with refusals_allowed():
            possible[name](argument)

        counted = [refund for refund in simulator.store.refunds if refund["status"] in {"pending", "succeeded"}]
        moved = list(simulator.store.balance_transactions)
        assert charge["amount_refunded"] == sum(refund["amount"] for refund in counted) <= charge["amount"]
        assert charge["refunded"] == (charge["amount_refunded"] == charge["amount"])
        assert -sum(item["amount"] for item in moved if item["type"].startswith("refund")) == charge["amount_refunded"]
        for dispute in simulator.store.disputes:
            assert simulator.disputes.withdrawn(dispute) in {0, dispute["amount"]}
            assert dispute["status"] != "won" or simulator.disputes.withdrawn(dispute) == 0


@settings(max_examples=60, deadline=None)
@given(
    trial=st.booleans(),
    steps=st.lists(
        st.tuples(st.sampled_from(["wait", "card", "pay", "stop", "void"]), st.integers(1, 40)), min_size=1, max_size=15
    ),
)
def test_invoices_follow_each_other_and_are_paid_once(*, trial: bool, steps: list[tuple[str, int]]) -> None:
    simulator = simulator_at_midnight()
    recurring = "mode=subscription&line_items[0][price_data][recurring][interval]=month"
    paid(simulator, recurring + ("&subscription_data[trial_period_days]=5" if trial else ""), RENEWING[0])
    subscription, store = simulator.store.subscriptions.at(0), simulator.store
    possible: dict[str, Callable[[int], object]] = {
        "wait": lambda number: simulator.clock.advance(number * 86_400),
        "card": lambda number: simulator.subscriptions.keep(subscription, card(RENEWING[number % 3])),  # type: ignore[arg-type]
        "pay": lambda _: simulator.dunning.settle(store.invoices.at(len(store.invoices) - 1), None),
        "void": lambda _: simulator.dunning.give_up(store.invoices.at(len(store.invoices) - 1), "void"),
        "stop": lambda number: simulator.subscriptions.cancel(subscription) if number > 35 else None,
    }
    for name, argument in steps:
        with refusals_allowed():
            possible[name](argument)

        invoices = list(store.invoices)
        ends = [invoice["period_end"] for invoice in invoices]
        owed = [invoice for invoice in invoices if invoice["status"] == "paid" and invoice["amount_due"]]
        succeeded = [intent for intent in store.payment_intents if intent["status"] == "succeeded"]
        assert ends == sorted(set(ends))
        assert len(owed) == len(succeeded) == len([item for item in store.charges if item["status"] == "succeeded"])
        assert sum(invoice["amount_paid"] for invoice in owed) == sum(item["amount_received"] for item in succeeded)
        assert subscription.is_live or subscription.object["ended_at"] >= ends[-1]
