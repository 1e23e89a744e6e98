"""CancelSubscription: have the PSP end a subscription of this order, and say so, or say that there is none.

Nothing is written in the ledger: a subscription that ends twice ends once, so whoever does not know asks again. Only
the end of a period can be taken back, in the PSP's dashboard: so the PSP itself keeps a note of the latest command, and
one that comes again, after a reset of the offsets perhaps, overrules nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from payonce.domain.commands import CancelSubscription, SubscriptionEnd
from payonce.domain.events import CommandRejected, SubscriptionCancelAccepted
from payonce.domain.facts import ENDED_STATUSES
from payonce.domain.psp_objects import PspObject
from payonce.ports import GatewayFailure, Reading
from services.psp_worker.caller import Caller
from services.psp_worker.neighbours import order_of
from services.psp_worker.pace import Endpoint, endpoint_of
from services.psp_worker.psp import Psp
from services.psp_worker.voice import Voice
from services.psp_worker.work import Work

_ENDPOINTS: Final[Mapping[SubscriptionEnd, Endpoint]] = {
    "now": "subscriptions.cancel",
    "period_end": "subscriptions.update",
}


#: In the subscription's metadata: when the latest command that was carried out had been issued, unix seconds.
NOTE: Final = "cancel_issued_at"


class SubscriptionCanceller:
    """Carries out CancelSubscription."""

    def __init__(self, psp: Psp, voice: Voice) -> None:
        self._psp = psp
        self._voice = voice

    async def cancel(self, command: CancelSubscription, work: Work) -> None:
        """Return when the outcome is durable in the log. Idempotent.

        Raises GatewayFailure (permanent), ImpossibleEvent, Stuck.
        """
        with work.caller(self._psp, command.order_id, live=True) as caller, caller.one_aim():
            answer = await self._answer(command, caller)
        await self._voice.announce(answer, at=command.issued_at, cause=work.record)

    async def _answer(
        self, command: CancelSubscription, caller: Caller
    ) -> SubscriptionCancelAccepted | CommandRejected:
        """Look before every try: a refusal or a lost answer may mean that it has ended."""
        refusal: GatewayFailure | None = None
        while True:
            if answer := answer_to(command, await self._read(command, caller)):
                return answer
            if refusal is not None:
                raise refusal
            try:
                return accepted(command, (await self._cancel(command, caller)).data)
            except GatewayFailure as failure:
                if failure.kind == "permanent":
                    refusal = failure
                else:
                    await caller.pause(failure)

    async def _read(self, command: CancelSubscription, caller: Caller) -> Mapping[str, Any] | None:
        reading = await caller.ask(
            endpoint_of(command.subscription),
            lambda: self._psp.gateway.object(command.subscription, api_version=command.api_version),
        )
        return None if reading is None else reading.data

    async def _cancel(self, command: CancelSubscription, caller: Caller) -> Reading:
        key = self._psp.fresh_key(command.order_id, f"cancel-subscription:{command.subscription}")
        return await caller.call(
            _ENDPOINTS[command.at],
            lambda: self._psp.gateway.cancel_subscription(
                command.subscription,
                at=command.at,
                metadata={NOTE: str(command.issued_at)},
                idempotency_key=key,
                api_version=command.api_version,
            ),
        )


def answer_to(
    command: CancelSubscription, subscription: Mapping[str, Any] | None
) -> SubscriptionCancelAccepted | CommandRejected | None:
    """Return what to say about the PSP's object as it is (None: it has none); None while it has to be cancelled. Pure.

    Whatever is named must say itself that it is this order's: nobody ends another one's subscription.
    """
    if subscription is None or order_of(subscription) != command.order_id:
        return _rejected(command)
    thing = PspObject.of(subscription, "subscription")
    is_done = thing.text("status") in ENDED_STATUSES or (command.at == "period_end" and _is_noted(command, thing))
    return accepted(command, subscription) if is_done else None


def accepted(command: CancelSubscription, subscription: Mapping[str, Any]) -> SubscriptionCancelAccepted:
    """Return what to say about a subscription that has ended, or is going to. Raises ImpossibleEvent."""
    thing = PspObject.of(subscription, "subscription")
    return SubscriptionCancelAccepted(
        order_id=command.order_id,
        command_id=command.command_id,
        subscription=command.subscription,
        at=command.at,
        status=thing.text("status"),
        ends_at=thing.optional_count("ended_at") or thing.optional_count("cancel_at"),
    )


def _is_noted(command: CancelSubscription, subscription: PspObject) -> bool:
    """Return whether it is going to end, or was once told so by this command or a later one."""
    noted = subscription.part("metadata").optional_text(NOTE) or ""
    was_told = noted.isdecimal() and int(noted) >= command.issued_at
    return was_told or subscription.fields.get("cancel_at_period_end") is True


def _rejected(command: CancelSubscription) -> CommandRejected:
    return CommandRejected(
        order_id=command.order_id,
        command_id=command.command_id,
        command_type="CancelSubscription",
        attempt=None,
        body_hash=None,
        reason="unknown_subscription",
        detail=f"the PSP has no {command.subscription} that names this order",
    )
