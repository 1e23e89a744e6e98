"""What is written and said about a registration, once something is known about it: pure. Rows in, rows out.

The table of outcomes lives here: which answer proves what, and when it is too late to call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from payonce.catalog import current_version
from payonce.codec import decode_body, encode_body
from payonce.dead_letters import Reason
from payonce.domain.events import (
    FailureReason,
    RefundRejected,
    RegistrationFailed,
    RegistrationStuck,
    StuckReason,
    TokenEvent,
    TokenIssued,
)
from payonce.domain.proofs import SCAN_PROOF
from payonce.ports import GatewayFailure, RegistrationState, Session
from payonce.ports import Registration as Row
from services.psp_worker.timing import EXPIRY_NOTICE_SECONDS, KEY_LIFE_SECONDS


def with_token(row: Row, session: Session, request_id: str | None) -> Row:
    """Return the row with its session and the token to publish."""
    token = TokenIssued(
        order_id=row.order_id,
        attempt=row.attempt,
        body_hash=row.body_hash,
        command_id=row.command_id,
        psp="stripe",
        session_id=session.session_id,
        hosted_page_url=session.hosted_page_url,
        # The PSP shows it for ever, and it opens nothing once the session is closed.
        client_secret=session.client_secret if session.status == "open" else None,
        expires_at=session.expires_at,
        psp_request_id=request_id,
    )
    # A complete session is looked at more closely when somebody wants to know; until then it holds the order.
    state: RegistrationState = "expired" if session.status == "expired" else "open"
    return with_outcome(replace(row, state=state, session_id=session.session_id), token)


def refused(row: Row, failure: GatewayFailure) -> Row:
    """Return the row of an attempt whose first request was refused: that is the proof."""
    proof = f"HTTP {failure.http_status} to the first request with this key, request {failure.request_id}"
    code = f" ({failure.code})" if failure.code else ""
    return _failed(row, "psp_refused", f"{failure.detail}{code}", proof)


def not_found(row: Row, *, began_after: float, now: float) -> Row:
    """Return the row of an attempt that a scan did not find, which began so many seconds after the last try."""
    proof = f"{SCAN_PROOF}{int(began_after)} s after the last try"
    if is_stale(row, now):
        return _failed(row, "stale", "the session would expire too soon to be of use", proof)
    return _failed(row, "not_found", "the PSP has not carried the registration out", proof)


def instead_of_call(row: Row, *, now: float) -> Row | None:
    """Return the row to write where it is too late to call, None while a call is allowed; `now` is unix seconds.

    A try that this ledger does not know of is no proof that there was none: it may have been restored from a backup.
    """
    if now - row.first_try_at > KEY_LIFE_SECONDS:
        return unknown(row, "the PSP may have forgotten the key of an earlier try")
    return unknown(row, "the session would expire too soon for a call") if is_stale(row, now) else None


def unknown(row: Row, detail: str, reason: StuckReason = "unknown_outcome") -> Row:
    """Return the row of which nobody knows whether a session exists. Its key is never used again: the PSP is asked.

    Its outcome is said only if asking does not help either (`retries_exhausted`).
    """
    stuck = RegistrationStuck(
        order_id=row.order_id,
        attempt=row.attempt,
        body_hash=row.body_hash,
        command_id=row.command_id,
        reason=reason,
        detail=detail,
    )
    return with_outcome(replace(row, state="unknown"), stuck)


def state_of(session: Session) -> RegistrationState:
    """Return what a session makes of the attempt that it belongs to.

    Money that is on its way holds the order; a delayed payment that has failed sets it free.
    """
    if session.status != "complete":
        return "open" if session.status == "open" else "expired"
    has_failed = session.payment_intent_status in {"requires_payment_method", "canceled"}
    return "failed" if session.payment_status == "unpaid" and has_failed else "used"


def with_session(row: Row, session: Session) -> Row:
    """Return the row as its session is now, with the proof where it cannot be paid any more. The token stays said."""
    state = state_of(session)
    proofs: Mapping[RegistrationState, str] = {
        "expired": f"the PSP shows session {session.session_id} as expired",
        "failed": f"the PSP shows the payment of session {session.session_id} as failed",
    }
    return replace(row, state=state, proof=proofs.get(state))


def is_stale(row: Row, now: float) -> bool:
    """Return whether a session of this attempt would expire too soon to be of use; `now` is unix seconds."""
    return row.expires_at - now < EXPIRY_NOTICE_SECONDS


def is_unresolved(row: Row) -> bool:
    """Return whether it is open if the PSP has a session for this attempt."""
    return row.state in {"calling", "unknown"}


def may_be_born_late(row: Row) -> bool:
    """Return whether a session of this attempt may appear after all, of which nobody was told."""
    return (
        row.session_id is None
        and row.state in {"failed", "cancelled"}
        and (row.state == "cancelled" or (row.proof or "").startswith(SCAN_PROOF))
    )


def with_outcome(row: Row, outcome: TokenEvent) -> Row:
    """Return the row with its outcome recorded, in the schema version that we write today."""
    return replace(row, outcome_type=type_of(outcome), outcome_body=encode_body(outcome))


def type_of(outcome: TokenEvent) -> str:
    """Return the name and version under which an outcome is recorded."""
    name = type(outcome).__name__
    return f"{name}.v{current_version(name)}"


def recorded_outcome(outcome_type: str | None, outcome_body: bytes | None) -> TokenEvent:
    """Return the outcome that a settled row recorded. Raises Undecodable if the ledger was tampered with."""
    assert outcome_type is not None, "a settled row has an outcome"
    assert outcome_body is not None, "a settled row has an outcome"
    name, _, version = outcome_type.partition(".v")
    return cast("TokenEvent", decode_body(name, outcome_body, int(version)))


def dead_letter_reason(outcome: TokenEvent) -> Reason | None:
    """Return why ops gets a copy of the command, or None where the outcome says all there is to say."""
    match outcome:
        case RegistrationStuck(reason=reason):
            return reason
        case RegistrationFailed(reason="psp_refused") | RefundRejected(reason="psp_refused"):
            return "psp_refused"
        case _:
            return None


def _failed(row: Row, reason: FailureReason, detail: str, proof: str) -> Row:
    failed = RegistrationFailed(
        order_id=row.order_id,
        attempt=row.attempt,
        body_hash=row.body_hash,
        command_id=row.command_id,
        reason=reason,
        detail=detail,
        proof=proof,
    )
    return with_outcome(replace(row, state="failed", proof=proof), failed)
