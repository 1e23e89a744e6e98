"""From the PSP's answer to what is written and said: pure. The table of outcomes lives here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from payonce.catalog import current_version
from payonce.codec import decode_body, encode_body
from payonce.dead_letters import Reason
from payonce.domain.events import RegistrationFailed, RegistrationStuck, TokenEvent, TokenIssued
from payonce.ports import GatewayFailure, Registered, Registration
from services.psp_worker.timing import EXPIRY_NOTICE_SECONDS, KEY_LIFE_SECONDS, backoff_seconds


@dataclass(frozen=True, slots=True)
class Finish:
    """Write this row, then publish its outcome."""

    row: Registration


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """The same key again after so many seconds. `slower`: the PSP asked us to call less often."""

    seconds: float
    slower: bool = False


@dataclass(frozen=True, slots=True)
class AwaitConfiguration:
    """Our credentials are refused: take nothing more, try this same call again, tell a person."""

    detail: str


Verdict = Finish | RetryAfter | AwaitConfiguration


def after_answer(row: Registration, answer: Registered) -> Finish:
    """Return the row with its session and the token to publish."""
    session = answer.session
    token = TokenIssued(
        order_id=row.order_id,
        attempt=row.attempt,
        body_hash=row.body_hash,
        command_id=row.command_id,
        psp="stripe",
        session_id=session.session_id,
        hosted_page_url=session.hosted_page_url,
        client_secret=session.client_secret,
        expires_at=session.expires_at,
        psp_request_id=answer.request_id,
    )
    return Finish(with_outcome(replace(row, state="open", session_id=session.session_id), token))


def after_failure(
    row: Registration, failure: GatewayFailure, *, first_try: bool, failures: int, jitter: float
) -> Verdict:
    """Return what a failed call means. `first_try`: no other request with this key can have been sent before it.

    `failures` counts this one and those before it in a row; `jitter` is in 0..1.
    """
    match failure.kind:
        case "transient" | "rate_limited":
            return RetryAfter(backoff_seconds(failures, jitter), slower=failure.kind == "rate_limited")
        case "configuration":
            return AwaitConfiguration(f"HTTP {failure.http_status} {failure.code or ''}".rstrip())
        case "permanent" if first_try:
            return Finish(_refused(row, failure))
        case "permanent":
            return Finish(unknown_outcome(row, f"refused after an earlier try: {failure.detail}"))
        case "mismatch" | "replayed_failure":
            return Finish(unknown_outcome(row, failure.detail))


def instead_of_call(row: Registration, *, first_try: bool, now: float) -> Registration | None:
    """Return the row to write where it is too late to call, None while a call is allowed; `now` is unix seconds."""
    stale = row.expires_at - now < EXPIRY_NOTICE_SECONDS
    if first_try:
        return _stale(row) if stale else None
    if now - row.first_try_at > KEY_LIFE_SECONDS:
        return unknown_outcome(row, "the PSP may have forgotten the key of an earlier try")
    return unknown_outcome(row, "the session would expire too soon to ask again") if stale else None


def unknown_outcome(row: Registration, detail: str) -> Registration:
    """Return the row of which nobody knows whether a session exists. The one door where asking the PSP will enter."""
    stuck = RegistrationStuck(
        order_id=row.order_id,
        attempt=row.attempt,
        body_hash=row.body_hash,
        command_id=row.command_id,
        reason="unknown_outcome",
        detail=detail,
    )
    return with_outcome(replace(row, state="unknown"), stuck)


def with_outcome(row: Registration, outcome: TokenEvent) -> Registration:
    """Return the row with its outcome recorded, in the schema version that we write today."""
    name = type(outcome).__name__
    return replace(row, outcome_type=f"{name}.v{current_version(name)}", outcome_body=encode_body(outcome))


def recorded_outcome(row: Registration) -> TokenEvent:
    """Return the outcome that a settled row recorded. Raises Undecodable if the ledger was tampered with."""
    assert row.outcome_type is not None, "a row that is not calling has an outcome"
    assert row.outcome_body is not None, "a row that is not calling has an outcome"
    name, _, version = row.outcome_type.partition(".v")
    return cast("TokenEvent", decode_body(name, row.outcome_body, int(version)))


def dead_letter_reason(outcome: TokenEvent) -> Reason | None:
    """Return why ops gets a copy of the command, or None where the outcome says all there is to say."""
    match outcome:
        case RegistrationStuck(reason=reason):
            return reason
        case RegistrationFailed(reason="psp_refused"):
            return "psp_refused"
        case _:
            return None


def _refused(row: Registration, failure: GatewayFailure) -> Registration:
    proof = f"HTTP {failure.http_status} to the first request with this key, request {failure.request_id}"
    code = f" ({failure.code})" if failure.code else ""
    return _failed(row, "psp_refused", f"{failure.detail}{code}", proof)


def _stale(row: Registration) -> Registration:
    return _failed(row, "stale", "the session would expire too soon to be of use", "no request was ever sent")


def _failed(row: Registration, reason: str, detail: str, proof: str) -> Registration:
    failed = RegistrationFailed(
        order_id=row.order_id,
        attempt=row.attempt,
        body_hash=row.body_hash,
        command_id=row.command_id,
        reason="psp_refused" if reason == "psp_refused" else "stale",
        detail=detail,
        proof=proof,
    )
    return with_outcome(replace(row, state="failed", proof=proof), failed)
