"""One record of payments.commands, whatever it holds: carried out, acknowledged unread, or set aside with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from payonce.codec import Message, Undecodable, decode
from payonce.dead_letters import Reason, is_replay_for_other
from payonce.domain.commands import CancelPayment, CancelSubscription, RefreshPayment, RefundPayment, RegisterPayment
from payonce.domain.psp_objects import ImpossibleEvent
from payonce.ports import GatewayFailure, Record, RecordTooLarge, StoreRejected
from services.psp_worker.caller import Stuck
from services.psp_worker.cancelling import Canceller
from services.psp_worker.cancelling_subscriptions import SubscriptionCanceller
from services.psp_worker.refreshing import Refresher
from services.psp_worker.refunding import Refunder
from services.psp_worker.registrar import Registrar
from services.psp_worker.request import UnsupportedRegistration
from services.psp_worker.voice import PROCESS, Voice
from services.psp_worker.work import Work


@dataclass(frozen=True, slots=True)
class Hands:
    """Who carries out what."""

    registrar: Registrar
    canceller: Canceller
    refresher: Refresher
    refunder: Refunder
    subscription_canceller: SubscriptionCanceller


class Commands:
    """Handles records. When `handle` returns, the record is finished: its effects are durable."""

    def __init__(self, hands: Hands, voice: Voice) -> None:
        self._hands = hands
        self._voice = voice

    async def handle(self, work: Work) -> None:
        """Carry out the command or set it aside. Idempotent. Raises only what must end the process."""
        record = work.record
        if is_replay_for_other(record, PROCESS):
            return
        try:
            await self._carry_out(decode(record), work)
        except Undecodable as error:
            await self._set_aside(record, cast("Reason", error.reason), error.detail)
        except UnsupportedRegistration as error:
            await self._set_aside(record, "unsupported", str(error))
        except StoreRejected as error:
            await self._set_aside(record, "rejected_by_database", str(error))
        except ImpossibleEvent as error:
            await self._set_aside(record, "impossible_event", error.detail)
        except GatewayFailure as failure:
            await self._set_aside(record, "psp_refused", failure.detail)
        except Stuck as stuck:
            await self._set_aside(record, "retries_exhausted", str(stuck))
        except RecordTooLarge as error:
            await self._set_aside(record, "too_large", str(error))

    async def _carry_out(self, command: Message, work: Work) -> None:
        match command:
            case RegisterPayment():
                await self._hands.registrar.register(command, work)
            case CancelPayment():
                await self._hands.canceller.cancel(command, work)
            case RefundPayment():
                await self._hands.refunder.refund(command, work)
            case CancelSubscription():
                await self._hands.subscription_canceller.cancel(command, work)
            case RefreshPayment():
                await self._hands.refresher.refresh(command, work)
            case _:
                raise Undecodable("unknown_type", f"{type(command).__name__} is no command of this version")

    async def _set_aside(self, record: Record, reason: Reason, error: str) -> None:
        await self._voice.set_aside(record, reason=reason, error=error)
