"""Garbage of every kind that can lie in a topic, and what its readers must make of each piece. The same for each seed.

A piece of the kind "foreign" is no dead letter: it is counted and dropped.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Final

from tests.fakes.garbage_kinds import AMONG_MESSAGES, ANYWHERE, IN_WEBHOOKS
from tests.fakes.garbage_pieces import FOREIGN, UNRESOLVED, WEBHOOKS, Maker, Piece

__all__ = ["FOREIGN", "UNRESOLVED", "Piece", "garbage"]

#: Every so many pieces there is one of a rare kind.
RARE_EACH: Final = 1_000


def garbage(topic: str, count: int, *, keys: Sequence[bytes], seed: str = "1") -> Iterator[Piece]:
    """Yield so many pieces for a topic, all kinds mixed; some lie under the keys given, among what is good there."""
    maker = Maker(topic, f"{topic}-{seed}")
    kinds = ANYWHERE + (IN_WEBHOOKS if topic == WEBHOOKS else AMONG_MESSAGES)
    shares = [kind.share for kind in kinds]
    rare = itertools.cycle(kind for kind in kinds if not kind.share)
    for number in range(count):
        kind = maker.dice.choices(kinds, shares)[0] if number % RARE_EACH else next(rare)
        value, headers, reason = kind.make(maker)
        yield Piece(topic, _key(maker, keys), value, headers, reason)


def _key(maker: Maker, keys: Sequence[bytes]) -> bytes | None:
    if maker.dice.random() < 0.5 and keys:
        return maker.dice.choice(keys)
    return maker.dice.choice([None, b"", b"\xff\x00", maker.dice.randbytes(300), maker.unique("key").encode()])
