"""The API's operations on refunds and on the balance transactions that they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.stripe_simulator import errors
from sandbox.stripe_simulator.expand import expanded
from sandbox.stripe_simulator.operation import Call, Operation, Routes, listing, retrieve
from sandbox.stripe_simulator.parameters import Parameters
from sandbox.stripe_simulator.refunds import RefundRequest

if TYPE_CHECKING:
    from sandbox.stripe_simulator.operation import Work

_SIMULATED = frozenset({"amount", "charge", "expand", "metadata", "payment_intent", "reason"})
_NOT_SIMULATED = frozenset(
    {"currency", "customer", "instructions_email", "origin", "refund_application_fee", "reverse_transfer"}
)
_REASONS = frozenset({"duplicate", "fraudulent", "requested_by_customer"})


def _create_refund(call: Call) -> Work:
    simulator = call.simulator
    for name in call.form:
        if name in _NOT_SIMULATED:
            raise errors.not_simulated(f"the parameter {name}", name)
    parameters = Parameters(call.form, _SIMULATED)
    request = _read(parameters)
    paths = parameters.strings("expand")
    return lambda: expanded(simulator.refunds.create(request, call.cause), paths, simulator)


def _read(parameters: Parameters) -> RefundRequest:
    charge, intent = parameters.string("charge"), parameters.string("payment_intent")
    if charge is None and intent is None:
        message = "One of the following params should be provided for this request: payment_intent or charge."
        raise errors.ApiError(400, message, code="parameter_missing")
    amount = parameters.integer("amount")
    if amount is not None and amount < 1:
        raise errors.invalid_parameter("amount", "Invalid positive integer", "parameter_invalid_integer")
    return RefundRequest(
        payment_intent=intent,
        charge=charge,
        amount=amount,
        reason=parameters.choice("reason", _REASONS),
        metadata=parameters.metadata("metadata"),
    )


REFUND_ROUTES: Routes = {
    ("POST", ("refunds",)): Operation("refunds.create", _create_refund),
    ("GET", ("refunds",)): Operation("refunds.list", listing("refund", "refunds", ("charge", "payment_intent"))),
    ("GET", ("refunds", "*")): Operation("refunds.retrieve", retrieve("refund", "id", "refunds")),
    ("GET", ("balance_transactions",)): Operation(
        "balance_transactions.list",
        listing("balance_transaction", "balance_transactions", ("currency", "source", "type")),
    ),
    ("GET", ("balance_transactions", "*")): Operation(
        "balance_transactions.retrieve", retrieve("balance_transaction", "id", "balance_transactions")
    ),
}
