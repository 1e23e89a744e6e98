"""What stands for a dead letter: its own bytes, until others were sent in their place. Pure.

What an edit has replaced never comes back by itself: the next replay, and the next edit, begin from what was sent last.
"""

from __future__ import annotations

from dataclasses import dataclass

from payonce.codec import Message, Undecodable, decode
from payonce.domain.commands import RegisterPayment
from payonce.ports import Headers, Record
from payonce.ports.ops import Letter
from services.ops_console.letters import original_headers


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says; its other headers are the letter's."""

    key: bytes | None
    value: bytes | None
    type: str | None


def own(letter: Letter) -> Content:
    """Return what was set aside."""
    return Content(letter.key, letter.value, letter.event_type)


def standing(letter: Letter) -> Content:
    """Return what was sent last in the letter's place, or its own; an edit that waits stands for nothing yet."""
    if not is_replaced(letter):
        return own(letter)
    key, kind = (letter.edit.key, letter.edit.type) if letter.edit else (letter.key, letter.event_type)
    return Content(key, letter.amendment, kind)


def next_content(letter: Letter) -> Content:
    """Return what the next replay sends, or makes a new attempt of: the edit, else what stands."""
    edit = letter.edit
    return standing(letter) if edit is None else Content(edit.key, edit.value, edit.type)


def is_replaced(letter: Letter) -> bool:
    """Return whether something else than the letter's own bytes was sent for it last."""
    return letter.amendment not in {None, letter.value} and not _is_newer(letter)


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


def _is_newer(letter: Letter) -> bool:
    """Return whether a later attempt came back than the row remembers sending: its database was restored."""
    came_back = read(letter, own(letter))
    sent = read(letter, Content(letter.key, letter.amendment, letter.event_type))
    if not isinstance(came_back, RegisterPayment) or not isinstance(sent, RegisterPayment):
        return False
    return came_back.issued_at > sent.issued_at


def with_type(headers: Headers, kind: str | None) -> Headers:
    """Return the headers with this `ce_type`."""
    others = tuple(header for header in headers if header[0] != "ce_type")
    return others if kind is None else (*others, ("ce_type", kind.encode()))
