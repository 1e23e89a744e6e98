"""Stripe's v1 idempotency layer: the first answer of a key is kept and given again, 500s included.

It refuses another endpoint, other parameters and simultaneous use. The limiters and authentication run before it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import orjson

from sandbox.stripe_simulator.errors import ApiError

if TYPE_CHECKING:
    from sandbox.stripe_simulator.answer import Answer
    from sandbox.stripe_simulator.clock import Clock
    from sandbox.stripe_simulator.forms import Form

KEPT_SECONDS = 24 * 3600
_KEY_LENGTH_MAX = 255
_ADVICE = "Try using a key other than '{key}' if you meant to execute a different request."


@dataclass(slots=True)
class _Entry:
    path: str
    fingerprint: bytes
    request_id: str
    created: float
    answer: Answer | None = None


class IdempotencyKeys:
    """The keys of the last 24 hours of the simulator's clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def begin(self, key: str, path: str, parameters: Form, request_id: str) -> Answer | None:
        """Claim the key, or return the kept answer. Raises ApiError: 400 for a mismatch, 409 while it is in use.

        A claim must end with `keep` or `release`.
        """
        self.prune()
        if len(key) > _KEY_LENGTH_MAX:
            raise ApiError(
                400, f"Idempotency keys can be at most {_KEY_LENGTH_MAX} characters", kind="idempotency_error"
            )
        fingerprint = _fingerprint(parameters)
        entry = self._entries.get(key)
        if entry is None:
            self._entries[key] = _Entry(path, fingerprint, request_id, self._clock.now())
            return None
        _refuse_mismatch(entry, key, path, fingerprint)
        if entry.answer is None:
            raise _in_use(key)
        replayed = {"Idempotent-Replayed": "true", "Original-Request": entry.request_id}
        return replace(entry.answer, headers={**entry.answer.headers, **replayed})

    def keep(self, key: str, answer: Answer) -> None:
        self._entries[key].answer = answer

    def release(self, key: str) -> None:
        """Forget a claim whose work never began, so that the same key may be tried again."""
        del self._entries[key]

    def prune(self) -> None:
        """Forget the keys that are 24 hours old. Entries stand in the order of their creation."""
        oldest = self._clock.now() - KEPT_SECONDS
        for key, entry in _older(self._entries, oldest):
            if entry.answer is not None:
                del self._entries[key]


def _fingerprint(parameters: Form) -> bytes:
    """Make what the parameters are compared by; their order does not count."""
    return hashlib.sha256(orjson.dumps(parameters, option=orjson.OPT_SORT_KEYS)).digest()


def _older(entries: dict[str, _Entry], oldest: float) -> list[tuple[str, _Entry]]:
    found = []
    for key, entry in entries.items():
        if entry.created > oldest:
            break
        found.append((key, entry))
    return found


def _refuse_mismatch(entry: _Entry, key: str, path: str, fingerprint: bytes) -> None:
    if entry.path != path:
        message = (
            "Keys for idempotent requests can only be used for the same endpoint they were first used for "
            f"('{path}' vs '{entry.path}'). "
        )
    elif entry.fingerprint != fingerprint:
        message = "Keys for idempotent requests can only be used with the same parameters they were first used with. "
    else:
        return
    raise ApiError(400, message + _ADVICE.format(key=key), kind="idempotency_error")


def _in_use(key: str) -> ApiError:
    message = (
        "There is currently another in-progress request using this Idempotent Key (that probably means you submitted "
        f"twice, and the other request is still going through): {key}. Please try again later."
    )
    return ApiError(409, message, code="idempotency_key_in_use", headers={"Stripe-Should-Retry": "true"})
