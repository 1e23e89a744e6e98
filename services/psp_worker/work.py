"""A command on its way through the worker."""

from __future__ import annotations

from dataclasses import dataclass

from payonce.ports import Record
from services.psp_worker.caller import Caller
from services.psp_worker.psp import Psp
from services.psp_worker.slots import Slot


@dataclass(frozen=True, slots=True)
class Work:
    """The record, its place, and whether the group had passed its offset before."""

    record: Record
    slot: Slot
    seen_before: bool

    @property
    def is_replay(self) -> bool:
        """Whether ops send it again."""
        return self.record.header("replay-for") is not None

    def caller(self, psp: Psp, order_id: str, *, live: bool) -> Caller:
        """Return the command's caller; what is not live, or a replay, has the lower share of the pace."""
        return Caller(psp, self.slot, order_id=order_id, spare=self.is_replay or not live)
