"""What stands for a dead letter: its own bytes, until others were sent in their place. Pure.

What an edit has replaced never comes back by itself: the next replay, and the next edit, begin from what was sent last.
An edit that waits says what comes next, and nothing of what was: of that, only what was written down as sent counts.
"""

from __future__ import annotations

from typing import TypeVar

from payonce.codec import Message, Undecodable, decode, decode_body
from payonce.domain.commands import RefundPayment, RegisterPayment
from payonce.domain.events import PspEvent
from payonce.ports import Headers, Record
from payonce.ports.ops import Content, Letter
from services.ops_console.letters import original_headers

_Kind = TypeVar("_Kind", RegisterPayment, RefundPayment)


def own(letter: Letter) -> Content:
    """Return what was set aside."""
    return Content(letter.key, letter.value, letter.event_type)


def standing(letter: Letter) -> Content:
    """Return what was sent last in the letter's place, or its own; an edit that waits stands for nothing yet."""
    sent = _sent(letter)
    return own(letter) if sent is None or _is_newer(letter, sent) else sent


def next_content(letter: Letter) -> Content:
    """Return what the next replay sends, or makes a new attempt of: the edit, else what stands."""
    edit = letter.edit
    return standing(letter) if edit is None else Content(edit.key, edit.value, edit.type)


def is_replaced(letter: Letter) -> bool:
    """Return whether something else than the letter's own content was sent for it last: body, key or type."""
    return standing(letter) != own(letter)


def is_half_known(letter: Letter) -> bool:
    """Return whether the row has the body of what was sent last and not its key and type (before migration 0010)."""
    return letter.amendment is not None and letter.amendment.type is None


def sent_as(letter: Letter, kind: type[_Kind]) -> _Kind | None:
    """Return what was sent last in the letter's place if it was such a message; half known, if it could have been."""
    sent = letter.amendment
    if sent is None:
        return None
    try:
        half_known = is_half_known(letter)
        message = decode_body(kind.__name__, sent.value or b"") if half_known else decoded(letter, sent)
    except Undecodable:
        return None
    return message if isinstance(message, kind) else None


def order_of(letter: Letter) -> str | None:
    """Return the order that the next replay is about: the one in its message, else the one that the key names."""
    message = read(letter, next_content(letter))
    return letter.order_id if message is None or isinstance(message, PspEvent) else message.order_id


def read(letter: Letter, content: Content) -> Message | None:
    """Return the message that this content is on the letter's topic; None when nobody can read it."""
    try:
        return decoded(letter, content)
    except Undecodable:
        return None


def decoded(letter: Letter, content: Content) -> Message:
    """Return the message that this content is on the letter's topic. Raises Undecodable."""
    headers = original_headers(letter)
    if content.type != letter.event_type:
        headers = with_type(headers, content.type)
    return decode(Record(letter.original_topic, 0, 0, content.key, content.value, headers))


def _sent(letter: Letter) -> Content | None:
    """Return what was sent last in the letter's place; of one that is half known, under the letter's key and type."""
    sent = letter.amendment
    return Content(letter.key, sent.value, letter.event_type) if sent is not None and is_half_known(letter) else sent


def _is_newer(letter: Letter, sent: Content) -> bool:
    """Return whether a later attempt came back than the row remembers sending: its database was restored."""
    came_back, remembered = read(letter, own(letter)), read(letter, sent)
    if not isinstance(came_back, RegisterPayment) or not isinstance(remembered, RegisterPayment):
        return False
    return came_back.issued_at > remembered.issued_at


def with_type(headers: Headers, kind: str | None) -> Headers:
    """Return the headers with this `ce_type`."""
    others = tuple(header for header in headers if header[0] != "ce_type")
    return others if kind is None else (*others, ("ce_type", kind.encode()))
