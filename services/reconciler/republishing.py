"""The record of an event that the PSP could not push: its own bytes, unless no topic takes so many. Pure.

What our door would have refused as too large, the PSP has kept for us: it is told without what no fact is made of. What
is too large even then loses its end, so that nothing can be read of it any more: the fold makes it a dead letter, for
somebody to look the event up at the PSP, and the rest of the list is not held up by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from payonce.codec import webhook_record
from payonce.domain.psp_webhooks import record_key
from payonce.ports import OutgoingRecord
from payonce.record_size import fits

#: Beside it there is room for any headers of ours.
_CUT_BYTES = 65_536


def republished(body: bytes, event: Mapping[str, Any], *, at: float) -> OutgoingRecord:
    """Return the record of an event of the PSP's list, which its topic takes; `at` is unix seconds."""
    key = record_key(event)
    whole = webhook_record(body, event, key=key, received_at=at)
    if fits(whole):
        return whole
    brief = replace(whole, value=orjson.dumps(_brief(event)))
    return brief if fits(brief) else replace(whole, value=body[:_CUT_BYTES])


def _brief(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the event without what it was before, and without the evidence that the shop has sent to the bank."""
    subject = {name: value for name, value in event["data"]["object"].items() if name != "evidence"}
    return {**event, "data": {"object": subject}}
