"""Edits of dead letters, as an operator makes them and a second person approves them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from payonce.codec import decode
from payonce.domain.commands import RefundPayment, RegisterPayment
from payonce.ports.ops import Edit, Letter
from services.ops_console.editing import Draft, drafted
from services.ops_console.planning import Send, Skip
from tests.fakes.dead_letters import as_read
from tests.fakes.virtual_clock import START


def draft(
    of: Letter, body: str | None = None, key: str | None = None, kind: str | None = None, **changes: Any
) -> Draft:
    """Return the letter with fields set; `terms__amount` is terms.amount."""
    paths = {name.replace("__", "."): value for name, value in changes.items()} or None
    return drafted(of, changes=paths, body=body, key=key, kind=kind)


def edited(of: Letter, made: Draft, *, approved_by: str | None = "ada") -> Letter:
    """Return the letter with the edit pending, approved unless told otherwise."""
    at = datetime.fromtimestamp(START, UTC)
    edit = Edit(made.key, made.value, made.type, "olga", at, "why", made.hash, made.is_money, approved_by)
    return replace(of, edit=edit)


def sent(outcome: Send | Skip) -> Send:
    """Return the plan, which is to send something."""
    assert isinstance(outcome, Send), outcome
    return outcome


def stays(outcome: Send | Skip) -> str:
    """Return why nothing is sent."""
    assert isinstance(outcome, Skip), outcome
    return outcome.why


def command(sending: Send) -> RegisterPayment:
    """Return the registration that is sent."""
    message = decode(as_read(sending.record))
    assert isinstance(message, RegisterPayment)
    return message


def refund_in(sending: Send) -> RefundPayment:
    """Return the refund that is sent."""
    message = decode(as_read(sending.record))
    assert isinstance(message, RefundPayment)
    return message
