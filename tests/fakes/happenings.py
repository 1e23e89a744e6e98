"""What happens to the session of an attempt, and what must hold of its order afterwards."""

from __future__ import annotations

import asyncio
from typing import Literal

from payonce.domain.commands import RegisterPayment
from payonce.ports import HOLDING_STATES, Session
from tests.fakes.gateway import Trouble
from tests.fakes.psp_worker import World, settled
from tests.fakes.registrations import register

FIRST, SECOND = register(), register(attempt=2)
Happening = Literal["nothing", "expired", "paid", "free", "processing", "failed later"]
HAPPENINGS: tuple[Happening, ...] = ("nothing", "expired", "paid", "free", "processing", "failed later")
#: What each makes of the attempt once it is settled.
STATES = {
    "nothing": "expired",
    "expired": "expired",
    "paid": "used",
    "free": "used",
    "processing": "used",
    "failed later": "failed",
}


def happen(world: World, what: Happening, session_id: str = "cs_test_1") -> None:
    """Let the customer or the time do this to the session."""
    match what:
        case "expired":
            world.gateway.end(session_id)
        case "paid" | "free" | "processing":
            world.gateway.pay(session_id, what)
        case "failed later":
            world.gateway.pay(session_id, "processing")
            world.gateway.fail_payment(session_id)
        case "nothing":
            pass


def told(world: World) -> list[str]:
    """Return the kinds of the outcomes."""
    return [type(outcome).__name__ for outcome in world.outcomes()]


def assert_one_page_at_most(world: World, command: RegisterPayment = FIRST) -> None:
    """No order has two open sessions, nor an open one beside one that took or takes money."""
    rows = world.ledger.registrations.get(command.order_id, {})
    holding = [row for row in rows.values() if row.state in HOLDING_STATES]
    assert len(holding) <= 1
    alive = [session for session in world.gateway.sessions.values() if takes_money(world, session)]
    assert len(alive) <= 1, alive


def takes_money(world: World, session: Session) -> bool:
    """Return whether the session can be paid, is being paid, or is paid."""
    intent = world.gateway.intents.get(session.payment_intent or "", {})
    return session.status != "expired" and intent.get("status") != "requires_payment_method"


async def stop_while_unknown(world: World) -> None:
    """Leave the first attempt behind as unknown, as a process that was killed while it asked."""
    world.gateway.troubles.append(Trouble("mismatch"))
    handling = asyncio.ensure_future(world.handle(FIRST))
    await settled(lambda: world.ledger.registrations and world.row(FIRST).state == "unknown")
    handling.cancel()
    await asyncio.wait([handling])
