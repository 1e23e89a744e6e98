"""An operator's change of a dead letter: what it becomes, what differs, whether money is touched. Pure.

It refuses what would only become a dead letter again: the result must fit its schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from payonce.audit import sha256
from payonce.catalog import topic_of
from payonce.codec import Message, Undecodable
from payonce.domain.commands import RegisterPayment
from payonce.domain.order import ImpossibleEvent
from payonce.domain.terms import order_id_of
from payonce.ports.ops import Content, Letter
from services.ops_console.money import names_money, touches_money
from services.ops_console.refusals import Refused
from services.ops_console.standing import decoded, is_half_known, read, standing

_MOST_DIFFERENCES = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in which the edited body differs; a missing value is None."""

    path: str
    before: Any  # JSON
    after: Any  # JSON


@dataclass(frozen=True, slots=True)
class Draft:
    """What a letter would be sent as."""

    key: bytes | None
    value: bytes | None
    type: str | None
    message: Message
    differences: tuple[Difference, ...]
    is_money: bool

    @property
    def hash(self) -> str:
        """What an approval names."""
        return content_hash(self.key, self.type, self.value)


def content_hash(key: bytes | None, kind: str | None, value: bytes | None) -> str:
    """Return the hash of a message's content, as the audit chain names it."""
    return sha256(key, None if kind is None else kind.encode(), value)


def letter_hash(letter: Letter) -> str:
    """Return the hash of a letter's own content."""
    return content_hash(letter.key, letter.event_type, letter.value)


def drafted(
    letter: Letter, *, changes: Mapping[str, Any] | None, body: str | None, key: str | None, kind: str | None
) -> Draft:
    """Return what stands for the letter with dotted paths set (`changes`), or with another body, key or type.

    Raises Refused when nothing changes or the result is no message of the topic.
    """
    before = standing(letter)
    value = _new_value(before.value, changes, body)
    new_type = kind if kind is not None else before.type
    new_key = key.encode() if key is not None else _fitting_key(letter, before, value)
    after = Content(new_key, value, new_type)
    if after == before:
        raise Refused("nothing_changed", "the edit leaves everything as it is", status=422)
    message = _checked(letter, after)
    differences = tuple(_differences(before.value, value))
    # Of what is half known, nobody can say what the edit leaves as it was.
    is_money = _is_money(None if is_half_known(letter) else read(letter, before), message, differences)
    return Draft(new_key, value, new_type, message, differences, is_money)


def _checked(letter: Letter, content: Content) -> Message:
    try:
        message = decoded(letter, content)
    except Undecodable as error:
        raise _would_come_back(error.reason, error.detail) from error
    if isinstance(message, RegisterPayment):
        _refuse_another_order(message)
    return message


def _is_money(before: Message | None, after: Message, differences: Sequence[Difference]) -> bool:
    try:
        return touches_money(before, after, [each.path for each in differences])
    except ImpossibleEvent as error:
        raise _would_come_back("impossible_event", error.detail) from error


def _would_come_back(reason: str, detail: str) -> Refused:
    return Refused(reason, f"it would come back at once: {detail}", status=422, field="body")


def _refuse_another_order(command: RegisterPayment) -> None:
    if order_id_of(command.terms.client_id, command.terms.reference) != command.order_id:
        detail = "the order id is made of client_id and reference: another reference is another order, place it anew"
        raise Refused("another_order", detail, status=422, field="terms.reference")


def _new_value(before: bytes | None, changes: Mapping[str, Any] | None, body: str | None) -> bytes | None:
    if body is not None:
        return body.encode()
    if not changes:
        return before
    document = _json(before)
    if not isinstance(document, dict):
        raise Refused("not_json", "the letter is no JSON object: send a whole body", status=422, field="changes")
    for path, value in changes.items():
        _set(document, path, value)
    return orjson.dumps(document)


def _set(document: Any, path: str, value: Any) -> None:
    *parents, name = path.split(".")
    place = document
    for parent in parents:
        place = _child(place, parent, path)
    if isinstance(place, dict):
        place[name] = value
    elif isinstance(place, list) and name.isdecimal() and int(name) < len(place):
        place[int(name)] = value
    else:
        raise _no_such_place(path)


def _child(place: Any, name: str, path: str) -> Any:
    if isinstance(place, dict) and name in place:
        return place[name]
    if isinstance(place, list) and name.isdecimal() and int(name) < len(place):
        return place[int(name)]
    raise _no_such_place(path)


def _no_such_place(path: str) -> Refused:
    return Refused("no_such_field", f"the body has no place {path[:200]!r}", status=422, field="changes")


def _fitting_key(letter: Letter, before: Content, value: bytes | None) -> bytes | None:
    """Return the key: of a message of ours the order id in its body, of a webhook what it was."""
    document = _json(value)
    is_webhook = (before.type or "").startswith("com.stripe.") or letter.original_topic == topic_of("PspEvent")
    if is_webhook or not isinstance(document, dict) or not isinstance(document.get("order_id"), str):
        return before.key
    return str(document["order_id"]).encode()


def _differences(before: bytes | None, after: bytes | None) -> Iterator[Difference]:
    left, right = dict(_leaves(_json(before))), dict(_leaves(_json(after)))
    changed = [
        path for path in {**left, **right} if left.get(path) != right.get(path) or (path in left) != (path in right)
    ]
    # Money first: what is cut off must never be what needs a second look.
    ordered = sorted(changed, key=lambda path: (not names_money(path), path))
    for path in ordered[:_MOST_DIFFERENCES]:
        yield Difference(path, left.get(path), right.get(path))


def _leaves(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Walk a JSON document; an explicit stack, since a hostile body may be nested deeper than Python recurses."""
    waiting = [(path, document)]
    while waiting:
        where, node = waiting.pop()
        if isinstance(node, dict) and node:
            waiting += [(f"{where}.{name}" if where else name, child) for name, child in node.items()]
        elif isinstance(node, list) and node:
            waiting += [(f"{where}.{index}" if where else str(index), child) for index, child in enumerate(node)]
        elif where:
            yield where, node


def _json(value: bytes | None) -> Any:
    try:
        return orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return None
