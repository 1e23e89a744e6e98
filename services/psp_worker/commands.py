"""One record of payments.commands, whatever it holds: carried out, acknowledged unread, or set aside with a reason."""

from __future__ import annotations

from typing import cast

from payonce.codec import Undecodable, decode
from payonce.dead_letters import Reason, is_replay_for_other
from payonce.domain.commands import RegisterPayment
from payonce.ports import Record, StoreRejected
from services.psp_worker.registrar import Registrar, Work
from services.psp_worker.request import UnsupportedRegistration
from services.psp_worker.voice import PROCESS, Voice


class Commands:
    """Handles records. When `handle` returns, the record is finished: its effects are durable."""

    def __init__(self, registrar: Registrar, voice: Voice) -> None:
        self._registrar = registrar
        self._voice = voice

    async def handle(self, work: Work) -> None:
        """Carry out the command or set it aside. Idempotent. Raises only what must end the process."""
        record = work.record
        if is_replay_for_other(record, PROCESS):
            return
        try:
            command = decode(record)
        except Undecodable as error:
            await self._set_aside(record, cast("Reason", error.reason), error.detail)
            return
        if not isinstance(command, RegisterPayment):
            await self._set_aside(record, "unknown_type", f"{type(command).__name__} is no command of this version")
            return
        try:
            await self._registrar.register(command, work)
        except UnsupportedRegistration as error:
            await self._set_aside(record, "unsupported", str(error))
        except StoreRejected as error:
            await self._set_aside(record, "rejected_by_database", str(error))

    async def _set_aside(self, record: Record, reason: Reason, error: str) -> None:
        await self._voice.set_aside(record, reason=reason, error=error)
