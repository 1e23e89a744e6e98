"""What every call to the PSP needs, shared by all commands of this worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from payonce.ports import Clock, Ledger, PaymentGateway
from services.psp_worker.breaker import Breakers
from services.psp_worker.holds import Holds
from services.psp_worker.pace import Pacer
from services.psp_worker.resting import Rests

_WHOLE_JITTER = 2**53


@dataclass(frozen=True, slots=True)
class Psp:
    """The gateway and the ledger, the pace, and what is known about the PSP's health."""

    gateway: PaymentGateway
    ledger: Ledger
    pacer: Pacer
    holds: Holds
    clock: Clock
    jitter: Callable[[], float]
    rests: Rests
    breakers: Breakers = field(default_factory=Breakers)
    _keys: count[int] = field(default_factory=count)

    def fresh_key(self, order_id: str, call: str) -> str:
        """Return an idempotency key that nobody has used: for calls that may be repeated, whose saved 500 must not."""
        dice = int(self.jitter() * _WHOLE_JITTER)
        return f"{order_id}:{call}:{int(self.clock.now() * 1000):x}-{next(self._keys):x}-{dice:x}"
