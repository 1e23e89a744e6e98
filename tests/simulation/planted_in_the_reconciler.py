"""Planted bugs of the reconciler: each loses for ever what only it could have brought."""

from __future__ import annotations

import pytest

from payonce.ports import Mark
from services.reconciler import rules
from services.reconciler.missed_events import EVENTS_TASK, TYPE_GROUPS, MissedEvents
from services.reconciler.overdue_orders import OverdueOrders
from tests.simulation.planted import bug


async def _nothing(_self: object) -> None:
    return None


@bug("the watermark moves after the delivery reports")
def the_watermark_before_the_delivery(patch: pytest.MonkeyPatch) -> None:
    async def early(self: MissedEvents) -> None:
        done, target = await self._store.watermark(EVENTS_TASK), self._target()
        await self._store.advance(EVENTS_TASK, Mark(target))
        for window in rules.windows(done.until if done else None, target):
            for types in TYPE_GROUPS:
                await self._window(types, window)

    patch.setattr(MissedEvents, "since_watermark", early)
    patch.setattr(rules, "OVERLAP_SECONDS", 0)  # the next ten minutes' rounds would make up for it
    patch.setattr(MissedEvents, "undelivered", _nothing)  # and so would Stripe's own list


@bug("an order without a token is asked after")
def overdue_orders_are_left_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OverdueOrders, "run_once", _nothing)
