"""The attempts of an order, derived from its facts: which count, in what state each is, and on whose terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from payonce.domain.facts import FIRST_ATTEMPT, SESSION_RANK
from payonce.domain.merge import Facts
from payonce.domain.terms import Terms, terms_of_document

_OPEN, _COMPLETE = SESSION_RANK["open"], SESSION_RANK["complete"]
_NOTHING: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class Session:
    """A registration at the PSP as the facts have it; `url`, `client_secret`, `expires_at` only while it is open."""

    session_id: str
    attempt: int
    status: str
    url: str | None
    client_secret: str | None
    expires_at: int | None
    async_failed: bool

    @property
    def awaits_money(self) -> bool:
        """Completed, and not known to have failed: unless a payment counts, the money is on its way."""
        return self.status == "complete" and not self.async_failed


@dataclass(frozen=True, slots=True)
class Attempt:
    """One registration of the order.

    `status` is the order's if this attempt decides: created, registered, processing (its session is complete), failed,
    expired, cancelled or registration_failed. `terms` are None until the command is known whose body the worker took.
    """

    number: int
    status: str
    terms: Terms | None
    body_hash: str | None
    session: Session | None
    failure_reason: str | None
    failure_detail: str | None


def sessions_of(facts: Facts) -> tuple[Session, ...]:
    """Return the sessions, by id."""
    failed = facts.get("async_failed", _NOTHING)
    return tuple(_session(session_id, known, session_id in failed) for session_id, known in _sorted(facts, "sessions"))


def _session(session_id: str, known: Mapping[str, Any], failed: bool) -> Session:
    state = known.get("state") or [_OPEN, "open", None, None, None]
    url, client_secret, expires_at = state[2:] if state[0] == _OPEN else (None, None, None)
    return Session(session_id, known.get("attempt", FIRST_ATTEMPT), state[1], url, client_secret, expires_at, failed)


def attempts_of(facts: Facts, sessions: tuple[Session, ...]) -> dict[int, Attempt]:
    """Return the attempts that count, by number: commanded and not rejected, or proven by the worker or the PSP."""
    numbers = {session.attempt for session in sessions}
    for family in ("confirmed", "registration_failed", "stuck", "cancelled"):
        numbers.update(map(int, facts.get(family, _NOTHING)))
    for number in facts.get("terms", _NOTHING):
        if any(True for _ in _standing_bodies(facts, number)):
            numbers.add(int(number))
    return {number: _attempt(facts, number, sessions) for number in sorted(numbers or {FIRST_ATTEMPT})}


def _attempt(facts: Facts, number: int, sessions: tuple[Session, ...]) -> Attempt:
    own = [session for session in sessions if session.attempt == number]
    status = _status(facts, str(number), own)
    body_hash, terms = _terms(facts, str(number))
    reason, detail = _failure(facts, str(number), status)
    return Attempt(number, status, terms, body_hash, _shown(own), reason, detail)


def _status(facts: Facts, number: str, own: list[Session]) -> str:
    """Return the first that holds. A cancellation stands before everything but a complete session."""
    complete = any(session.status == "complete" for session in own)
    rows = (
        ("processing", any(session.awaits_money for session in own)),
        ("cancelled", number in facts.get("cancelled", _NOTHING) and not complete),
        ("registered", any(session.status == "open" for session in own)),
        ("failed", complete),
        ("expired", bool(own)),
        ("registration_failed", number in facts.get("registration_failed", _NOTHING)),
    )
    return next((status for status, holds in rows if holds), "created")


def _shown(own: list[Session]) -> Session | None:
    """Return the session to show: a complete one before an open one before an expired one."""
    order = {"complete": 2, "open": 1, "expired": 0}
    return max(own, key=lambda session: (order[session.status], session.session_id), default=None)


def _failure(facts: Facts, number: str, status: str) -> tuple[str | None, str | None]:
    if status == "failed":
        return "payment_failed", "the payment was started, and the payment method reported later that it failed"
    told = None
    if status == "registration_failed":
        told = facts["registration_failed"][number]
    elif status == "created":
        told = facts.get("stuck", _NOTHING).get(number)
    return (told[0], told[1]) if told else (None, None)


def _standing_bodies(facts: Facts, number: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the bodies commanded for an attempt, without the rejected. A confirmation outlives an earlier rejection."""
    rejected = facts.get("rejected", _NOTHING).get(number, _NOTHING)
    confirmed = facts.get("confirmed", _NOTHING).get(number, _NOTHING)
    for body_hash, body in facts.get("terms", _NOTHING).get(number, _NOTHING).items():
        if body_hash in confirmed or body_hash not in rejected:
            yield body_hash, body


def _terms(facts: Facts, number: str) -> tuple[str | None, Terms | None]:
    """Return the body that the worker's events name, even while its terms are unknown; else the first in the log."""
    bodies = dict(_standing_bodies(facts, number))
    confirmed = facts.get("confirmed", _NOTHING).get(number, _NOTHING)
    if confirmed:
        bodies = {body_hash: body for body_hash, body in bodies.items() if body_hash in confirmed}
        if not bodies:
            return max(confirmed), None
    if not bodies:
        return None, None
    body_hash = max(bodies, key=lambda each: (bodies[each]["precedence"], each))
    told = bodies[body_hash]["terms"]
    return body_hash, terms_of_document(told)


def _sorted(facts: Facts, family: str) -> list[tuple[str, Mapping[str, Any]]]:
    return sorted(facts.get(family, _NOTHING).items())
