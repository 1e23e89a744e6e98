"""Reading the PSP's JSON objects with suspicion: each field is what we need, or ImpossibleEvent says what it is not.

Only types and shapes are judged here, and no value is repeated in an error: it may be personal data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

_ORDER_ID = re.compile(r"ord_[a-z2-7]{26}")
_ATTEMPT = re.compile(r"[1-9][0-9]{0,5}")
#: Far above any real sum, far below the database's bigint, so that sums of sums fit too.
_LARGEST = 10**15


class ImpossibleEvent(Exception):
    """The PSP's object is not what it can be: set the message aside for people; trying again is vain."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class PspObject:
    """One object of the PSP; every reader returns a value of the promised kind or raises ImpossibleEvent."""

    fields: Mapping[str, Any]
    kind: str

    @classmethod
    def of(cls, value: object, kind: str) -> PspObject:
        """Wrap an object that must be of this kind, as far as it says so."""
        if not isinstance(value, Mapping):
            raise ImpossibleEvent(f"{kind}: not an object")
        if value.get("object", kind) != kind:
            raise ImpossibleEvent(f"{kind}: the object says that it is something else")
        return cls(value, kind)

    @property
    def id(self) -> str:
        """Its id."""
        return self.text("id")

    def text(self, name: str) -> str:
        """Return a text that is neither empty nor unprintable (which also keeps out what jsonb cannot store)."""
        value = self.fields.get(name)
        if not isinstance(value, str) or not value or not value.isprintable():
            raise self._wrong(name, "a printable text")
        return value

    def optional_text(self, name: str) -> str | None:
        """Return a text, or None if absent, null or empty."""
        value = self.fields.get(name)
        return None if value is None or value == "" else self.text(name)

    def one_of(self, name: str, vocabulary: Mapping[str, int]) -> str:
        """Return a word of the vocabulary. What a new word of the PSP means for money is for people to say."""
        value = self.fields.get(name)
        if not isinstance(value, str) or value not in vocabulary:
            raise self._wrong(name, "one of " + ", ".join(vocabulary))
        return value

    def count(self, name: str) -> int:
        """Return an integer from 0: an amount in minor units, a number of tries, a time."""
        value = self.fields.get(name)
        if type(value) is not int or not 0 <= value <= _LARGEST:
            raise self._wrong(name, f"an integer from 0 to {_LARGEST}")
        return value

    def optional_count(self, name: str) -> int | None:
        """As `count`, or None if absent or null."""
        return None if self.fields.get(name) is None else self.count(name)

    def currency(self) -> str:
        """Return the field `currency`, in lower case."""
        value = self.text("currency")
        if len(value) != 3 or not value.isascii() or not value.isalpha():  # noqa: PLR2004  (ISO 4217 has three letters)
            raise self._wrong("currency", "a code of three letters")
        return value.lower()

    def reference(self, name: str) -> str | None:
        """Return the id in a field that holds an id, an expanded object, or nothing."""
        value = self.fields.get(name)
        if isinstance(value, Mapping):
            return PspObject(value, f"{self.kind}.{name}").id
        return self.optional_text(name)

    def part(self, name: str) -> PspObject:
        """Return a nested object; empty if absent or null."""
        value = self.fields.get(name)
        if value is None:
            return PspObject({}, f"{self.kind}.{name}")
        if not isinstance(value, Mapping):
            raise self._wrong(name, "an object")
        return PspObject(value, f"{self.kind}.{name}")

    def items(self, name: str) -> Sequence[Any]:
        """Return a list; empty if absent or null."""
        value = self.fields.get(name)
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            raise self._wrong(name, "a list")
        return value

    def _wrong(self, name: str, expected: str) -> ImpossibleEvent:
        return ImpossibleEvent(f"{self.kind}: {name} is not {expected}")


@dataclass(frozen=True, slots=True)
class OwnMetadata:
    """What our worker wrote on the object: all None unless `order_id` is one of ours."""

    order_id: str | None
    attempt: int | None
    body_hash: str | None


def is_order_id(value: object) -> TypeGuard[str]:
    """Return whether this looks like an order id of ours."""
    return isinstance(value, str) and _ORDER_ID.fullmatch(value) is not None


def own_metadata(part: PspObject) -> OwnMetadata:
    """Read our metadata. Another app's `order_id` does not look like ours: then nothing of it is ours."""
    order_id = part.optional_text("order_id")
    if not is_order_id(order_id):
        return OwnMetadata(None, None, None)
    attempt = part.optional_text("attempt")
    if attempt is not None and not _ATTEMPT.fullmatch(attempt):
        raise ImpossibleEvent(f"{part.kind}: attempt is not a number from 1")
    return OwnMetadata(order_id, None if attempt is None else int(attempt), part.optional_text("body_hash"))
